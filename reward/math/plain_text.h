// Texts without LaTeX's decoration, and what their words mean.

#ifndef PONDER_REWARD_MATH_PLAIN_TEXT_H_
#define PONDER_REWARD_MATH_PLAIN_TEXT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "reward/math/rational.h"

namespace ponder::math {

// The answer without LaTeX's commands for text, spaces, brackets around a
// letter and a full stop. Words are in lower case; single letters and points
// (AB) keep their case, as there it matters.
std::string NormalText(absl::string_view text);

// True if a word in the text takes an answer back, doubts it or changes it:
// "not", "perhaps", "minus", "thousands".
bool DeniesOrHedges(absl::string_view text);

// "two-thirds", "forty two", "three and a half".
std::optional<Rational> NumberInWords(absl::string_view text);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_PLAIN_TEXT_H_
