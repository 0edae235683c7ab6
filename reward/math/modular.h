// Identity testing by arithmetic modulo large primes.
//
// A rational function over Q(i) is evaluated at a random point of the field of
// p elements, p a prime of 62 bits with p = 1 (mod 4), so that i is a root of
// -1. Two different functions of degree at most d agree at a random point with
// probability at most d / p (Schwartz 1980, Zippel 1979).

#ifndef PONDER_REWARD_MATH_MODULAR_H_
#define PONDER_REWARD_MATH_MODULAR_H_

#include <cstdint>
#include <optional>

#include "reward/math/budget.h"
#include "reward/math/exact.h"
#include "reward/math/expr.h"

namespace ponder::math {

inline constexpr int kNumPrimes = 12;

// One point: values for all symbols, pi and e, from `seed`. What is no
// rational function (a root, sin, |x|) is one more symbol, told apart by its
// arguments' values: equal trees stay equal. Not thread-safe.
class ModularEvaluator {
 public:
  // `prime` is a number below kNumPrimes.
  ModularEvaluator(const Arena& arena, int prime, uint64_t seed,
                   Budget* budget);

  // Nothing if a denominator is zero there, or the work too much.
  std::optional<uint64_t> Of(Id id);

  // Something was met that is no rational function of algebraically
  // independent symbols: then different values don't mean different numbers.
  bool met_opaque() const { return met_opaque_; }
  // A denominator was zero.
  bool divided_by_zero() const { return divided_by_zero_; }
  uint64_t prime() const { return p_; }

  uint64_t Multiply(uint64_t a, uint64_t b) const {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(a) * b % p_);
  }

 private:
  std::optional<uint64_t> Call(Id id);
  std::optional<uint64_t> Series(Id id);
  std::optional<uint64_t> Power(Id id);
  std::optional<uint64_t> Opaque(Id id);
  std::optional<uint64_t> Inverse(uint64_t a);
  uint64_t Raise(uint64_t base, uint64_t exponent) const;
  uint64_t OfNumber(const Rational& number, bool* defined);
  uint64_t Random(uint64_t a, uint64_t b) const;

  const Arena& arena_;
  uint64_t p_;
  uint64_t i_;  // A square root of -1.
  uint64_t seed_;
  Budget& budget_;
  Bindings bindings_;  // Of bound variables.
  bool met_opaque_ = false;
  bool divided_by_zero_ = false;
  bool met_pi_ = false;
  bool met_e_ = false;
};

// At most the degree of numerator and denominator together, as a rational
// function of its symbols.
double DegreeBound(const Arena& arena, Id id);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_MODULAR_H_
