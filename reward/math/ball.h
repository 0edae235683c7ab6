// Values as complex numbers with a bound on their error, by Arb's ball
// arithmetic (Johansson, IEEE Trans. Computers 66(8), 2017).

#ifndef PONDER_REWARD_MATH_BALL_H_
#define PONDER_REWARD_MATH_BALL_H_

#include <cstdint>

#include "acb.h"
#include "reward/math/budget.h"
#include "reward/math/exact.h"
#include "reward/math/expr.h"

namespace ponder::math {

// A complex number with an error bound. Not thread-safe.
class Ball {
 public:
  Ball() { acb_init(value_); }
  Ball(const Ball& other) : Ball() { acb_set(value_, other.value_); }
  Ball(Ball&& other) noexcept : Ball() { acb_swap(value_, other.value_); }
  Ball& operator=(const Ball& other) {
    acb_set(value_, other.value_);
    return *this;
  }
  Ball& operator=(Ball&& other) noexcept {
    acb_swap(value_, other.value_);
    return *this;
  }
  ~Ball() { acb_clear(value_); }

  acb_ptr get() { return value_; }
  acb_srcptr get() const { return value_; }
  arb_ptr re() { return acb_realref(value_); }
  arb_srcptr re() const { return acb_realref(value_); }
  arb_srcptr im() const { return acb_imagref(value_); }

  bool is_finite() const { return acb_is_finite(value_); }
  // The imaginary part is, or within its error can be, zero.
  bool is_real() const { return arb_contains_zero(im()); }

 private:
  acb_t value_;
};

// kReal: roots and logarithms of negative numbers are undefined.
enum class Field { kReal, kComplex };

// The value with symbols as in `point`; not finite where it is undefined, a
// symbol has no value, the tree is no number, or the work is too much.
Ball BallValue(const Arena& arena, Id id, const Bindings& point, Field field,
               int64_t precision_bits, Budget* budget);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_BALL_H_
