#include "reward/math/prepare.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "reward/math/exact.h"
#include "reward/math/limits.h"
#include "reward/math/matrices.h"
#include "reward/math/scalar.h"
#include "reward/math/statements.h"

namespace ponder::math {
namespace {

constexpr size_t kMaxAlternatives = 16;  // Of an item with \pm in it.

// Collects what `id` is a product of.
void SplitFactors(const Arena& arena, Id id, Rational* coefficient,
                  std::vector<Id>* factors, Budget* budget) {
  if (arena.Is(id, Op::kMul)) {
    for (int k = 0; k < arena.node(id).count; ++k) {
      SplitFactors(arena, arena.child(id, k), coefficient, factors, budget);
    }
    return;
  }
  const std::optional<Rational> exact = ExactValue(arena, id, budget);
  if (exact.has_value()) {
    fmpq_mul(coefficient->get(), coefficient->get(), exact->get());
  } else {
    factors->push_back(id);
  }
}

// Of terms, each a number times what else there is, which counts as having
// no common divisor unless it is the same. With numbers that are no integers
// it is the polynomials' divisor or multiple, up to a number.
Id CommonFactor(Arena* arena, const std::vector<Id>& terms, bool gcd,
                Budget* budget) {
  Rational number;
  std::vector<Id> rests;
  bool integers = true;
  bool same = true;
  for (size_t k = 0; k < terms.size(); ++k) {
    Rational coefficient(1);
    std::vector<Id> factors;
    SplitFactors(*arena, terms[k], &coefficient, &factors, budget);
    integers &= coefficient.is_integer();
    if (k == 0) {
      number = coefficient;
    } else if (gcd) {
      fmpq_gcd(number.get(), number.get(), coefficient.get());
    } else {
      // a b / gcd(a, b), with the sign of a b
      Rational divisor;
      fmpq_gcd(divisor.get(), number.get(), coefficient.get());
      fmpq_mul(number.get(), number.get(), coefficient.get());
      if (!divisor.is_zero()) {
        fmpq_div(number.get(), number.get(), divisor.get());
      }
    }
    const Id rest =
        factors.empty() ? arena->MakeNumber(1) : arena->Make(Op::kMul, factors);
    same &= rests.empty() || arena->SameTree(rest, rests[0]);
    rests.push_back(rest);
  }
  if (!integers) number = Rational(1);
  std::vector<Id> product = {arena->MakeNumber(number)};
  if (same) {
    product.push_back(rests[0]);
  } else if (!gcd) {
    product.insert(product.end(), rests.begin(), rests.end());
  }
  return arena->Make(Op::kMul, product);
}

// The first node of this kind; kNoId if there is none.
Id Find(const Arena& arena, Id id, Op op) {
  if (arena.Is(id, op)) return id;
  for (const Id part : arena.children(id)) {
    const Id found = Find(arena, part, op);
    if (found != kNoId) return found;
  }
  return kNoId;
}

bool HasMinusPlus(const Arena& arena, Id id) {
  if (arena.Is(id, Op::kPlusMinus) && arena.node(id).flag == 1) return true;
  const absl::Span<const Id> parts = arena.children(id);
  return std::any_of(parts.begin(), parts.end(),
                     [&](Id part) { return HasMinusPlus(arena, part); });
}

// With the upper or the lower one of all signs.
Id WithSigns(Arena* arena, Id id, bool lower) {
  const Node node = arena->node(id);
  if (node.count == 0) return id;
  std::vector<Id> parts;
  for (int k = 0; k < node.count; ++k) {
    parts.push_back(WithSigns(arena, arena->child(id, k), lower));
  }
  if (node.op == Op::kPlusMinus) {
    const bool negative = lower != (node.flag == 1);
    return negative ? arena->MakeNeg(parts[0]) : parts[0];
  }
  return arena->Make(node.op, parts, node.value, node.flag);
}

Id Replace(Arena* arena, Id id, Id old, Id replacement) {
  if (id == old) return replacement;
  const Node node = arena->node(id);
  if (node.count == 0) return id;
  std::vector<Id> parts;
  for (int k = 0; k < node.count; ++k) {
    parts.push_back(Replace(arena, arena->child(id, k), old, replacement));
  }
  return arena->Make(node.op, parts, node.value, node.flag);
}

// Each choice of signs.
void Alternatives(Arena* arena, Id id, std::vector<Id>* all) {
  const Id found = Find(*arena, id, Op::kPlusMinus);
  if (found == kNoId || all->size() >= kMaxAlternatives ||
      arena->num_nodes() > kMaxNodes) {
    all->push_back(id);
    return;
  }
  // With \mp the signs belong together.
  if (HasMinusPlus(*arena, id)) {
    all->push_back(WithSigns(arena, id, /*lower=*/false));
    all->push_back(WithSigns(arena, id, /*lower=*/true));
    return;
  }
  const Id inner = arena->child(found, 0);
  Alternatives(arena, Replace(arena, id, found, inner), all);
  Alternatives(arena, Replace(arena, id, found, arena->MakeNeg(inner)), all);
}

// "k pi, k in Z" without what is said of k.
Id WithoutCondition(Arena* arena, Id id) {
  const Node node = arena->node(id);
  if (node.op != Op::kList || node.count < 2) return id;
  const Op first = arena->op(arena->child(id, 0));
  const Id last = arena->child(id, node.count - 1);
  if (first == Op::kRelation || first == Op::kMember ||
      !arena->Is(last, Op::kMember) ||
      !arena->Is(arena->child(last, 1), Op::kNamedSet)) {
    return id;
  }
  if (node.count == 2) return arena->child(id, 0);
  std::vector<Id> items;
  for (int k = 0; k + 1 < node.count; ++k) items.push_back(arena->child(id, k));
  return arena->Make(node.op, items, node.value, node.flag);
}

// "n = 1, 2, 3" as 1, 2, 3.
Id FirstAssigned(Arena* arena, Id id) {
  const Node node = arena->node(id);
  if (node.op != Op::kList || node.count < 2) return id;
  if (!IsAssignment(*arena, arena->child(id, 0))) return id;
  for (int k = 1; k < node.count; ++k) {
    const Op op = arena->op(arena->child(id, k));
    if (op == Op::kRelation || op == Op::kMember) return id;
  }
  std::vector<Id> items = {LastSide(*arena, arena->child(id, 0))};
  for (int k = 1; k < node.count; ++k) items.push_back(arena->child(id, k));
  return arena->Make(Op::kList, items, node.value, node.flag);
}

// True for two numbers that differ by less than a hundredth of the first.
bool IsAbout(Arena* arena, Id exact, Id rounded, Budget* budget) {
  for (Id* side : {&exact, &rounded}) {
    if (arena->Is(*side, Op::kUnit) || arena->Is(*side, Op::kDegree) ||
        arena->Is(*side, Op::kPercent)) {
      *side = arena->child(*side, 0);
    }
    if (IsCollection(arena->op(*side))) return false;
  }
  const Id difference = arena->Make(
      Op::kMul, {arena->MakeNumber(100),
                 arena->Make(Op::kAdd, {exact, arena->MakeNeg(rounded)})});
  const Id margin = arena->Make(
      Op::kAdd,
      {arena->MakeFunction(Function::kAbs, {exact}),
       arena->MakeNeg(arena->MakeFunction(Function::kAbs, {difference}))});
  return SignOf(*arena, margin, budget) == 1;
}

}  // namespace

Id Simplified(Arena* arena, Id id, Budget* budget) {
  const Node node = arena->node(id);
  if (node.count == 0) return id;
  std::vector<Id> parts;
  bool changed = false;
  for (int k = 0; k < node.count; ++k) {
    const Id part = arena->child(id, k);
    // gcd(a, b) = 5 says what it is.
    const bool named =
        node.op == Op::kRelation && k == 0 &&
        (arena->Is(part, Function::kGcd) || arena->Is(part, Function::kLcm));
    parts.push_back(named ? part : Simplified(arena, part, budget));
    changed |= parts.back() != part;
  }
  if (arena->Is(id, Function::kDet) && arena->Is(parts[0], Op::kMatrix)) {
    const Id determinant = Determinant(arena, parts[0]);
    if (determinant != kNoId) return determinant;
  }
  const bool gcd = arena->Is(id, Function::kGcd);
  if ((gcd || arena->Is(id, Function::kLcm)) &&
      !ExactValue(*arena, id, budget).has_value()) {
    return CommonFactor(arena, parts, gcd, budget);
  }
  return changed ? arena->Make(node.op, parts, node.value, node.flag) : id;
}

Id Prepared(Arena* arena, Id id, Budget* budget) {
  if (arena->Contains(id, Op::kMatrix) && !arena->Is(id, Op::kMatrix) &&
      !IsCollection(arena->op(id))) {
    const Id matrix = MatrixOf(arena, id, budget);
    if (matrix != kNoId) return matrix;
  }
  if (arena->Is(id, Op::kMember)) return id;
  if (arena->Is(id, Op::kRelation)) {
    // \pi \approx 3.14 says pi, if it is about that.
    const bool constants =
        (arena->node(id).flag & kApproximate) != 0 && !HasSymbols(*arena, id);
    return constants && IsAbout(arena, arena->child(id, 0), arena->child(id, 1),
                                budget)
               ? arena->child(id, 0)
               : id;
  }
  if (!IsCollection(arena->op(id)) && arena->Contains(id, Op::kPlusMinus)) {
    std::vector<Id> all;
    Alternatives(arena, id, &all);
    if (all.size() > 1) return arena->Make(Op::kSet, all);
  }
  if (arena->Is(id, Op::kList) || arena->Is(id, Op::kSet)) {
    const Id listed = WithoutCondition(arena, id);
    // "2k\pi, k \in \mathbb{Z}" is one expression, as if it stood alone.
    if (!arena->Is(listed, Op::kList) && !arena->Is(listed, Op::kSet)) {
      return Prepared(arena, listed, budget);
    }
    return Spliced(arena, FirstAssigned(arena, listed));
  }
  return id;
}

Id Spliced(Arena* arena, Id id) {
  const Node node = arena->node(id);
  bool any = false;
  std::vector<Id> items;
  for (int k = 0; k < node.count; ++k) {
    const Id item = arena->child(id, k);
    if (!IsCollection(arena->op(item)) &&
        arena->Contains(item, Op::kPlusMinus)) {
      Alternatives(arena, item, &items);
      any = true;
    } else {
      items.push_back(item);
    }
  }
  return any ? arena->Make(node.op, items, node.value, node.flag) : id;
}

bool HasBareLog(const Arena& arena, Id id) {
  if (arena.Is(id, Function::kLog) && arena.node(id).count == 1) return true;
  const absl::Span<const Id> parts = arena.children(id);
  return std::any_of(parts.begin(), parts.end(),
                     [&](Id part) { return HasBareLog(arena, part); });
}

Id WithDecimalLog(Arena* arena, Id id) {
  const Node node = arena->node(id);
  std::vector<Id> parts;
  for (int k = 0; k < node.count; ++k) {
    parts.push_back(WithDecimalLog(arena, arena->child(id, k)));
  }
  if (arena->Is(id, Function::kLog) && node.count == 1) {
    parts.push_back(arena->MakeNumber(10));
  }
  return node.count == 0 ? id
                         : arena->Make(node.op, parts, node.value, node.flag);
}

}  // namespace ponder::math
