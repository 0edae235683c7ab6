// Reads one mathematical answer, as people and models write it, and compares
// two. Bounded work on any input: no recursion deeper than the limit, no
// number longer than the limit, no exceptions, no clock, no global state.

#ifndef PONDER_REWARD_MATH_ANSWER_H_
#define PONDER_REWARD_MATH_ANSWER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "boost/multiprecision/cpp_int.hpp"

namespace ponder {

inline constexpr size_t kMaxAnswerBytes = 1000;
inline constexpr size_t kMaxAnswerDigits = 1000;  // Of a number.
inline constexpr int kMaxAnswerExponent = 400;    // Of ten.
inline constexpr int kMaxAnswerDepth = 8;         // Of lists in lists.
inline constexpr size_t kMaxAnswerItems = 64;     // Of a list.

// A number, a list of answers, or text.
struct MathAnswer {
  enum class Kind { kNumber, kList, kText };

  Kind kind = Kind::kText;

  // kNumber.
  boost::multiprecision::cpp_rational value;
  bool percent = false;   // Written with a percent sign: 28% has the value 28.
  int num_decimals = -1;  // Digits after the point; -1: not a decimal.
  std::string unit;       // "cm^2", normalised; empty if there is none.

  // kList. The brackets are ( [ or { and their counterparts, or 0 where there
  // are none. {} and no brackets are unordered.
  char open = 0;
  char close = 0;
  std::vector<MathAnswer> items;

  // The whole, normalised: the same text is the same answer.
  std::string text;
};

// Nothing if it is empty, or beyond the limits. Understands integers of any
// size, decimals, fractions (\frac{1}{2}, \frac12, 1/2), mixed numbers,
// powers with whole exponents, scientific notation, percentages, thousands
// separators, currency signs and units, "x = 5", and tuples, lists, sets and
// intervals of these. All else is text.
std::optional<MathAnswer> ParseMathAnswer(absl::string_view text);

// True if both mean the same. `gold` is the right answer; the difference is
// that a decimal is compared with a fraction without end (1/3) by its first
// six or more digits only if the decimal is the other one.
bool SameMathAnswer(const MathAnswer& gold, const MathAnswer& answer);

// True if the text holds characters that show nothing, such as U+200B.
bool HasInvisibleCharacters(absl::string_view text);

}  // namespace ponder

#endif  // PONDER_REWARD_MATH_ANSWER_H_
