// Numbers as they are written: digits, separators, repeating decimals.

#ifndef PONDER_REWARD_MATH_NUMBER_TEXT_H_
#define PONDER_REWARD_MATH_NUMBER_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "reward/math/rational.h"
#include "reward/math/token.h"

namespace ponder::math {

// True for one or more of 0 to 9 and nothing else.
bool IsDigits(absl::string_view text);

// value * 10^exponent. The exponent is 0 unless it is too large to write the
// number out.
struct WrittenNumber {
  Rational value;
  int64_t exponent = 0;
};

// Reads "12", ".5", "2.5E-3"; nothing if it is beyond the limits.
std::optional<WrittenNumber> ParseNumber(absl::string_view text);

// 0.1 and 6 as 0.1666...; nothing if it is beyond the limits. REQUIRES: a
// decimal point in `digits`, and digits only in `repeating`.
std::optional<Rational> RepeatingDecimal(absl::string_view digits,
                                         absl::string_view repeating);

// Of 0.333 and 0.1212 before three dots how many digits repeat; 0 if none.
size_t PeriodOf(absl::string_view digits);

// The base that is named by a word, such as "two"; 0 if none is.
int RadixOfWord(absl::string_view word);

// What makes 9 into 9th.
bool IsOrdinalEnding(absl::string_view word);

// --- Numbers of several tokens -----------------------------------------------
//
// `tokens` are those from the number on. They end with kEnd.

struct TakenDigits {
  std::string digits;
  size_t num_tokens = 0;
};

// What a comma right between digits can mean here.
struct CommaMeaning {
  bool decimal = false;    // 2,74 is 2.74.
  bool thousands = false;  // 1,234 is 1234.
};

// A number with its groups of thousands. REQUIRES: a number comes first.
TakenDigits DigitsAt(absl::Span<const Token> tokens, CommaMeaning comma);

// The digits that repeat for ever: of 0.1\overline{6} and 0.1(6), where
// `digits` were "0.1", the "6". No tokens if there are none.
TakenDigits RepeatingDigitsAt(absl::Span<const Token> tokens,
                              absl::string_view digits);

// True at 3 1/2 and 3 \frac{1}{2}.
bool IsMixedNumberAt(absl::Span<const Token> tokens);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_NUMBER_TEXT_H_
