// The forms in which a response declares its answer: \boxed{} and <answer>
// tags.

#ifndef PONDER_REWARD_BOXES_H_
#define PONDER_REWARD_BOXES_H_

#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"

namespace ponder {

// Of a longer box, closed or not, only the beginning is returned.
inline constexpr size_t kMaxBoxBytes = 8192;

struct Box {
  size_t begin;  // Of the backslash.
  size_t end;    // Behind the closing brace.
  absl::string_view content;
};

// The box that begins at `begin`, where \boxed or \fbox stands; nothing if it
// is never closed.
std::optional<Box> BoxAt(absl::string_view text, size_t begin);

// The last \boxed{} or \fbox{} that is closed. Looks at no more than a few
// starts, so that a text of nothing but "\boxed{" costs no square of its size.
std::optional<Box> LastBox(absl::string_view text);

// What stands in the last <answer>...</answer>.
std::optional<absl::string_view> AnswerTag(absl::string_view text);

}  // namespace ponder

#endif  // PONDER_REWARD_BOXES_H_
