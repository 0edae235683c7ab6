// Decides whether a response's final answer is the gold answer.
//
// Bounded work on any input (see math_answer.h), no exceptions, no clock, no
// global state. Thread-safe.

#ifndef PONDER_REWARD_MATH_VERIFIER_H_
#define PONDER_REWARD_MATH_VERIFIER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace ponder {

enum class MathVerdict {
  kCorrect,
  kWrong,
  kUnscorable,  // The gold answer is no answer.
};

struct MathOptions {
  bool thought_opened = false;  // The prompt already ended with <think>.
};

struct MathResult {
  // Of the answer in a declared form: the last \boxed{} or \fbox{}, inside the
  // last <answer> tags if there are any; else what is in these tags; else what
  // follows the last "####"; else what follows "the answer is" or "Answer:";
  // else the whole answer, if it is one line of numbers and nothing else.
  MathVerdict verdict = MathVerdict::kWrong;
  // The declared answer or, if there is none, the last number is right.
  bool flexible_correct = false;
  std::string extracted;  // As it stands in the response.
  std::string rule;       // "box", "answer tag", "####", "phrase", "whole"...
  std::string reason;     // One sentence for a person.
  // The answer was longer, deeper or larger than the limits allow: wrong.
  bool beyond_limits = false;
};

// Only what comes after the closed thought counts. `gold` may be the bare
// answer, GSM8K's solution that ends with "#### 18", or one with a \boxed{}.
MathResult VerifyMath(absl::string_view gold, absl::string_view response,
                      const MathOptions& options = {});

// The answer in a gold text, or an empty view.
absl::string_view ExtractGold(absl::string_view gold);

}  // namespace ponder

#endif  // PONDER_REWARD_MATH_VERIFIER_H_
