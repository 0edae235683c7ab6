// Decides whether a response combines given numbers to a target.
//
// Bounded work on any input: an expression of at most kMaxCountdownBytes with
// at most kMaxCountdownNumbers numbers, exact rational arithmetic, no
// exceptions, no clock, no global state. Thread-safe.

#ifndef PONDER_REWARD_COUNTDOWN_VERIFIER_H_
#define PONDER_REWARD_COUNTDOWN_VERIFIER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder {

inline constexpr size_t kMaxCountdownBytes = 1000;
inline constexpr size_t kMaxCountdownNumbers = 64;
inline constexpr int kMaxCountdownDepth = 64;  // Of parentheses.

enum class CountdownVerdict {
  kCorrect,
  kWrong,
  kUnscorable,  // The problem is none: no numbers, negative ones, too many.
};

struct CountdownResult {
  CountdownVerdict verdict = CountdownVerdict::kWrong;
  std::string extracted;  // The expression as it stands in the response.
  std::string reason;     // One sentence for a person.
};

// The expression is what stands in the last \boxed{} (inside the last <answer>
// tags if there are any) or in the tags alone, after the closed thought. It is
// made of whole numbers, + - * / (or \times, \cdot, \div and their characters)
// and parentheses, must use each of `numbers` exactly once and have the value
// `target`; "= TARGET" may follow. A sign is no operation: -3+5 is wrong.
// `thought_opened`: the prompt already ended with <think>.
CountdownResult VerifyCountdown(int64_t target,
                                const std::vector<int64_t>& numbers,
                                absl::string_view response,
                                bool thought_opened = false);

}  // namespace ponder

#endif  // PONDER_REWARD_COUNTDOWN_VERIFIER_H_
