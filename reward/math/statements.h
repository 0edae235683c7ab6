// What kind of answer a tree is: a value, a collection, an equation that says
// what something is.

#ifndef PONDER_REWARD_MATH_STATEMENTS_H_
#define PONDER_REWARD_MATH_STATEMENTS_H_

#include "reward/math/expr.h"

namespace ponder::math {

// Lists, sets, points, matrices and statements: no number and no expression.
bool IsCollection(Op op);

// What names a set of more than one item: unions, R, {x | x > 3}.
bool IsSetExpression(Op op);

// Brackets of which one is square: an interval, not a point or a list.
bool IsInterval(const Arena& arena, Id id);

// True if a variable or a function without meaning is in it.
bool HasSymbols(const Arena& arena, Id id);

// -1 or 1 for minus or plus infinity; 0 for the rest.
int InfinityOf(const Arena& arena, Id id);

// --- Equations ---------------------------------------------------------------

// True for a = b and a = b = c.
bool IsEquation(const Arena& arena, Id id);

// REQUIRES: a relation.
Id LastSide(const Arena& arena, Id id);

// What names a value: x, f(x), AB, (p, q), A:B, xy.
bool IsName(const Arena& arena, Id id);

// An equation whose left side is a name: x = 3.
bool IsAssignment(const Arena& arena, Id id);

// (x, y) = (1, 2)
bool IsTupleAssignment(const Arena& arena, Id id);

// The left side of an equation in one variable, without sin, log or the like.
bool IsUnsolved(const Arena& arena, Id side);

// --- Lists of assignments ----------------------------------------------------

// True for a list or set of assignments, at least one.
bool AllAssignments(const Arena& arena, Id list);

// All of them are of the same name. REQUIRES: AllAssignments().
bool HaveOneName(const Arena& arena, Id list);

// x_1 and x_2, or x and x: the order means nothing. REQUIRES: AllAssignments().
bool HaveOneLetter(const Arena& arena, Id list);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_STATEMENTS_H_
