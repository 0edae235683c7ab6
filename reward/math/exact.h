// Values that are rational numbers, exactly.

#ifndef PONDER_REWARD_MATH_EXACT_H_
#define PONDER_REWARD_MATH_EXACT_H_

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "reward/math/budget.h"
#include "reward/math/expr.h"
#include "reward/math/rational.h"

namespace ponder::math {

// What symbols stand for, by the number of their name.
using Bindings = std::vector<std::pair<int32_t, Rational>>;

const Rational* Bound(const Bindings& bindings, int32_t name);

// The value of `id` if it is a rational number of at most kMaxExactBits that
// can be found with arithmetic alone; roots only where they are exact.
std::optional<Rational> ExactValue(const Arena& arena, Id id,
                                   const Bindings& bindings, Budget* budget);
inline std::optional<Rational> ExactValue(const Arena& arena, Id id,
                                          Budget* budget) {
  return ExactValue(arena, id, {}, budget);
}

// The value of digits written in `radix`, such as "204" or "1A.8".
std::optional<Rational> BasedValue(absl::string_view digits, int64_t radix);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_EXACT_H_
