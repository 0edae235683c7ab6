// A response's thought and its answer.

#ifndef PONDER_REWARD_RESPONSE_PARTS_H_
#define PONDER_REWARD_RESPONSE_PARTS_H_

#include "absl/strings/string_view.h"

namespace ponder {

// Largest response that is looked at; of a longer one, the end.
inline constexpr size_t kMaxResponseBytes = size_t{1} << 20;

struct ResponseParts {
  absl::string_view thought;  // Between the tags, or empty.
  // What comes after the thought, without special tokens at its end. Empty if
  // a thought was opened and not closed.
  absl::string_view answer;
  bool has_thought = false;     // A thought was opened, here or by the prompt.
  bool thought_closed = false;  // And closed.
};

// Views into `text`. Only what comes after the last </think> is the answer;
// a response that never opens a thought is all answer. `thought_opened`: the
// prompt already ended with <think>.
ResponseParts SplitResponse(absl::string_view text, bool thought_opened);

// Without white space and tokens like <|endoftext|> or </s> at the end.
absl::string_view StripSpecialTokens(absl::string_view text);

}  // namespace ponder

#endif  // PONDER_REWARD_RESPONSE_PARTS_H_
