// A tree as a person reads it.

#ifndef PONDER_REWARD_MATH_EXPR_TEXT_H_
#define PONDER_REWARD_MATH_EXPR_TEXT_H_

#include <string>

#include "reward/math/expr.h"

namespace ponder::math {

// Plain text with every bracket that shows how the tree was read, such as
// "(1/2)*x + sqrt(3)", "{1, 2}", "[0, 1)", "x > 3". At most `max_bytes` and an
// ellipsis.
std::string ExprText(const Arena& arena, Id id, size_t max_bytes = 500);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_EXPR_TEXT_H_
