#include "reward/math/tree_compare.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "reward/math/exact.h"
#include "reward/math/limits.h"
#include "reward/math/prepare.h"
#include "reward/math/statements.h"
#include "reward/math/units.h"

namespace ponder::math {
namespace {

bool HasDecimal(const Arena& arena, Id id) {
  if (arena.Is(id, Op::kNumber)) return (arena.node(id).flag & kDecimal) != 0;
  const absl::Span<const Id> parts = arena.children(id);
  return std::any_of(parts.begin(), parts.end(),
                     [&](Id part) { return HasDecimal(arena, part); });
}

}  // namespace

Outcome Comparer::Same(Id gold, Id answer) {
  if (++depth_ > kMaxDepth) {
    --depth_;
    return Outcome::kBeyond;
  }
  const Id prepared_gold = Prepared(&arena_, gold, &budget_);
  const Id prepared_answer = Prepared(&arena_, answer, &budget_);
  const Outcome outcome = SamePrepared(prepared_gold, prepared_answer);
  --depth_;
  return outcome;
}

Outcome Comparer::SamePrepared(Id gold, Id answer) {
  const Op g = arena_.op(gold);
  const Op a = arena_.op(answer);
  if (g == Op::kMember || a == Op::kMember) return SameMembers(gold, answer);
  // (x, y) = (1, 2) against y = 2, x = 1 and against (y, x) = (2, 1)
  const auto names_values = [&](Id id) {
    return IsTupleAssignment(arena_, id) ||
           (arena_.Is(id, Op::kList) && AllAssignments(arena_, id));
  };
  if ((IsTupleAssignment(arena_, gold) || IsTupleAssignment(arena_, answer)) &&
      names_values(gold) && names_values(answer)) {
    return SameUnorderedItems(Separated(gold), Separated(answer));
  }
  if (g == Op::kRelation && a == Op::kRelation) {
    return SameRelations(gold, answer);
  }
  if (g == Op::kRelation || a == Op::kRelation) {
    return RelationAgainst(g == Op::kRelation ? gold : answer,
                           g == Op::kRelation ? answer : gold,
                           g == Op::kRelation);
  }
  if (g == Op::kCongruence || a == Op::kCongruence) {
    return SameCongruences(gold, answer);
  }
  if (IsSetExpression(g) || IsSetExpression(a)) {
    return SameSetExpressions(gold, answer);
  }
  if (g == Op::kMatrix || a == Op::kMatrix) return SameMatrices(gold, answer);
  if (IsCollection(g) || IsCollection(a)) return SameItems(gold, answer);
  rule_ = "as numbers or expressions";
  return SameValues(gold, answer);
}

Outcome Comparer::SameMembers(Id gold, Id answer) {
  const auto set_of = [&](Id id) {
    return arena_.Is(id, Op::kMember) ? arena_.child(id, 1) : id;
  };
  const auto subject_is_name = [&](Id id) {
    return !arena_.Is(id, Op::kMember) || IsName(arena_, arena_.child(id, 0));
  };
  if (!subject_is_name(gold) || !subject_is_name(answer)) {
    return Outcome::kDifferent;
  }
  return Same(set_of(gold), set_of(answer));
}

Outcome Comparer::SameCongruences(Id gold, Id answer) {
  rule_ = "as congruences";
  if (!arena_.Is(gold, Op::kCongruence)) {
    // x \equiv 3 \pmod 7 says 3.
    return IsCollection(arena_.op(gold)) ? Outcome::kDifferent
                                         : Same(gold, arena_.child(answer, 1));
  }
  if (!arena_.Is(answer, Op::kCongruence)) return Outcome::kDifferent;
  const std::optional<Rational> m =
      ExactValue(arena_, arena_.child(gold, 2), &budget_);
  const std::optional<Rational> n =
      ExactValue(arena_, arena_.child(answer, 2), &budget_);
  if (!m.has_value() || !n.has_value() || !(*m == *n) || m->is_zero()) {
    return Outcome::kDifferent;
  }
  if (Same(arena_.child(gold, 0), arena_.child(answer, 0)) != Outcome::kSame) {
    return Outcome::kDifferent;
  }
  const Id difference = arena_.MakeFunction(
      Function::kMod,
      {arena_.Make(Op::kAdd, {arena_.child(gold, 1),
                              arena_.MakeNeg(arena_.child(answer, 1))}),
       arena_.child(gold, 2)});
  return SameScalar(arena_, difference, arena_.MakeNumber(0), &budget_);
}

// --- Numbers and expressions -------------------------------------------------

Outcome Comparer::SameValues(Id gold, Id answer) {
  const int g = InfinityOf(arena_, gold);
  const int a = InfinityOf(arena_, answer);
  if (g != 0 || a != 0) {
    return g == a ? Outcome::kSame : Outcome::kDifferent;
  }
  if (arena_.Is(gold, Op::kUnit) || arena_.Is(answer, Op::kUnit)) {
    return SameQuantities(gold, answer);
  }
  if (arena_.Is(gold, Op::kPercent) != arena_.Is(answer, Op::kPercent)) {
    return PercentAgainst(gold, answer);
  }
  if (arena_.Is(gold, Op::kDegree) || arena_.Is(answer, Op::kDegree)) {
    return SameDegrees(gold, answer);
  }
  if (arena_.Is(gold, Op::kBased)) return SameBased(gold, answer);
  if (arena_.Is(gold, Op::kRatio) && arena_.Is(answer, Op::kRatio)) {
    return SameRatios(gold, answer);
  }
  if (arena_.Is(gold, Op::kRatio) || arena_.Is(answer, Op::kRatio)) {
    const Id ratio = arena_.Is(gold, Op::kRatio) ? gold : answer;
    const Id other = arena_.Is(gold, Op::kRatio) ? answer : gold;
    if (arena_.node(ratio).count != 2) return Outcome::kDifferent;
    return Close(
        arena_.Make(Op::kDiv, {arena_.child(ratio, 0), arena_.child(ratio, 1)}),
        other);
  }
  return Close(gold, answer);
}

// 28% is 28 and is 0.28.
Outcome Comparer::PercentAgainst(Id gold, Id answer) {
  const Id plain = arena_.Is(gold, Op::kPercent) ? answer : gold;
  const Id percent = arena_.Is(gold, Op::kPercent) ? gold : answer;
  const Id hundred = arena_.child(percent, 0);
  const Outcome outcome = Close(hundred, plain);
  return outcome == Outcome::kSame ? outcome : Close(percent, plain);
}

Outcome Comparer::SameDegrees(Id gold, Id answer) {
  if (arena_.Is(gold, Op::kDegree) && arena_.Is(answer, Op::kDegree)) {
    return Close(arena_.child(gold, 0), arena_.child(answer, 0));
  }
  const Id plain = arena_.Is(gold, Op::kDegree) ? answer : gold;
  const Id degree = arena_.Is(gold, Op::kDegree) ? gold : answer;
  // 180 degrees are written 180; but pi degrees are not pi.
  const Outcome outcome = arena_.Contains(degree, Op::kPi)
                              ? Outcome::kDifferent
                              : SameValues(arena_.child(degree, 0), plain);
  if (outcome == Outcome::kSame) return outcome;
  // 180 degrees are pi, and arccos(1/2) is an angle; 3.14 is none.
  return ExactValue(arena_, plain, &budget_).has_value() ? outcome
                                                         : Close(degree, plain);
}

// 204_5 against 204_5 and 204. Against 54 only where the answer is to the base.
Outcome Comparer::SameBased(Id gold, Id answer) {
  rule_ = "as numerals";
  if (arena_.Is(answer, Op::kBased)) {
    const Outcome radix = SameScalar(arena_, arena_.child(gold, 1),
                                     arena_.child(answer, 1), &budget_);
    if (radix != Outcome::kSame) return Outcome::kDifferent;
    return SameScalar(arena_, gold, answer, &budget_);
  }
  // The same digits, the base left out.
  return SameScalar(arena_, arena_.child(gold, 0), answer, &budget_);
}

Outcome Comparer::SameRatios(Id gold, Id answer) {
  rule_ = "as ratios";
  const int count = arena_.node(gold).count;
  if (count != arena_.node(answer).count) return Outcome::kDifferent;
  const Outcome parts = SameInOrder(gold, answer);
  if (parts == Outcome::kSame) return parts;
  // 1:2 = 2:4; a time of day such as 12:00 is no ratio.
  for (int k = 1; k < count; ++k) {
    const Id left =
        arena_.Make(Op::kMul, {arena_.child(gold, 0), arena_.child(answer, k)});
    const Id right =
        arena_.Make(Op::kMul, {arena_.child(gold, k), arena_.child(answer, 0)});
    for (const Id part : {arena_.child(gold, k), arena_.child(answer, k)}) {
      const std::optional<Rational> exact = ExactValue(arena_, part, &budget_);
      if (exact.has_value() && exact->is_zero()) return Outcome::kDifferent;
    }
    const Outcome outcome = SameScalar(arena_, left, right, &budget_);
    if (outcome != Outcome::kSame) return outcome;
  }
  return Outcome::kSame;
}

Outcome Comparer::SameQuantities(Id gold, Id answer) {
  rule_ = "as quantities";
  const bool g = arena_.Is(gold, Op::kUnit);
  const bool a = arena_.Is(answer, Op::kUnit);
  const Id x = g ? arena_.child(gold, 0) : gold;
  const Id y = a ? arena_.child(answer, 0) : answer;
  if (!g || !a) {
    const Id plain = g ? answer : gold;
    const Id quantity = g ? gold : answer;
    if (arena_.Is(plain, Op::kPercent)) return Outcome::kDifferent;
    if (arena_.Is(plain, Op::kDegree)) {
      const Unit unit = ParseUnit(arena_.name(quantity));
      if (unit.dimension == "radian") {
        return Close(plain, arena_.child(quantity, 0));
      }
      if (unit.known) return Outcome::kDifferent;
    }
    // A unit that only one of them names is taken for granted.
    return SameValues(x, y);
  }
  const Unit u = ParseUnit(arena_.name(gold));
  const Unit v = ParseUnit(arena_.name(answer));
  const auto is_count = [](const Unit& unit) {
    return absl::StartsWith(unit.dimension, "unit");
  };
  if (is_count(u) != is_count(v)) return SameValues(x, y);
  const auto noun = [](const Unit& unit) {
    const size_t space = unit.dimension.rfind(' ');
    return space == std::string::npos ? unit.dimension
                                      : unit.dimension.substr(space + 1);
  };
  // "red apples" are apples.
  const bool same_noun = !u.known && !v.known && noun(u) == noun(v);
  if (u.dimension != v.dimension && !same_noun) {
    rule_ = "the units differ";
    return Outcome::kDifferent;
  }
  if (u.factor == v.factor) return SameValues(x, y);
  return Close(arena_.Make(Op::kMul, {x, arena_.MakeNumber(u.factor)}),
               arena_.Make(Op::kMul, {y, arena_.MakeNumber(v.factor)}));
}

Outcome Comparer::Close(Id gold, Id answer) {
  if (IsCollection(arena_.op(gold)) || IsCollection(arena_.op(answer))) {
    return Outcome::kDifferent;
  }
  if (options_.any_variable_names) answer = Renamed(gold, answer);
  const Outcome outcome = SameScalar(arena_, gold, answer, &budget_);
  if (outcome != Outcome::kDifferent) return outcome;
  if (!HasDecimal(arena_, gold) && !HasDecimal(arena_, answer)) return outcome;
  std::vector<int32_t> names;
  CollectSymbols(arena_, gold, &names);
  CollectSymbols(arena_, answer, &names);
  if (!names.empty()) return outcome;
  if (!CloseAsDecimals(arena_, gold, answer, options_.float_rounding,
                       &budget_)) {
    return outcome;
  }
  rule_ = "as decimals, rounded";
  return Outcome::kSame;
}

// The answer with the gold's variables, in the order in which they come.
Id Comparer::Renamed(Id gold, Id answer) {
  std::vector<int32_t> wanted;
  std::vector<int32_t> got;
  CollectSymbols(arena_, gold, &wanted);
  CollectSymbols(arena_, answer, &got);
  if (wanted.size() != got.size()) return answer;
  for (size_t k = 0; k < got.size(); ++k) {
    answer = arena_.Substitute(answer, got[k],
                               arena_.MakeSymbol(absl::StrCat("\x01", k)));
  }
  for (size_t k = 0; k < got.size(); ++k) {
    answer = arena_.Substitute(answer, arena_.Name(absl::StrCat("\x01", k)),
                               arena_.Make(Op::kSymbol, {}, wanted[k]));
  }
  return answer;
}

Id Comparer::Difference(Id left, Id right) {
  return arena_.Make(Op::kAdd, {left, arena_.MakeNeg(right)});
}

}  // namespace ponder::math
