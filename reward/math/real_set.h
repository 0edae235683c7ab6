// Sets of real numbers: unions of intervals and points.

#ifndef PONDER_REWARD_MATH_REAL_SET_H_
#define PONDER_REWARD_MATH_REAL_SET_H_

#include <optional>
#include <vector>

#include "reward/math/budget.h"
#include "reward/math/expr.h"

namespace ponder::math {

// From `low` to `high`; kNoId is minus or plus infinity.
struct Interval {
  Id low = kNoId;
  Id high = kNoId;
  bool low_closed = false;
  bool high_closed = false;
};

using RealSet = std::vector<Interval>;

// The set that an expression names: intervals, finite sets of numbers, unions,
// intersections, differences, R, {x | x > 3}. Sorted, without overlaps.
// Nothing if it isn't one, or its order can't be decided.
std::optional<RealSet> RealSetOf(Arena* arena, Id id, Budget* budget);

// The solutions of inequalities in one variable (or one term such as f(x) or
// |z|): linear ones, quadratic ones with rational numbers, and chains and
// lists of them.
std::optional<RealSet> SolutionsOf(Arena* arena, Id relation, Budget* budget);

bool SameRealSet(const Arena& arena, const RealSet& a, const RealSet& b,
                 Budget* budget);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_REAL_SET_H_
