// Brings trees into the form in which they are compared.

#ifndef PONDER_REWARD_MATH_PREPARE_H_
#define PONDER_REWARD_MATH_PREPARE_H_

#include "reward/math/budget.h"
#include "reward/math/expr.h"

namespace ponder::math {

// Without determinants, and without gcd and lcm of what has variables.
Id Simplified(Arena* arena, Id id, Budget* budget);

// Sums, products and multiples of matrices as one matrix; \pm as a set;
// "n = 1, 2, 3" and "k\pi, k \in Z" as the list of what they list. Of the root
// only: what is inside is prepared when it is compared.
Id Prepared(Arena* arena, Id id, Budget* budget);

// Items of a list or set with \pm in them as one item for each choice of signs.
Id Spliced(Arena* arena, Id id);

// True if a logarithm in it names no base.
bool HasBareLog(const Arena& arena, Id id);

// With base 10 for these.
Id WithDecimalLog(Arena* arena, Id id);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_PREPARE_H_
