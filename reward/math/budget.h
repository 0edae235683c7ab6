// How much work one verification may still do.

#ifndef PONDER_REWARD_MATH_BUDGET_H_
#define PONDER_REWARD_MATH_BUDGET_H_

#include <cstdint>

#include "reward/math/limits.h"

namespace ponder::math {

// Counted in steps (limits.h), not in time: the same input costs the same on
// every machine. Not thread-safe.
class Budget {
 public:
  explicit Budget(int64_t steps = kMaxSteps) : left_(steps) {}

  // False, now and from now on, if there are not as many steps left.
  bool Spend(int64_t steps) {
    left_ -= steps;
    return left_ >= 0;
  }
  bool exhausted() const { return left_ < 0; }
  int64_t left() const { return left_; }

 private:
  int64_t left_;
};

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_BUDGET_H_
