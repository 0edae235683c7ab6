// Searches in texts of up to a megabyte, where absl::string_view's own find()
// and rfind() take milliseconds.

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

// Index of the last `what`, of at least two bytes; npos without one.
inline size_t FindLast(absl::string_view text, absl::string_view what) {
  // A text full of the first byte is searched by a plain loop instead.
  int misses_left = 256;
  size_t end = text.size();
  while (end >= what.size() && misses_left > 0) {
    const void* const found =
        memrchr(text.data(), what[0], end - what.size() + 1);
    if (found == nullptr) return absl::string_view::npos;
    const auto at =
        static_cast<size_t>(static_cast<const char*>(found) - text.data());
    if (text.substr(at, what.size()) == what) return at;
    end = at + what.size() - 1;
    --misses_left;
  }
  for (; end >= what.size(); --end) {
    const size_t at = end - what.size();
    if (text[at] == what[0] && text[at + 1] == what[1] &&
        text.substr(at, what.size()) == what) {
      return at;
    }
  }
  return absl::string_view::npos;
}

}  // namespace ponder

#endif  // PONDER_REWARD_TEXT_SEARCH_H_
