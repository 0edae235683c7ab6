// Arithmetic with matrices of expressions.

#ifndef PONDER_REWARD_MATH_MATRICES_H_
#define PONDER_REWARD_MATH_MATRICES_H_

#include "reward/math/budget.h"
#include "reward/math/expr.h"

namespace ponder::math {

// The one matrix that sums, products, multiples and powers up to 8 of matrices
// make. kNoId if `id` is none or its sizes don't fit.
Id MatrixOf(Arena* arena, Id id, Budget* budget);

// Of at most four rows; kNoId for others. REQUIRES: Op::kMatrix.
Id Determinant(Arena* arena, Id matrix);

// REQUIRES: Op::kMatrix.
Id Transposed(Arena* arena, Id matrix);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_MATRICES_H_
