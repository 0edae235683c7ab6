#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "reward/math/statements.h"
#include "reward/math/tree_compare.h"

namespace ponder::math {
namespace {

// a < b <= c
struct Chain {
  std::vector<Id> sides;
  std::vector<Relation> relations;
};

// With < instead of >.
Chain Ascending(const Arena& arena, Id id) {
  Chain chain;
  const absl::Span<const Id> sides = arena.children(id);
  chain.sides.assign(sides.begin(), sides.end());
  for (int k = 0; k + 1 < arena.node(id).count; ++k) {
    chain.relations.push_back(arena.relation(id, k));
  }
  const Relation first = chain.relations[0];
  if (first == Relation::kGt || first == Relation::kGe) {
    std::reverse(chain.sides.begin(), chain.sides.end());
    std::reverse(chain.relations.begin(), chain.relations.end());
    for (Relation& relation : chain.relations) relation = Reversed(relation);
  }
  return chain;
}

}  // namespace

Outcome Comparer::SameRelations(Id gold, Id answer) {
  rule_ = "as equations or inequalities";
  const bool equations = IsEquation(arena_, gold);
  if (equations != IsEquation(arena_, answer)) return Outcome::kDifferent;
  return equations ? SameEquations(gold, answer)
                   : SameInequalities(gold, answer);
}

Outcome Comparer::SameEquations(Id gold, Id answer) {
  const Id gold_left = arena_.child(gold, 0);
  const Id answer_left = arena_.child(answer, 0);
  const Id gold_right = LastSide(arena_, gold);
  const Id answer_right = LastSide(arena_, answer);
  const bool named = IsName(arena_, gold_left) && IsName(arena_, answer_left);
  if (arena_.node(gold).count > 2 && arena_.node(answer).count > 2) {
    return SameChains(gold, answer);
  }
  if (!EndsInItsMiddle(gold) || !EndsInItsMiddle(answer)) {
    rule_ = "the calculation in the answer is wrong";
    return Outcome::kDifferent;
  }
  if (named && SameNames(gold_left, answer_left)) {
    const Outcome values =
        Same(gold_right, WithVariableOf(gold_left, answer_left, answer_right));
    if (values == Outcome::kSame || IsCollection(arena_.op(gold_right)) ||
        IsCollection(arena_.op(answer_right))) {
      return values;
    }
  }
  for (const Id side : {gold_left, gold_right, answer_left, answer_right}) {
    if (IsCollection(arena_.op(side)) ||
        arena_.Contains(side, Op::kPlusMinus)) {
      return Outcome::kDifferent;
    }
  }
  const Id f = Difference(gold_left, gold_right);
  const Id h = Difference(answer_left, answer_right);
  return SameUpToFactor(arena_, f, h, /*positive=*/false, &budget_);
}

// a = b = c, side by side.
Outcome Comparer::SameChains(Id gold, Id answer) {
  const int sides = arena_.node(gold).count;
  if (sides != arena_.node(answer).count) return Outcome::kDifferent;
  for (int k = 0; k + 1 < sides; ++k) {
    const Outcome link = SameUpToFactor(
        arena_, Difference(arena_.child(gold, k), arena_.child(gold, k + 1)),
        Difference(arena_.child(answer, k), arena_.child(answer, k + 1)),
        /*positive=*/false, &budget_);
    if (link != Outcome::kSame) return link;
  }
  return Outcome::kSame;
}

// Of f(x) = ... and f(t) = ... the right side of the second with x.
Id Comparer::WithVariableOf(Id gold_left, Id answer_left, Id answer_right) {
  for (const Id left : {gold_left, answer_left}) {
    if (!arena_.Is(left, Op::kApply) || arena_.node(left).count != 1 ||
        !arena_.Is(arena_.child(left, 0), Op::kSymbol)) {
      return answer_right;
    }
  }
  return arena_.Substitute(answer_right,
                           arena_.node(arena_.child(answer_left, 0)).value,
                           arena_.child(gold_left, 0));
}

// The same, or the same number written otherwise: 42_{10} = 52_8.
bool Comparer::SameNumber(Id a, Id b) {
  return Same(a, b) == Outcome::kSame ||
         (!IsCollection(arena_.op(a)) && !IsCollection(arena_.op(b)) &&
          SameScalar(arena_, a, b, &budget_) == Outcome::kSame);
}

// Of x = 5 + 6 = 11 some number in the middle is the last, if there are any.
bool Comparer::EndsInItsMiddle(Id equation) {
  bool numbers = false;
  for (int k = 1; k + 1 < arena_.node(equation).count; ++k) {
    const Id side = arena_.child(equation, k);
    if (HasSymbols(arena_, side)) continue;
    numbers = true;
    if (Same(side, LastSide(arena_, equation)) == Outcome::kSame) return true;
  }
  return !numbers;
}

bool Comparer::SameNames(Id a, Id b) {
  if (arena_.SameTree(a, b)) return true;
  // y = x + 1 and f(x) = x + 1
  const auto is_y = [&](Id id) {
    return arena_.Is(id, Op::kSymbol) && arena_.name(id) == "y";
  };
  const auto is_function = [&](Id id) {
    return arena_.Is(id, Op::kApply) && arena_.node(id).count == 1 &&
           arena_.Is(arena_.child(id, 0), Op::kSymbol);
  };
  if ((is_y(a) && is_function(b)) || (is_function(a) && is_y(b))) return true;
  if (!arena_.Is(a, Op::kApply) || !arena_.Is(b, Op::kApply) ||
      arena_.node(a).value != arena_.node(b).value ||
      arena_.node(a).count != arena_.node(b).count) {
    return false;
  }
  // W(n) and W(x) name the same function in two variables.
  return (is_function(a) && is_function(b)) ||
         Same(arena_.child(a, 0), arena_.child(b, 0)) == Outcome::kSame;
}

Outcome Comparer::SameInequalities(Id gold, Id answer) {
  const Chain x = Ascending(arena_, gold);
  const Chain y = Ascending(arena_, answer);
  if (x.relations == y.relations) {
    bool same = true;
    for (size_t k = 0; k < x.sides.size() && same; ++k) {
      same = Same(x.sides[k], y.sides[k]) == Outcome::kSame;
    }
    if (same) return Outcome::kSame;
  }
  // a < b and c < d: a - b = factor * (c - d)
  if (x.relations.size() == 1 && y.relations.size() == 1 &&
      x.relations[0] == y.relations[0]) {
    const Id f = Difference(x.sides[0], x.sides[1]);
    const Id h = Difference(y.sides[0], y.sides[1]);
    if (!arena_.Contains(f, Op::kInfinity) &&
        !arena_.Contains(h, Op::kInfinity)) {
      const bool positive = x.relations[0] != Relation::kNe;
      const Outcome outcome = SameUpToFactor(arena_, f, h, positive, &budget_);
      if (outcome == Outcome::kSame) return outcome;
    }
  }
  const std::optional<RealSet> s = SolutionsOf(&arena_, gold, &budget_);
  const std::optional<RealSet> t =
      s.has_value() ? SolutionsOf(&arena_, answer, &budget_) : std::nullopt;
  if (budget_.exhausted()) return Outcome::kBeyond;
  if (!s.has_value() || !t.has_value()) return Outcome::kDifferent;
  if (!SameSubject(gold, answer)) return Outcome::kDifferent;
  rule_ = "as sets of solutions";
  return SameRealSets(*s, *t);
}

bool Comparer::SameSubject(Id a, Id b) {
  std::vector<int32_t> x;
  std::vector<int32_t> y;
  CollectSymbols(arena_, a, &x);
  CollectSymbols(arena_, b, &y);
  std::sort(x.begin(), x.end());
  std::sort(y.begin(), y.end());
  return x == y || options_.any_variable_names;
}

Outcome Comparer::RelationAgainst(Id relation, Id other,
                                  bool gold_is_relation) {
  if (IsEquation(arena_, relation)) {
    return EquationAgainst(relation, other, gold_is_relation);
  }
  if (!gold_is_relation && !options_.inequality_for_set) {
    rule_ = "an inequality is not taken for a set";
    return Outcome::kDifferent;
  }
  const Op op = arena_.op(other);
  if (op == Op::kList && arena_.Is(arena_.child(other, 0), Op::kRelation)) {
    return SameSetExpressions(relation, other);
  }
  if (!IsSetExpression(op) && op != Op::kTuple && op != Op::kSet) {
    return Outcome::kDifferent;
  }
  rule_ = "as sets of solutions";
  const std::optional<RealSet> solutions =
      SolutionsOf(&arena_, relation, &budget_);
  const std::optional<RealSet> set = RealSetOf(&arena_, other, &budget_);
  if (budget_.exhausted()) return Outcome::kBeyond;
  if (!solutions.has_value() || !set.has_value()) return Outcome::kDifferent;
  return SameRealSets(*solutions, *set);
}

Outcome Comparer::EquationAgainst(Id equation, Id other,
                                  bool gold_is_equation) {
  const Id value = LastSide(arena_, equation);
  // x = 6 = 5 is no way to say 5.
  bool right = true;
  for (int k = 1; k + 1 < arena_.node(equation).count; ++k) {
    const Id side = arena_.child(equation, k);
    right &= HasSymbols(arena_, side) || SameNumber(side, value);
  }
  if (!right) {
    rule_ = "the calculation in the answer is wrong";
    return Outcome::kDifferent;
  }
  const Id first = arena_.child(equation, 0);
  if (IsAssignment(arena_, equation)) {
    return Ordered(value, other, gold_is_equation);
  }
  // 2(k + 1) = 2k + 2
  if (HasSymbols(arena_, first) && HasSymbols(arena_, value) &&
      !IsName(arena_, value) && Same(first, value) == Outcome::kSame) {
    return Ordered(value, other, gold_is_equation);
  }
  // 5 = x
  if (arena_.node(equation).count == 2 && IsName(arena_, value) &&
      !HasSymbols(arena_, first)) {
    return Ordered(first, other, gold_is_equation);
  }
  // Of an answer m + n = 5 and \sin A = 1/2 say what they say; x^2 = 5 is
  // not solved yet.
  if (!gold_is_equation && HasSymbols(arena_, first) &&
      !HasSymbols(arena_, value) && !IsUnsolved(arena_, first)) {
    const std::optional<int> sign = SignOf(arena_, value, &budget_);
    if (sign.has_value() && *sign == 0) return Outcome::kDifferent;
    return Same(other, value);
  }
  // \sqrt{4} = 2 is a calculation, if it is right.
  std::vector<int32_t> names;
  CollectSymbols(arena_, equation, &names);
  if (!names.empty()) return Outcome::kDifferent;
  for (int k = 0; k + 1 < arena_.node(equation).count; ++k) {
    if (!SameNumber(arena_.child(equation, k), arena_.child(equation, k + 1))) {
      rule_ = "the calculation in the answer is wrong";
      return Outcome::kDifferent;
    }
  }
  return Ordered(value, other, gold_is_equation);
}

Outcome Comparer::Ordered(Id x, Id y, bool x_is_gold) {
  return x_is_gold ? Same(x, y) : Same(y, x);
}

}  // namespace ponder::math
