/* Decides whether a response's final answer is the gold answer.
 *
 * Bounded work on any input (limits.h): at most 5 ms of CPU time and 32 MB; no
 * exceptions, signals, processes or locks. Thread-safe. FLINT and Arb keep
 * constants such as pi for each thread that evaluated one; they are freed when
 * the thread ends.
 *
 * The first part is C, the second C++.
 */

#ifndef PONDER_REWARD_MATH_VERIFY_H_
#define PONDER_REWARD_MATH_VERIFY_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ponder_math_verdict {
  PONDER_MATH_WRONG = 0,
  PONDER_MATH_CORRECT = 1,
  PONDER_MATH_UNSCORABLE = 2 /* The gold answer is none, or undecidable. */
};

/* The strict verdict on `response`. The texts are UTF-8 without need for a
 * zero at the end. Where `reason` is not NULL, it receives up to
 * `reason_size` - 1 bytes of one sentence and a zero. */
enum ponder_math_verdict ponder_math_verify(const char* gold, size_t gold_size,
                                            const char* response,
                                            size_t response_size, char* reason,
                                            size_t reason_size);

#ifdef __cplusplus
} /* extern "C" */

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "reward/math/extract.h"

namespace ponder {

enum class MathVerdict {
  kCorrect,
  kWrong,
  kUnscorable,  // The gold answer is no answer, or it can't be decided.
};

struct MathOptions {
  bool thought_opened = false;  // The prompt already ended with <think>.

  // How the answer is found in the response, and in the gold text.
  enum class Find {
    kDeclared,  // AnswerFinder::Declared(); of gold: GoldAnswer().
    kAny,       // AnswerFinder::Any().
    kWhole,     // The text is the answer.
    kChoice,    // ChoiceLetter().
  };
  Find find = Find::kDeclared;
  Find find_gold = Find::kDeclared;
  math::ExtractOptions extract;      // For kAny.
  std::string choices = "ABCDE";     // For kChoice.
  bool ignore_thought_tags = false;  // The whole response is the answer.

  int float_rounding = 6;  // Decimals with which a decimal is compared.
  // What other graders hold differently. The defaults are the truth.
  bool any_variable_names = false;  // f(x) is f(y).
  bool inequality_for_set = true;   // 1 < x < 2 answers the gold (1, 2).
  bool ordered_lists = false;       // The answer "2, 1" is not "1, 2".
  bool explain = false;  // Fill MathResult::gold_read and answer_read.
};

struct MathResult {
  // Of the answer that was found as the options say.
  MathVerdict verdict = MathVerdict::kWrong;
  // The declared answer or, if there is none or it is wrong, one found as with
  // Find::kAny is right.
  bool flexible_correct = false;
  std::string extracted;  // As it stands in the response.
  std::string rule;       // "box", "answer tag", "####", "phrase", ...
  std::string reason;     // One sentence for a person.
  std::string gold;       // The answer in the gold text.
  std::string gold_read;  // How it was read; empty if as text.
  std::string answer_read;
  // The answer was longer, deeper or larger than the limits allow: wrong.
  bool beyond_limits = false;
  int64_t steps = 0;  // Of evaluation, see limits.h.
};

// Only what comes after the closed thought counts. `gold` may be the bare
// answer, GSM8K's solution that ends with "#### 18", or one with a \boxed{}.
MathResult VerifyMath(absl::string_view gold, absl::string_view response,
                      const MathOptions& options = {});

// True if `gold` can be a gold answer: it can be read, has a value and equals
// itself.
bool IsMathGold(absl::string_view gold);

}  // namespace ponder

#endif /* __cplusplus */

#endif /* PONDER_REWARD_MATH_VERIFY_H_ */
