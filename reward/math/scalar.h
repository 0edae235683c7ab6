// Whether two scalar expressions are the same number or function.

#ifndef PONDER_REWARD_MATH_SCALAR_H_
#define PONDER_REWARD_MATH_SCALAR_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "reward/math/budget.h"
#include "reward/math/expr.h"

namespace ponder::math {

enum class Outcome {
  kSame,
  kDifferent,
  kUndecided,  // Within the limits, but without an answer.
  kUndefined,  // One of them has no value: 1/0.
  kBeyond,     // Too much work.
};

// Numbers of the symbols in `id` that are not bound by a sum or an integral.
void CollectSymbols(const Arena& arena, Id id, std::vector<int32_t>* names);

// Equality, in this order:
//   rational numbers       exactly
//   rational functions     modulo several primes of 62 bits (modular.h); the
//                          probability that different ones count as the same
//                          is below 2^-60
//   the rest               balls (ball.h): constants are told apart with 256
//                          bits and are the same if 640 bits do not tell them
//                          apart; functions are compared with 256 bits at
//                          points that depend on the symbols' names alone, of
//                          which at least three must be in both domains.
// Variables are real; if functions with factorials, binomials, sums or (-1)^n
// in them differ at real points, they are compared at natural numbers.
Outcome SameScalar(const Arena& arena, Id a, Id b, Budget* budget);

// Whether a = c * b with a number c, not 0, for all values of the symbols:
// whether a = 0 and b = 0 are the same equation. `positive`: c must be above
// 0. Neither may be 0 everywhere.
Outcome SameUpToFactor(const Arena& arena, Id a, Id b, bool positive,
                       Budget* budget);

// True if it has a value: of a constant a finite one, of a function a real one
// at some of the points (a complex one if i is in it).
bool HasValue(const Arena& arena, Id id, Budget* budget);

// -1, 0 or 1 if `id` is a real number with that sign.
std::optional<int> SignOf(const Arena& arena, Id id, Budget* budget);

// Whether two real numbers are as close as a decimal and what it rounds: at
// most half a unit of decimal number `rounding` apart, rounded, and no more
// than a thousandth of the larger one.
bool CloseAsDecimals(const Arena& arena, Id a, Id b, int rounding,
                     Budget* budget);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_SCALAR_H_
