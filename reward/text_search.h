// Searches long texts with glibc's vectorised functions: absl::string_view's
// own find() and rfind() take about a nanosecond a byte.

#ifndef PONDER_REWARD_TEXT_SEARCH_H_
#define PONDER_REWARD_TEXT_SEARCH_H_

#include <cstddef>
#include <cstring>

#include "absl/strings/string_view.h"

namespace ponder {

// Index of the first `what` at or behind `from`; npos without one.
inline size_t FindFirst(absl::string_view text, absl::string_view what,
                        size_t from = 0) {
  if (from >= text.size()) return absl::string_view::npos;
  const void* const found =
      memmem(text.data() + from, text.size() - from, what.data(), what.size());
  if (found == nullptr) return absl::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

// Index of the last `what`; npos without one.
inline size_t FindLast(absl::string_view text, absl::string_view what) {
  size_t end = text.size();
  while (end >= what.size()) {
    const void* const found =
        memrchr(text.data(), what[0], end - what.size() + 1);
    if (found == nullptr) break;
    const auto at =
        static_cast<size_t>(static_cast<const char*>(found) - text.data());
    if (text.substr(at, what.size()) == what) return at;
    end = at + what.size() - 1;
  }
  return absl::string_view::npos;
}

}  // namespace ponder

#endif  // PONDER_REWARD_TEXT_SEARCH_H_
