// Units as they are written behind a number.

#ifndef PONDER_REWARD_MATH_UNIT_TEXT_H_
#define PONDER_REWARD_MATH_UNIT_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "reward/math/token.h"

namespace ponder::math {

// The product of "hundred", "thousand", ... at the front of `words`, which are
// taken off; 1 without one.
int64_t TakeScale(std::string* words);

struct TakenUnit {
  std::string name;  // For ParseUnit().
  size_t num_tokens = 0;
};

// `name` with the powers, quotients and further words that `tokens`, which end
// with kEnd, add to it: m and ^2, km and /h, kg and m s^{-1}. Nothing if they
// are no part of a unit.
std::optional<TakenUnit> UnitAt(absl::Span<const Token> tokens,
                                std::string name);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_UNIT_TEXT_H_
