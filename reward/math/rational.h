// Exact rational numbers: FLINT's fmpq with an owner.

#ifndef PONDER_REWARD_MATH_RATIONAL_H_
#define PONDER_REWARD_MATH_RATIONAL_H_

#include <cstdint>
#include <utility>

#include "flint/fmpq.h"

namespace ponder::math {

// A number in lowest terms, denominator above 0. Not thread-safe.
class Rational {
 public:
  Rational() { fmpq_init(value_); }
  explicit Rational(int64_t numerator) : Rational() {
    fmpz_set_si(fmpq_numref(value_), numerator);
  }
  Rational(const Rational& other) : Rational() {
    fmpq_set(value_, other.value_);
  }
  Rational(Rational&& other) noexcept : Rational() {
    fmpq_swap(value_, other.value_);
  }
  Rational& operator=(const Rational& other) {
    fmpq_set(value_, other.value_);
    return *this;
  }
  Rational& operator=(Rational&& other) noexcept {
    fmpq_swap(value_, other.value_);
    return *this;
  }
  ~Rational() { fmpq_clear(value_); }

  fmpq* get() { return value_; }
  const fmpq* get() const { return value_; }
  fmpz* num() { return fmpq_numref(value_); }
  const fmpz* num() const { return fmpq_numref(value_); }
  fmpz* den() { return fmpq_denref(value_); }
  const fmpz* den() const { return fmpq_denref(value_); }

  bool is_zero() const { return fmpq_is_zero(value_); }
  bool is_integer() const { return fmpz_is_one(den()); }
  int sign() const { return fmpq_sgn(value_); }
  // Of the numerator and the denominator together.
  int64_t bits() const {
    return static_cast<int64_t>(fmpz_bits(num()) + fmpz_bits(den()));
  }
  // True if it is an integer of at most 62 bits.
  bool is_small() const { return is_integer() && fmpz_bits(num()) <= 62; }
  int64_t small() const { return fmpz_get_si(num()); }  // REQUIRES: is_small().

  friend bool operator==(const Rational& a, const Rational& b) {
    return fmpq_equal(a.value_, b.value_);
  }

 private:
  fmpq_t value_;
};

// *value = 10^exponent
inline void TenToThe(Rational* value, unsigned exponent) {
  fmpz_set_ui(value->num(), 10);
  fmpz_pow_ui(value->num(), value->num(), exponent);
  fmpz_one(value->den());
}

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_RATIONAL_H_
