// Whether two written answers mean the same.

#ifndef PONDER_REWARD_MATH_COMPARE_H_
#define PONDER_REWARD_MATH_COMPARE_H_

#include <string>

#include "absl/strings/string_view.h"
#include "reward/math/budget.h"

namespace ponder::math {

struct CompareOptions {
  // A decimal is compared with this many decimals (Math-Verify's rule).
  int float_rounding = 6;
  // Expressions and functions are the same up to the names of variables.
  bool any_variable_names = false;
  bool inequality_for_set = true;  // An inequality may answer a gold set.
  bool ordered_lists = false;      // Lists without braces are in order.
  // The text stood in a sentence, where 2,74 can be 2.74.
  bool plain_gold = false;
  bool plain_answer = false;
  bool explain = false;  // Fill Comparison::gold_read and answer_read.
};

enum class Match {
  kSame,
  kDifferent,
  kUndecided,  // Within the limits, but it can't be decided.
  kBadGold,    // The gold answer is empty, undefined or beyond the limits.
  kBeyond,     // The answer is beyond the limits.
};

struct Comparison {
  Match match = Match::kDifferent;
  // How it was decided, for a person: "as numbers", "as sets", ...
  std::string rule;
  // How the texts were read, for a person; empty if they weren't.
  std::string gold_read;
  std::string answer_read;
};

// `gold` and `answer` are answers without what surrounds them. Bounded by
// `budget` and limits.h on any input.
Comparison CompareAnswers(absl::string_view gold, absl::string_view answer,
                          const CompareOptions& options, Budget* budget);

// True if the text can be a gold answer: not empty, within the limits, and
// with a value if it is an expression.
bool IsGoldAnswer(absl::string_view text);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_COMPARE_H_
