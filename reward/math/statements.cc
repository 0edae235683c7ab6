#include "reward/math/statements.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "reward/math/expr_text.h"
#include "reward/math/scalar.h"

namespace ponder::math {
namespace {

// True if a function other than |x| is in it.
bool HasFunction(const Arena& arena, Id id) {
  if (arena.Is(id, Op::kFunction) && !arena.Is(id, Function::kAbs)) return true;
  const absl::Span<const Id> parts = arena.children(id);
  return std::any_of(parts.begin(), parts.end(),
                     [&](Id part) { return HasFunction(arena, part); });
}

}  // namespace

bool IsCollection(Op op) {
  switch (op) {
    case Op::kTuple:
    case Op::kList:
    case Op::kSet:
    case Op::kSetBuilder:
    case Op::kNamedSet:
    case Op::kUnion:
    case Op::kIntersection:
    case Op::kSetMinus:
    case Op::kMatrix:
    case Op::kRelation:
    case Op::kMember:
    case Op::kCongruence:
    case Op::kEllipsis:
      return true;
    default:
      return false;
  }
}

bool IsSetExpression(Op op) {
  switch (op) {
    case Op::kSetBuilder:
    case Op::kNamedSet:
    case Op::kUnion:
    case Op::kIntersection:
    case Op::kSetMinus:
      return true;
    default:
      return false;
  }
}

Id LastSide(const Arena& arena, Id id) {
  return arena.child(id, arena.node(id).count - 1);
}

bool HasSymbols(const Arena& arena, Id id) {
  return arena.Contains(id, Op::kSymbol) || arena.Contains(id, Op::kApply);
}

int InfinityOf(const Arena& arena, Id id) {
  if (arena.Is(id, Op::kInfinity)) return 1;
  if (arena.Is(id, Op::kPercent) || arena.Is(id, Op::kUnit)) {
    return InfinityOf(arena, arena.child(id, 0));
  }
  if (arena.Is(id, Op::kMul) && arena.node(id).count == 2 &&
      arena.Is(arena.child(id, 0), Op::kNumber)) {
    return arena.number(arena.child(id, 0)).sign() *
           InfinityOf(arena, arena.child(id, 1));
  }
  return 0;
}

bool IsInterval(const Arena& arena, Id id) {
  const Node& node = arena.node(id);
  if (node.op != Op::kTuple || node.count != 2) return false;
  return (node.flag & (kOpenClosed | kCloseClosed | kOpenReal)) != 0;
}

bool IsEquation(const Arena& arena, Id id) {
  if (!arena.Is(id, Op::kRelation)) return false;
  for (int k = 0; k + 1 < arena.node(id).count; ++k) {
    if (arena.relation(id, k) != Relation::kEq) return false;
  }
  return true;
}

bool IsName(const Arena& arena, Id id) {
  const Node& node = arena.node(id);
  switch (node.op) {
    case Op::kSymbol:
    case Op::kApply:
      return true;
    case Op::kEuler:
    case Op::kImaginary:
      return false;
    case Op::kTuple:
    case Op::kRatio:
    case Op::kMul:
    case Op::kDiv:
    case Op::kUnit:
    case Op::kDegree: {
      const absl::Span<const Id> parts = arena.children(id);
      return std::all_of(parts.begin(), parts.end(),
                         [&](Id part) { return IsName(arena, part); });
    }
    case Op::kFunction: {
      // |z|, and the probability or the number of something.
      const auto function = static_cast<Function>(node.value);
      return (function == Function::kAbs || function == Function::kNorm ||
              function == Function::kDet || function == Function::kMax ||
              function == Function::kMin || function == Function::kRe ||
              function == Function::kIm || function == Function::kGcd) &&
             IsName(arena, arena.child(id, 0));
    }
    default:
      return false;
  }
}

bool IsAssignment(const Arena& arena, Id id) {
  return IsEquation(arena, id) && IsName(arena, arena.child(id, 0)) &&
         !arena.SameTree(arena.child(id, 0), LastSide(arena, id));
}

bool AllAssignments(const Arena& arena, Id list) {
  const absl::Span<const Id> items = arena.children(list);
  return !items.empty() &&
         std::all_of(items.begin(), items.end(),
                     [&](Id item) { return IsAssignment(arena, item); });
}

bool IsTupleAssignment(const Arena& arena, Id id) {
  if (!IsAssignment(arena, id)) return false;
  const Id names = arena.child(id, 0);
  const Id values = LastSide(arena, id);
  return arena.Is(names, Op::kTuple) && arena.Is(values, Op::kTuple) &&
         arena.node(names).count == arena.node(values).count;
}

bool HaveOneName(const Arena& arena, Id list) {
  const Id first = arena.child(arena.child(list, 0), 0);
  for (int k = 1; k < arena.node(list).count; ++k) {
    if (!arena.SameTree(arena.child(arena.child(list, k), 0), first))
      return false;
  }
  return true;
}

bool HaveOneLetter(const Arena& arena, Id list) {
  const auto letter = [&](int k) {
    return ExprText(arena, arena.child(arena.child(list, k), 0)).substr(0, 1);
  };
  for (int k = 1; k < arena.node(list).count; ++k) {
    if (letter(k) != letter(0)) return false;
  }
  return true;
}

bool IsUnsolved(const Arena& arena, Id side) {
  std::vector<int32_t> names;
  CollectSymbols(arena, side, &names);
  if (names.size() != 1 || arena.Contains(side, Op::kApply)) return false;
  return !HasFunction(arena, side);
}

}  // namespace ponder::math
