// Decides whether a response has the form <think>thought</think>answer, or
// <think>thought</think><answer>answer</answer>.

#ifndef PONDER_REWARD_FORMAT_VERIFIER_H_
#define PONDER_REWARD_FORMAT_VERIFIER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace ponder {

struct FormatResult {
  bool correct = false;
  std::string reason;  // One sentence for a person.
};

// Correct if the response is a thought between one <think> and one </think>,
// in this order and with nothing but white space before it, followed by an
// answer that is not empty. With `thought_opened` the prompt already ended
// with <think>, and the response must not open one again. With `answer_tags`
// the answer must stand between one <answer> and one </answer>, with nothing
// but white space between the parts and behind them.
FormatResult VerifyFormat(absl::string_view response, bool thought_opened,
                          bool answer_tags = false);

}  // namespace ponder

#endif  // PONDER_REWARD_FORMAT_VERIFIER_H_
