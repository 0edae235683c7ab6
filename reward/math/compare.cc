#include "reward/math/compare.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "reward/math/exact.h"
#include "reward/math/expr.h"
#include "reward/math/expr_text.h"
#include "reward/math/limits.h"
#include "reward/math/parser.h"
#include "reward/math/plain_text.h"
#include "reward/math/real_set.h"
#include "reward/math/scalar.h"
#include "reward/math/units.h"

namespace ponder::math {
namespace {

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

// Compares trees of one arena. Not thread-safe.
class Comparer {
 public:
  Comparer(Arena* arena, const CompareOptions& options, Budget* budget)
      : a_(*arena), options_(options), budget_(*budget) {}

  const char* rule() const { return rule_; }

  Outcome Same(Id gold, Id answer) {
    if (++depth_ > kMaxDepth) {
      --depth_;
      return Outcome::kBeyond;
    }
    const Outcome outcome = SameInner(Prepared(gold), Prepared(answer));
    --depth_;
    return outcome;
  }

  // Without determinants, and without gcd and lcm of what has variables.
  Id Simplified(Id id) {
    const Node node = a_.node(id);
    if (node.count == 0) return id;
    std::vector<Id> parts;
    bool changed = false;
    for (int k = 0; k < node.count; ++k) {
      const Id part = a_.child(id, k);
      // gcd(a, b) = 5 says what it is.
      const bool named =
          node.op == Op::kRelation && k == 0 &&
          (a_.Is(part, Function::kGcd) || a_.Is(part, Function::kLcm));
      parts.push_back(named ? part : Simplified(part));
      changed |= parts.back() != part;
    }
    if (a_.Is(id, Function::kDet) && a_.Is(parts[0], Op::kMatrix)) {
      const Id determinant = Determinant(parts[0]);
      if (determinant != kNoId) return determinant;
    }
    const bool gcd = a_.Is(id, Function::kGcd);
    if ((gcd || a_.Is(id, Function::kLcm)) &&
        !ExactValue(a_, id, &budget_).has_value()) {
      return CommonFactor(parts, gcd);
    }
    return changed ? a_.Make(node.op, parts, node.value, node.flag) : id;
  }

  // With base 10 for logarithms that name none.
  Id WithDecimalLog(Id id) {
    const Node node = a_.node(id);
    std::vector<Id> parts;
    for (int k = 0; k < node.count; ++k) {
      parts.push_back(WithDecimalLog(a_.child(id, k)));
    }
    if (a_.Is(id, Function::kLog) && node.count == 1) {
      parts.push_back(a_.MakeNumber(10));
    }
    return node.count == 0 ? id
                           : a_.Make(node.op, parts, node.value, node.flag);
  }

  bool HasBareLog(Id id) const {
    if (a_.Is(id, Function::kLog) && a_.node(id).count == 1) return true;
    const absl::Span<const Id> parts = a_.children(id);
    return std::any_of(parts.begin(), parts.end(),
                       [&](Id part) { return HasBareLog(part); });
  }

  // Sums, products and multiples of matrices as one matrix; \pm as a set;
  // "n = 1, 2, 3" as the list of its values.
  Id Prepared(Id id) {
    if (a_.Contains(id, Op::kMatrix) && !a_.Is(id, Op::kMatrix) &&
        !IsCollection(a_.op(id))) {
      const Id matrix = AsMatrix(id, 0);
      if (matrix != kNoId) return matrix;
    }
    if (a_.Is(id, Op::kMember)) return id;
    if (a_.Is(id, Op::kRelation)) {
      // \pi \approx 3.14 says pi, if it is about that.
      const bool constants =
          (a_.node(id).flag & kApproximate) != 0 && !HasSymbols(id);
      return constants && IsAbout(a_.child(id, 0), a_.child(id, 1))
                 ? a_.child(id, 0)
                 : id;
    }
    if (!IsCollection(a_.op(id)) && a_.Contains(id, Op::kPlusMinus)) {
      std::vector<Id> all;
      Alternatives(id, &all);
      if (all.size() > 1) return a_.Make(Op::kSet, all);
    }
    if (a_.Is(id, Op::kList) || a_.Is(id, Op::kSet)) {
      return Spliced(FirstAssigned(WithoutCondition(id)));
    }
    return id;
  }

 private:
  // --- Preparation ----------------------------------------------------------

  // Of terms, each a number times what else there is, which counts as having
  // no common divisor unless it is the same. With numbers that are no integers
  // it is the polynomials' divisor or multiple, up to a number.
  Id CommonFactor(const std::vector<Id>& terms, bool gcd) {
    Rational number;
    std::vector<Id> rests;
    bool integers = true;
    bool same = true;
    for (size_t k = 0; k < terms.size(); ++k) {
      Rational coefficient(1);
      std::vector<Id> factors;
      SplitFactors(terms[k], &coefficient, &factors);
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
          factors.empty() ? a_.MakeNumber(1) : a_.Make(Op::kMul, factors);
      same &= rests.empty() || a_.SameTree(rest, rests[0]);
      rests.push_back(rest);
    }
    if (!integers) number = Rational(1);
    std::vector<Id> product = {a_.MakeNumber(number)};
    if (same) {
      product.push_back(rests[0]);
    } else if (!gcd) {
      product.insert(product.end(), rests.begin(), rests.end());
    }
    return a_.Make(Op::kMul, product);
  }

  // By the first row (Laplace), of at most four rows.
  Id Determinant(Id matrix) {
    const int n = a_.node(matrix).value;
    if (n < 1 || n > 4 || a_.node(matrix).count != n * n) return kNoId;
    if (n == 1) return a_.child(matrix, 0);
    std::vector<Id> terms;
    for (int skip = 0; skip < n; ++skip) {
      std::vector<Id> cells;
      for (int k = n; k < n * n; ++k) {
        if (k % n != skip) cells.push_back(a_.child(matrix, k));
      }
      const Id minor = a_.Make(Op::kMatrix, cells, n - 1);
      terms.push_back(
          a_.Make(Op::kMul, {a_.MakeNumber(skip % 2 == 0 ? 1 : -1),
                             a_.child(matrix, skip), Determinant(minor)}));
    }
    return a_.Make(Op::kAdd, terms);
  }

  void SplitFactors(Id id, Rational* coefficient, std::vector<Id>* factors) {
    if (a_.Is(id, Op::kMul)) {
      for (int k = 0; k < a_.node(id).count; ++k) {
        SplitFactors(a_.child(id, k), coefficient, factors);
      }
      return;
    }
    const std::optional<Rational> exact = ExactValue(a_, id, &budget_);
    if (exact.has_value()) {
      fmpq_mul(coefficient->get(), coefficient->get(), exact->get());
    } else {
      factors->push_back(id);
    }
  }

  // Each choice of signs.
  void Alternatives(Id id, std::vector<Id>* all) {
    const Id found = Find(id, Op::kPlusMinus);
    if (found == kNoId || all->size() >= 16 || a_.num_nodes() > kMaxNodes) {
      all->push_back(id);
      return;
    }
    // With \mp the signs belong together.
    if (HasMinusPlus(id)) {
      all->push_back(WithSigns(id, false));
      all->push_back(WithSigns(id, true));
      return;
    }
    const Id inner = a_.child(found, 0);
    Alternatives(Replace(id, found, inner), all);
    Alternatives(Replace(id, found, a_.MakeNeg(inner)), all);
  }

  Id Find(Id id, Op op) const {
    if (a_.Is(id, op)) return id;
    for (const Id part : a_.children(id)) {
      const Id found = Find(part, op);
      if (found != kNoId) return found;
    }
    return kNoId;
  }

  bool HasMinusPlus(Id id) const {
    if (a_.Is(id, Op::kPlusMinus) && a_.node(id).flag == 1) return true;
    const absl::Span<const Id> parts = a_.children(id);
    return std::any_of(parts.begin(), parts.end(),
                       [&](Id part) { return HasMinusPlus(part); });
  }

  Id WithSigns(Id id, bool lower) {
    const Node node = a_.node(id);
    if (node.count == 0) return id;
    std::vector<Id> parts;
    for (int k = 0; k < node.count; ++k) {
      parts.push_back(WithSigns(a_.child(id, k), lower));
    }
    if (node.op == Op::kPlusMinus) {
      const bool negative = lower != (node.flag == 1);
      return negative ? a_.MakeNeg(parts[0]) : parts[0];
    }
    return a_.Make(node.op, parts, node.value, node.flag);
  }

  Id Replace(Id id, Id old, Id replacement) {
    if (id == old) return replacement;
    const Node node = a_.node(id);
    if (node.count == 0) return id;
    std::vector<Id> parts;
    for (int k = 0; k < node.count; ++k) {
      parts.push_back(Replace(a_.child(id, k), old, replacement));
    }
    return a_.Make(node.op, parts, node.value, node.flag);
  }

  // Two numbers that differ by less than a hundredth.
  bool IsAbout(Id exact, Id rounded) {
    for (Id* side : {&exact, &rounded}) {
      if (a_.Is(*side, Op::kUnit) || a_.Is(*side, Op::kDegree) ||
          a_.Is(*side, Op::kPercent)) {
        *side = a_.child(*side, 0);
      }
      if (IsCollection(a_.op(*side))) return false;
    }
    const Id difference = a_.Make(
        Op::kMul,
        {a_.MakeNumber(100), a_.Make(Op::kAdd, {exact, a_.MakeNeg(rounded)})});
    const Id margin = a_.Make(
        Op::kAdd, {a_.MakeFunction(Function::kAbs, {exact}),
                   a_.MakeNeg(a_.MakeFunction(Function::kAbs, {difference}))});
    return SignOf(a_, margin, &budget_) == 1;
  }

  // Sets in a list that come from \pm become items of the list.
  Id Spliced(Id id) {
    const Node node = a_.node(id);
    bool any = false;
    std::vector<Id> items;
    for (int k = 0; k < node.count; ++k) {
      const Id item = a_.child(id, k);
      if (!IsCollection(a_.op(item)) && a_.Contains(item, Op::kPlusMinus)) {
        Alternatives(item, &items);
        any = true;
      } else {
        items.push_back(item);
      }
    }
    return any ? a_.Make(node.op, items, node.value, node.flag) : id;
  }

  bool IsEquation(Id id) const {
    if (!a_.Is(id, Op::kRelation)) return false;
    for (int k = 0; k + 1 < a_.node(id).count; ++k) {
      if (a_.relation(id, k) != Relation::kEq) return false;
    }
    return true;
  }

  // "k pi, k in Z" without what is said of k.
  Id WithoutCondition(Id id) {
    const Node node = a_.node(id);
    if (node.op != Op::kList || node.count < 2) return id;
    const Op first = a_.op(a_.child(id, 0));
    const Id last = a_.child(id, node.count - 1);
    if (first == Op::kRelation || first == Op::kMember ||
        !a_.Is(last, Op::kMember) || !a_.Is(a_.child(last, 1), Op::kNamedSet)) {
      return id;
    }
    if (node.count == 2) return a_.child(id, 0);
    std::vector<Id> items;
    for (int k = 0; k + 1 < node.count; ++k) items.push_back(a_.child(id, k));
    return a_.Make(node.op, items, node.value, node.flag);
  }

  // n = 1, 2, 3
  Id FirstAssigned(Id id) {
    if (!a_.Is(id, Op::kList)) return id;
    const Node node = a_.node(id);
    if (node.op != Op::kList || node.count < 2) return id;
    if (!IsAssignment(a_.child(id, 0))) return id;
    for (int k = 1; k < node.count; ++k) {
      const Op op = a_.op(a_.child(id, k));
      if (op == Op::kRelation || op == Op::kMember) return id;
    }
    std::vector<Id> items = {LastSide(a_.child(id, 0))};
    for (int k = 1; k < node.count; ++k) items.push_back(a_.child(id, k));
    return a_.Make(Op::kList, items, node.value, node.flag);
  }

  // What names a value: x, f(x), AB, (p, q), A:B, xy.
  bool IsName(Id id) const {
    const Node& node = a_.node(id);
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
        const absl::Span<const Id> parts = a_.children(id);
        return std::all_of(parts.begin(), parts.end(),
                           [&](Id part) { return IsName(part); });
      }
      case Op::kFunction: {
        // |z|, and the probability or the number of something.
        const auto function = static_cast<Function>(node.value);
        return (function == Function::kAbs || function == Function::kNorm ||
                function == Function::kDet || function == Function::kMax ||
                function == Function::kMin || function == Function::kRe ||
                function == Function::kIm || function == Function::kGcd) &&
               IsName(a_.child(id, 0));
      }
      default:
        return false;
    }
  }

  bool IsAssignment(Id id) const {
    return IsEquation(id) && IsName(a_.child(id, 0)) &&
           !a_.SameTree(a_.child(id, 0), LastSide(id));
  }

  Id LastSide(Id id) const { return a_.child(id, a_.node(id).count - 1); }

  // --- Matrices -------------------------------------------------------------

  Id AsMatrix(Id id, int depth) {
    if (a_.Is(id, Op::kMatrix)) return id;
    if (depth > 20 || a_.num_nodes() > kMaxNodes) return kNoId;
    const Node node = a_.node(id);
    if (node.op == Op::kAdd) {
      Id total = kNoId;
      for (int k = 0; k < node.count; ++k) {
        const Id part = AsMatrix(a_.child(id, k), depth + 1);
        if (part == kNoId) return kNoId;
        total = total == kNoId ? part : Sum(total, part);
        if (total == kNoId) return kNoId;
      }
      return total;
    }
    if (node.op == Op::kMul || node.op == Op::kDiv) {
      Id total = kNoId;  // A matrix, or a scalar so far.
      for (int k = 0; k < node.count; ++k) {
        Id part = a_.child(id, k);
        if (a_.Contains(part, Op::kMatrix)) {
          part = AsMatrix(part, depth + 1);
          if (part == kNoId || node.op == Op::kDiv ? k > 0 : false) {
            return kNoId;
          }
        } else if (node.op == Op::kDiv && k > 0) {
          part = a_.Make(Op::kDiv, {a_.MakeNumber(1), part});
        }
        total = total == kNoId ? part : Times(total, part);
        if (total == kNoId) return kNoId;
      }
      return a_.Is(total, Op::kMatrix) ? total : kNoId;
    }
    if (node.op == Op::kPow && a_.Is(a_.child(id, 0), Op::kMatrix)) {
      const std::optional<Rational> power =
          ExactValue(a_, a_.child(id, 1), &budget_);
      if (!power.has_value() || !power->is_small() || power->small() < 1 ||
          power->small() > 8) {
        return kNoId;
      }
      Id total = a_.child(id, 0);
      for (int64_t k = 1; k < power->small(); ++k) {
        total = Times(total, a_.child(id, 0));
        if (total == kNoId) return kNoId;
      }
      return total;
    }
    return kNoId;
  }

  Id Sum(Id x, Id y) {
    if (a_.node(x).count != a_.node(y).count ||
        a_.node(x).value != a_.node(y).value) {
      return kNoId;
    }
    std::vector<Id> cells;
    for (int k = 0; k < a_.node(x).count; ++k) {
      cells.push_back(a_.Make(Op::kAdd, {a_.child(x, k), a_.child(y, k)}));
    }
    return a_.Make(Op::kMatrix, cells, a_.node(x).value);
  }

  Id Times(Id x, Id y) {
    const bool matrix_x = a_.Is(x, Op::kMatrix);
    const bool matrix_y = a_.Is(y, Op::kMatrix);
    if (!matrix_x && !matrix_y) return a_.Make(Op::kMul, {x, y});
    if (matrix_x != matrix_y) {
      const Id matrix = matrix_x ? x : y;
      const Id factor = matrix_x ? y : x;
      std::vector<Id> cells;
      for (int k = 0; k < a_.node(matrix).count; ++k) {
        cells.push_back(a_.Make(Op::kMul, {factor, a_.child(matrix, k)}));
      }
      return a_.Make(Op::kMatrix, cells, a_.node(matrix).value);
    }
    const int inner = a_.node(x).value;
    const int columns = a_.node(y).value;
    if (inner <= 0 || columns <= 0) return kNoId;
    const int rows = a_.node(x).count / inner;
    if (a_.node(y).count / columns != inner) return kNoId;
    if (rows * columns * inner > static_cast<int>(kMaxItems)) return kNoId;
    std::vector<Id> cells;
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < columns; ++c) {
        std::vector<Id> terms;
        for (int k = 0; k < inner; ++k) {
          terms.push_back(a_.Make(Op::kMul, {a_.child(x, r * inner + k),
                                             a_.child(y, k * columns + c)}));
        }
        cells.push_back(a_.Make(Op::kAdd, terms));
      }
    }
    return a_.Make(Op::kMatrix, cells, columns);
  }

  // --- Comparison -----------------------------------------------------------

  Outcome SameInner(Id gold, Id answer) {
    const Op g = a_.op(gold);
    const Op a = a_.op(answer);
    if (g == Op::kMember || a == Op::kMember) return SameMembers(gold, answer);
    // (x, y) = (1, 2) against y = 2, x = 1 and against (y, x) = (2, 1)
    const auto names_values = [&](Id id) {
      return IsTupleAssignment(id) ||
             (a_.Is(id, Op::kList) && AllAssignments(id));
    };
    if ((IsTupleAssignment(gold) || IsTupleAssignment(answer)) &&
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

  Outcome SameMembers(Id gold, Id answer) {
    const auto set_of = [&](Id id) {
      return a_.Is(id, Op::kMember) ? a_.child(id, 1) : id;
    };
    const auto subject_is_name = [&](Id id) {
      return !a_.Is(id, Op::kMember) || IsName(a_.child(id, 0));
    };
    if (!subject_is_name(gold) || !subject_is_name(answer)) {
      return Outcome::kDifferent;
    }
    return Same(set_of(gold), set_of(answer));
  }

  Outcome SameCongruences(Id gold, Id answer) {
    rule_ = "as congruences";
    if (!a_.Is(gold, Op::kCongruence)) {
      // x \equiv 3 \pmod 7 says 3.
      return IsCollection(a_.op(gold)) ? Outcome::kDifferent
                                       : Same(gold, a_.child(answer, 1));
    }
    if (!a_.Is(answer, Op::kCongruence)) return Outcome::kDifferent;
    const std::optional<Rational> m =
        ExactValue(a_, a_.child(gold, 2), &budget_);
    const std::optional<Rational> n =
        ExactValue(a_, a_.child(answer, 2), &budget_);
    if (!m.has_value() || !n.has_value() || !(*m == *n) || m->is_zero()) {
      return Outcome::kDifferent;
    }
    if (Same(a_.child(gold, 0), a_.child(answer, 0)) != Outcome::kSame) {
      return Outcome::kDifferent;
    }
    const Id difference = a_.MakeFunction(
        Function::kMod, {a_.Make(Op::kAdd, {a_.child(gold, 1),
                                            a_.MakeNeg(a_.child(answer, 1))}),
                         a_.child(gold, 2)});
    return SameScalar(a_, difference, a_.MakeNumber(0), &budget_);
  }

  // --- Relations ------------------------------------------------------------

  Outcome SameRelations(Id gold, Id answer) {
    rule_ = "as equations or inequalities";
    const bool g = IsEquation(gold);
    const bool a = IsEquation(answer);
    if (g != a) return Outcome::kDifferent;
    if (g) return SameEquations(gold, answer);
    return SameInequalities(gold, answer);
  }

  Id Difference(Id left, Id right) {
    return a_.Make(Op::kAdd, {left, a_.MakeNeg(right)});
  }

  Outcome SameEquations(Id gold, Id answer) {
    const Id gold_left = a_.child(gold, 0);
    const Id answer_left = a_.child(answer, 0);
    const Id gold_right = LastSide(gold);
    const Id answer_right = LastSide(answer);
    const bool named = IsName(gold_left) && IsName(answer_left);
    const int gold_sides = a_.node(gold).count;
    if (gold_sides > 2 && a_.node(answer).count > 2) {
      // a = b = c, side by side.
      if (gold_sides != a_.node(answer).count) return Outcome::kDifferent;
      for (int k = 0; k + 1 < gold_sides; ++k) {
        const Outcome link = SameUpToFactor(
            a_, Difference(a_.child(gold, k), a_.child(gold, k + 1)),
            Difference(a_.child(answer, k), a_.child(answer, k + 1)),
            /*positive=*/false, &budget_);
        if (link != Outcome::kSame) return link;
      }
      return Outcome::kSame;
    }
    if (!EndsInItsMiddle(gold) || !EndsInItsMiddle(answer)) {
      rule_ = "the calculation in the answer is wrong";
      return Outcome::kDifferent;
    }
    if (named && SameNames(gold_left, answer_left)) {
      const Outcome values = Same(
          gold_right, WithVariableOf(gold_left, answer_left, answer_right));
      if (values == Outcome::kSame || IsCollection(a_.op(gold_right)) ||
          IsCollection(a_.op(answer_right))) {
        return values;
      }
    }
    for (const Id side : {gold_left, gold_right, answer_left, answer_right}) {
      if (IsCollection(a_.op(side)) || a_.Contains(side, Op::kPlusMinus)) {
        return Outcome::kDifferent;
      }
    }
    // An equation that is always true says nothing.
    const Id f = Difference(gold_left, gold_right);
    const Id h = Difference(answer_left, answer_right);
    return SameUpToFactor(a_, f, h, /*positive=*/false, &budget_);
  }

  // Of f(x) = ... and f(t) = ... the right side of the second with x.
  Id WithVariableOf(Id gold_left, Id answer_left, Id answer_right) {
    for (const Id left : {gold_left, answer_left}) {
      if (!a_.Is(left, Op::kApply) || a_.node(left).count != 1 ||
          !a_.Is(a_.child(left, 0), Op::kSymbol)) {
        return answer_right;
      }
    }
    return a_.Substitute(answer_right, a_.node(a_.child(answer_left, 0)).value,
                         a_.child(gold_left, 0));
  }

  // The same, or the same number written otherwise: 42_{10} = 52_8.
  bool SameNumber(Id a, Id b) {
    return Same(a, b) == Outcome::kSame ||
           (!IsCollection(a_.op(a)) && !IsCollection(a_.op(b)) &&
            SameScalar(a_, a, b, &budget_) == Outcome::kSame);
  }

  // The left side of an equation in one variable, without sin, log or the like.
  bool IsUnsolved(Id id) const {
    std::vector<int32_t> names;
    CollectSymbols(a_, id, &names);
    if (names.size() != 1 || a_.Contains(id, Op::kApply)) return false;
    return !HasFunction(id);
  }

  bool HasFunction(Id id) const {
    if (a_.Is(id, Op::kFunction) && !a_.Is(id, Function::kAbs)) return true;
    const absl::Span<const Id> parts = a_.children(id);
    return std::any_of(parts.begin(), parts.end(),
                       [&](Id part) { return HasFunction(part); });
  }

  // Of x = 5 + 6 = 11 some number in the middle is the last, if there are any.
  bool EndsInItsMiddle(Id equation) {
    bool numbers = false;
    for (int k = 1; k + 1 < a_.node(equation).count; ++k) {
      const Id side = a_.child(equation, k);
      if (HasSymbols(side)) continue;
      numbers = true;
      if (Same(side, LastSide(equation)) == Outcome::kSame) return true;
    }
    return !numbers;
  }

  bool HasSymbols(Id id) const {
    return a_.Contains(id, Op::kSymbol) || a_.Contains(id, Op::kApply);
  }

  bool SameNames(Id a, Id b) {
    if (a_.SameTree(a, b)) return true;
    // y = x + 1 and f(x) = x + 1
    const auto is_y = [&](Id id) {
      return a_.Is(id, Op::kSymbol) && a_.name(id) == "y";
    };
    const auto is_function = [&](Id id) {
      return a_.Is(id, Op::kApply) && a_.node(id).count == 1 &&
             a_.Is(a_.child(id, 0), Op::kSymbol);
    };
    if ((is_y(a) && is_function(b)) || (is_function(a) && is_y(b))) return true;
    if (!a_.Is(a, Op::kApply) || !a_.Is(b, Op::kApply) ||
        a_.node(a).value != a_.node(b).value ||
        a_.node(a).count != a_.node(b).count) {
      return false;
    }
    // W(n) and W(x) name the same function in two variables.
    return (is_function(a) && is_function(b)) ||
           Same(a_.child(a, 0), a_.child(b, 0)) == Outcome::kSame;
  }

  static Relation Reversed(Relation relation) {
    switch (relation) {
      case Relation::kLt:
        return Relation::kGt;
      case Relation::kLe:
        return Relation::kGe;
      case Relation::kGt:
        return Relation::kLt;
      case Relation::kGe:
        return Relation::kLe;
      default:
        return relation;
    }
  }

  struct ChainView {
    std::vector<Id> sides;
    std::vector<Relation> relations;
  };

  // With < instead of >.
  ChainView Ascending(Id id) const {
    ChainView chain;
    const absl::Span<const Id> sides = a_.children(id);
    chain.sides.assign(sides.begin(), sides.end());
    for (int k = 0; k + 1 < a_.node(id).count; ++k) {
      chain.relations.push_back(a_.relation(id, k));
    }
    const Relation first = chain.relations[0];
    if (first == Relation::kGt || first == Relation::kGe) {
      std::reverse(chain.sides.begin(), chain.sides.end());
      std::reverse(chain.relations.begin(), chain.relations.end());
      for (Relation& relation : chain.relations) relation = Reversed(relation);
    }
    return chain;
  }

  Outcome SameInequalities(Id gold, Id answer) {
    const ChainView x = Ascending(gold);
    const ChainView y = Ascending(answer);
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
      if (!a_.Contains(f, Op::kInfinity) && !a_.Contains(h, Op::kInfinity)) {
        const bool positive = x.relations[0] != Relation::kNe;
        const Outcome outcome = SameUpToFactor(a_, f, h, positive, &budget_);
        if (outcome == Outcome::kSame) return outcome;
      }
    }
    const std::optional<RealSet> s = SolutionsOf(&a_, gold, &budget_);
    const std::optional<RealSet> t =
        s.has_value() ? SolutionsOf(&a_, answer, &budget_) : std::nullopt;
    if (budget_.exhausted()) return Outcome::kBeyond;
    if (!s.has_value() || !t.has_value()) return Outcome::kDifferent;
    if (!SameSubject(gold, answer)) return Outcome::kDifferent;
    rule_ = "as sets of solutions";
    return SameRealSet(a_, *s, *t, &budget_) ? Outcome::kSame
                                             : Outcome::kDifferent;
  }

  bool SameSubject(Id a, Id b) {
    std::vector<int32_t> x;
    std::vector<int32_t> y;
    CollectSymbols(a_, a, &x);
    CollectSymbols(a_, b, &y);
    std::sort(x.begin(), x.end());
    std::sort(y.begin(), y.end());
    return x == y || options_.any_variable_names;
  }

  // One side is an equation or inequality, the other a value or a set.
  Outcome RelationAgainst(Id relation, Id other, bool gold_is_relation) {
    if (IsEquation(relation)) {
      const Id value = LastSide(relation);
      // x = 6 = 5 is no way to say 5.
      bool right = true;
      for (int k = 1; k + 1 < a_.node(relation).count; ++k) {
        const Id side = a_.child(relation, k);
        right &= HasSymbols(side) || SameNumber(side, value);
      }
      if (!right) {
        rule_ = "the calculation in the answer is wrong";
        return Outcome::kDifferent;
      }
      const Id first = a_.child(relation, 0);
      if (IsAssignment(relation)) {
        return Ordered(value, other, gold_is_relation);
      }
      // 2(k + 1) = 2k + 2
      if (HasSymbols(first) && HasSymbols(value) && !IsName(value) &&
          Same(first, value) == Outcome::kSame) {
        return Ordered(value, other, gold_is_relation);
      }
      // 5 = x
      if (a_.node(relation).count == 2 && IsName(value) && !HasSymbols(first)) {
        return Ordered(first, other, gold_is_relation);
      }
      // Of an answer m + n = 5 and \sin A = 1/2 say what they say; x^2 = 5 is
      // not solved yet.
      if (!gold_is_relation && HasSymbols(first) && !HasSymbols(value) &&
          !IsUnsolved(first)) {
        const std::optional<int> sign = SignOf(a_, value, &budget_);
        if (sign.has_value() && *sign == 0) return Outcome::kDifferent;
        return Same(other, value);
      }
      // \sqrt{4} = 2 is a calculation, if it is right.
      std::vector<int32_t> names;
      CollectSymbols(a_, relation, &names);
      if (!names.empty()) return Outcome::kDifferent;
      for (int k = 0; k + 1 < a_.node(relation).count; ++k) {
        if (!SameNumber(a_.child(relation, k), a_.child(relation, k + 1))) {
          rule_ = "the calculation in the answer is wrong";
          return Outcome::kDifferent;
        }
      }
      return Ordered(value, other, gold_is_relation);
    }
    const Op op = a_.op(other);
    if (op == Op::kList && a_.Is(a_.child(other, 0), Op::kRelation)) {
      return SameSetExpressions(relation, other);
    }
    if (!IsSetExpression(op) && op != Op::kTuple && op != Op::kSet) {
      return Outcome::kDifferent;
    }
    rule_ = "as sets of solutions";
    const std::optional<RealSet> solutions =
        SolutionsOf(&a_, relation, &budget_);
    const std::optional<RealSet> set = RealSetOf(&a_, other, &budget_);
    if (budget_.exhausted()) return Outcome::kBeyond;
    if (!solutions.has_value() || !set.has_value()) return Outcome::kDifferent;
    return SameRealSet(a_, *solutions, *set, &budget_) ? Outcome::kSame
                                                       : Outcome::kDifferent;
  }

  Outcome Ordered(Id x, Id y, bool x_is_gold) {
    return x_is_gold ? Same(x, y) : Same(y, x);
  }

  // --- Sets, lists, matrices ------------------------------------------------

  Outcome SameSetExpressions(Id gold, Id answer) {
    rule_ = "as sets of real numbers";
    const std::optional<RealSet> s = SetOrSolutions(gold);
    const std::optional<RealSet> t =
        s.has_value() ? SetOrSolutions(answer) : std::nullopt;
    if (budget_.exhausted()) return Outcome::kBeyond;
    if (s.has_value() && t.has_value()) {
      return SameRealSet(a_, *s, *t, &budget_) ? Outcome::kSame
                                               : Outcome::kDifferent;
    }
    rule_ = "as written sets";
    // Part by part: A \cup B with symbols in them.
    if (a_.op(gold) != a_.op(answer) ||
        a_.node(gold).count != a_.node(answer).count ||
        a_.node(gold).value != a_.node(answer).value) {
      return Outcome::kDifferent;
    }
    if (a_.Is(gold, Op::kNamedSet)) return Outcome::kSame;
    const auto same_parts = [&](int first, int second) {
      return Same(a_.child(gold, 0), a_.child(answer, first)) ==
                 Outcome::kSame &&
             Same(a_.child(gold, 1), a_.child(answer, second)) ==
                 Outcome::kSame;
    };
    if (same_parts(0, 1)) return Outcome::kSame;
    const bool commutes =
        a_.Is(gold, Op::kUnion) || a_.Is(gold, Op::kIntersection);
    return commutes && same_parts(1, 0) ? Outcome::kSame : Outcome::kDifferent;
  }

  // \{\pm 1\} as \{1, -1\}, wherever it stands.
  Id WithSplicedSets(Id id) {
    if (a_.Is(id, Op::kSet)) return Spliced(id);
    const Node node = a_.node(id);
    if (node.op != Op::kUnion && node.op != Op::kIntersection &&
        node.op != Op::kSetMinus) {
      return id;
    }
    const Id left = WithSplicedSets(a_.child(id, 0));
    const Id right = WithSplicedSets(a_.child(id, 1));
    return a_.Make(node.op, {left, right});
  }

  std::optional<RealSet> SetOrSolutions(Id id) {
    id = WithSplicedSets(id);
    if (a_.Is(id, Op::kRelation)) return SolutionsOf(&a_, id, &budget_);
    if (a_.Is(id, Op::kList)) {
      const Op first = a_.op(a_.child(id, 0));
      if (first == Op::kRelation || first == Op::kMember) {
        return SolutionsOf(&a_, id, &budget_);
      }
      // (0,1) and (2,3)
      if (first == Op::kTuple) {
        Id all = a_.child(id, 0);
        for (int k = 1; k < a_.node(id).count; ++k) {
          all = a_.Make(Op::kUnion, {all, a_.child(id, k)});
        }
        return RealSetOf(&a_, all, &budget_);
      }
    }
    if (!IsCollection(a_.op(id))) {
      // A set of one number and the number are not the same set.
      return std::nullopt;
    }
    return RealSetOf(&a_, id, &budget_);
  }

  Outcome SameMatrices(Id gold, Id answer) {
    rule_ = "as matrices";
    const Node& g = a_.node(gold);
    const Node& a = a_.node(answer);
    if (g.count != a.count) return OneByOne(gold, answer);
    if (g.op == a.op) {
      if (g.value != a.value) return Outcome::kDifferent;
    } else {
      // A vector may be written as a point.
      const Node& matrix = g.op == Op::kMatrix ? g : a;
      const Node& other = g.op == Op::kMatrix ? a : g;
      if (other.op != Op::kTuple && other.op != Op::kSet) {
        return OneByOne(gold, answer);
      }
      if (matrix.value != 1 && matrix.value != matrix.count) {
        return Outcome::kDifferent;
      }
      if (other.op == Op::kSet) return Outcome::kDifferent;
    }
    return SameInOrder(gold, answer);
  }

  Outcome OneByOne(Id gold, Id answer) {
    // {M} is a set with a matrix in it.
    if (a_.Is(gold, Op::kSet) && a_.node(gold).count == 1) {
      return Same(a_.child(gold, 0), answer);
    }
    if (a_.Is(answer, Op::kSet) && a_.node(answer).count == 1) {
      return Same(gold, a_.child(answer, 0));
    }
    return Outcome::kDifferent;
  }

  Outcome SameInOrder(Id gold, Id answer) {
    if (a_.node(gold).count != a_.node(answer).count) {
      return Outcome::kDifferent;
    }
    Outcome worst = Outcome::kSame;
    for (int k = 0; k < a_.node(gold).count; ++k) {
      const Outcome outcome = Same(a_.child(gold, k), a_.child(answer, k));
      if (outcome == Outcome::kDifferent || outcome == Outcome::kBeyond) {
        return outcome;
      }
      if (outcome != Outcome::kSame) worst = outcome;
    }
    return worst;
  }

  bool IsUnordered(Op op) const { return op == Op::kList || op == Op::kSet; }

  // An interval, not a point or a list.
  bool IsInterval(Id id) const {
    const Node& node = a_.node(id);
    if (node.op != Op::kTuple || node.count != 2) return false;
    const uint8_t kinds = node.flag & (kOpenClosed | kCloseClosed | kOpenReal);
    return kinds != 0;
  }

  // P(1, 2) is the point (1, 2).
  Id AsPoint(Id id) {
    if (!a_.Is(id, Op::kApply) || a_.node(id).count < 2) return id;
    // Also A'.
    const std::string& name = a_.name(id);
    if (name[0] < 'A' || name[0] > 'Z' ||
        name.find_first_not_of("'", 1) != std::string::npos) {
      return id;
    }
    return a_.Make(Op::kTuple, a_.children(id));
  }

  Outcome SameItems(Id gold, Id answer) {
    if (a_.Is(gold, Op::kTuple)) answer = AsPoint(answer);
    if (a_.Is(answer, Op::kTuple)) gold = AsPoint(gold);
    const Node g = a_.node(gold);
    const Node a = a_.node(answer);
    if (g.op == Op::kEllipsis || a.op == Op::kEllipsis) {
      return g.op == a.op ? Outcome::kSame : Outcome::kDifferent;
    }
    // One item in a set, or in brackets, and the item.
    if (!IsCollection(g.op) || !IsCollection(a.op)) {
      const Id set = IsCollection(g.op) ? gold : answer;
      if (!IsUnordered(a_.op(set)) || !SaysOne(set)) {
        rule_ = IsCollection(a.op) ? "the answer is several, one is wanted"
                                   : "one answer, several are wanted";
        return Outcome::kDifferent;
      }
      return set == gold ? Same(a_.child(gold, 0), answer)
                         : Same(gold, a_.child(answer, 0));
    }
    if (g.op == Op::kTuple && a.op == Op::kTuple) {
      rule_ = "as points or intervals";
      if (g.count == 2 && a.count == 2) {
        const uint8_t kEnds = kOpenClosed | kCloseClosed;
        if ((g.flag & kEnds) != (a.flag & kEnds)) return Outcome::kDifferent;
      }
      return SameInOrder(gold, answer);
    }
    if (g.op == Op::kTuple || a.op == Op::kTuple) {
      const Id tuple = g.op == Op::kTuple ? gold : answer;
      const Id other = g.op == Op::kTuple ? answer : gold;
      if (a_.Is(other, Op::kSet)) {
        rule_ = "a set is no point";
        // [1, 2, 3] is a list in brackets.
        if (a_.node(tuple).count > 2 &&
            (a_.node(tuple).flag & kOpenClosed) != 0) {
          return SameUnordered(gold, answer);
        }
        // The empty interval and the like.
        const std::optional<RealSet> s = RealSetOf(&a_, tuple, &budget_);
        const std::optional<RealSet> t = RealSetOf(&a_, other, &budget_);
        if (IsInterval(tuple) && s.has_value() && t.has_value()) {
          return SameRealSet(a_, *s, *t, &budget_) ? Outcome::kSame
                                                   : Outcome::kDifferent;
        }
        return Outcome::kDifferent;
      }
      if (IsInterval(tuple)) {
        if (a_.Is(other, Op::kList) &&
            a_.Is(a_.child(other, 0), Op::kRelation)) {
          return SameSetExpressions(gold, answer);
        }
        rule_ = "an interval is no list";
        return Outcome::kDifferent;
      }
      rule_ = "as points";
      for (const Id item : Items(tuple)) {
        if (InfinityOf(item) != 0) return Outcome::kDifferent;
      }
      const Id values = WithoutNames(other, /*by_name=*/true);
      return g.op == Op::kTuple ? SameInOrder(gold, values)
                                : SameInOrder(values, answer);
    }
    return SameUnordered(gold, answer);
  }

  // One item, or one written in several ways: 15 39/40 or 639/40.
  bool SaysOne(Id list) {
    const int count = a_.node(list).count;
    if (count == 0) return false;
    for (int k = 1; k < count; ++k) {
      if (Same(a_.child(list, 0), a_.child(list, k)) != Outcome::kSame) {
        return false;
      }
    }
    return true;
  }

  // The values of "q = 2, p = 3", as written or in the order of the names; the
  // list itself if it isn't one of those.
  Id WithoutNames(Id list, bool by_name = false) {
    std::vector<std::pair<std::string, Id>> named;
    for (int k = 0; k < a_.node(list).count; ++k) {
      const Id item = a_.child(list, k);
      if (!IsAssignment(item)) return list;
      named.emplace_back(ExprText(a_, a_.child(item, 0)), LastSide(item));
    }
    if (by_name) {
      std::stable_sort(
          named.begin(), named.end(),
          [](const auto& x, const auto& y) { return x.first < y.first; });
    }
    std::vector<Id> values;
    for (const auto& [name, value] : named) values.push_back(value);
    return Spliced(a_.Make(a_.op(list), values));
  }

  bool AllAssignments(Id list) const {
    const absl::Span<const Id> items = a_.children(list);
    return !items.empty() &&
           std::all_of(items.begin(), items.end(),
                       [&](Id item) { return IsAssignment(item); });
  }

  // x_1 and x_2, or x and x: the order means nothing.
  bool OneLetter(Id list) {
    const auto letter = [&](int k) {
      return ExprText(a_, a_.child(a_.child(list, k), 0)).substr(0, 1);
    };
    for (int k = 1; k < a_.node(list).count; ++k) {
      if (letter(k) != letter(0)) return false;
    }
    return true;
  }

  bool IsTupleAssignment(Id id) const {
    return a_.Is(id, Op::kRelation) && IsAssignment(id) &&
           a_.Is(a_.child(id, 0), Op::kTuple) &&
           a_.Is(LastSide(id), Op::kTuple) &&
           a_.node(a_.child(id, 0)).count == a_.node(LastSide(id)).count;
  }

  // (x, y) = (1, 2) as x = 1, y = 2; other things as they are.
  Id Separated(Id id) {
    if (!IsTupleAssignment(id)) return id;
    const Id names = a_.child(id, 0);
    const Id values = LastSide(id);
    std::vector<Id> items;
    for (int k = 0; k < a_.node(names).count; ++k) {
      items.push_back(
          a_.Make(Op::kRelation, {a_.child(names, k), a_.child(values, k)}));
    }
    return a_.Make(Op::kList, items);
  }

  // All items are values of the same thing.
  bool OneName(Id list) {
    const Id first = a_.child(a_.child(list, 0), 0);
    for (int k = 1; k < a_.node(list).count; ++k) {
      if (!a_.SameTree(a_.child(a_.child(list, k), 0), first)) return false;
    }
    return true;
  }

  Outcome SameUnordered(Id gold, Id answer) {
    rule_ = "as sets";
    const bool g = AllAssignments(gold);
    const bool a = AllAssignments(answer);
    if (g && a) {
      const bool unlabelled = OneLetter(gold) && OneLetter(answer) &&
                              OneName(gold) != OneName(answer);
      if ((OneName(gold) && OneName(answer)) || unlabelled) {
        return SameUnorderedItems(WithoutNames(gold), WithoutNames(answer));
      }
      return SameUnorderedItems(Grouped(gold), Grouped(answer));
    }
    // Inequalities with and, or and commas.
    const auto inequalities = [&](Id id) {
      return a_.node(id).count > 0 && a_.Is(a_.child(id, 0), Op::kRelation) &&
             !IsEquation(a_.child(id, 0));
    };
    if (inequalities(gold) && inequalities(answer)) {
      const Outcome outcome = a_.node(gold).flag == a_.node(answer).flag
                                  ? SameUnorderedItems(gold, answer)
                                  : Outcome::kDifferent;
      if (outcome == Outcome::kSame) return outcome;
      const std::optional<RealSet> s = SolutionsOf(&a_, gold, &budget_);
      const std::optional<RealSet> t = SolutionsOf(&a_, answer, &budget_);
      if (s.has_value() && t.has_value() && SameSubject(gold, answer)) {
        return SameRealSet(a_, *s, *t, &budget_) ? Outcome::kSame
                                                 : Outcome::kDifferent;
      }
      return outcome;
    }
    if (g != a) {
      const Id x = g ? WithoutNames(gold) : gold;
      const Id y = a ? WithoutNames(answer) : answer;
      if (!OneLetter(g ? gold : answer)) return SameInOrder(x, y);
      return SameUnorderedItems(x, y);
    }
    return SameUnorderedItems(gold, answer);
  }

  // p = 5, q = 2, p = 7, q = 2 as two sets of two.
  Id Grouped(Id list) {
    const int count = a_.node(list).count;
    int period = count;
    const Id first = a_.child(a_.child(list, 0), 0);
    for (int k = 1; k < count; ++k) {
      if (a_.SameTree(a_.child(a_.child(list, k), 0), first)) {
        period = k;
        break;
      }
    }
    if (period == count || period < 2 || count % period != 0) return list;
    std::vector<Id> groups;
    for (int k = 0; k < count; k += period) {
      std::vector<Id> group;
      for (int j = 0; j < period; ++j) group.push_back(a_.child(list, k + j));
      groups.push_back(a_.Make(Op::kSet, group));
    }
    return a_.Make(Op::kSet, groups);
  }

  // Each item of one in the other, in any order.
  Outcome SameUnorderedItems(Id gold, Id answer) {
    std::vector<Id> x = Items(gold);
    std::vector<Id> y = Items(answer);
    if (x.size() != y.size()) {
      const bool sets = a_.Is(gold, Op::kSet) || a_.Is(answer, Op::kSet);
      if (!sets) return Outcome::kDifferent;
      x = WithoutRepeats(std::move(x));
      y = WithoutRepeats(std::move(y));
      if (x.size() != y.size()) return Outcome::kDifferent;
    }
    // 1, 2, ... is not 1, ..., 2
    const auto is_ellipsis = [&](Id item) {
      return a_.Is(item, Op::kEllipsis);
    };
    if (std::any_of(x.begin(), x.end(), is_ellipsis)) {
      return SameInOrder(gold, answer);
    }
    bool undecided = false;
    std::vector<bool> taken(y.size(), false);
    for (size_t i = 0; i < x.size(); ++i) {
      bool found = false;
      // Mostly they are in the same order.
      for (size_t step = 0; step < y.size() && !found; ++step) {
        const size_t k = (i + step) % y.size();
        if (taken[k]) continue;
        const Outcome outcome = Same(x[i], y[k]);
        if (outcome == Outcome::kBeyond || budget_.exhausted()) {
          return Outcome::kBeyond;
        }
        if (outcome == Outcome::kSame) {
          taken[k] = true;
          found = true;
        }
        undecided |= outcome == Outcome::kUndecided;
      }
      if (!found) {
        return undecided ? Outcome::kUndecided : Outcome::kDifferent;
      }
    }
    return Outcome::kSame;
  }

  std::vector<Id> Items(Id id) const {
    const absl::Span<const Id> items = a_.children(id);
    return {items.begin(), items.end()};
  }

  std::vector<Id> WithoutRepeats(std::vector<Id> items) {
    std::vector<Id> kept;
    for (const Id item : items) {
      bool seen = false;
      for (const Id other : kept) {
        seen = seen || Same(item, other) == Outcome::kSame;
        if (budget_.exhausted()) return kept;
      }
      if (!seen) kept.push_back(item);
    }
    return kept;
  }

  // --- Numbers and expressions ----------------------------------------------

  // Minus or plus infinity, or 0.
  int InfinityOf(Id id) const {
    if (a_.Is(id, Op::kInfinity)) return 1;
    if (a_.Is(id, Op::kPercent) || a_.Is(id, Op::kUnit)) {
      return InfinityOf(a_.child(id, 0));
    }
    if (a_.Is(id, Op::kMul) && a_.node(id).count == 2 &&
        a_.Is(a_.child(id, 0), Op::kNumber)) {
      return a_.number(a_.child(id, 0)).sign() * InfinityOf(a_.child(id, 1));
    }
    return 0;
  }

  Outcome SameValues(Id gold, Id answer) {
    const int g = InfinityOf(gold);
    const int a = InfinityOf(answer);
    if (g != 0 || a != 0) {
      return g == a ? Outcome::kSame : Outcome::kDifferent;
    }
    if (a_.Is(gold, Op::kUnit) || a_.Is(answer, Op::kUnit)) {
      return SameQuantities(gold, answer);
    }
    if (a_.Is(gold, Op::kPercent) != a_.Is(answer, Op::kPercent)) {
      // 28% is 28 and is 0.28.
      const Id plain = a_.Is(gold, Op::kPercent) ? answer : gold;
      const Id percent = a_.Is(gold, Op::kPercent) ? gold : answer;
      const Id hundred = a_.child(percent, 0);
      const Outcome outcome = Close(hundred, plain);
      return outcome == Outcome::kSame ? outcome : Close(percent, plain);
    }
    if (a_.Is(gold, Op::kDegree) || a_.Is(answer, Op::kDegree)) {
      if (a_.Is(gold, Op::kDegree) && a_.Is(answer, Op::kDegree)) {
        return Close(a_.child(gold, 0), a_.child(answer, 0));
      }
      const Id plain = a_.Is(gold, Op::kDegree) ? answer : gold;
      const Id degree = a_.Is(gold, Op::kDegree) ? gold : answer;
      // pi degrees are not pi.
      const Outcome outcome = a_.Contains(degree, Op::kPi)
                                  ? Outcome::kDifferent
                                  : SameValues(a_.child(degree, 0), plain);
      if (outcome == Outcome::kSame) return outcome;
      // 180 degrees are pi.
      // arccos(1/2) is an angle.
      return ExactValue(a_, plain, &budget_).has_value() ? outcome
                                                         : Close(degree, plain);
    }
    if (a_.Is(gold, Op::kBased)) return SameBased(gold, answer);
    if (a_.Is(gold, Op::kRatio) && a_.Is(answer, Op::kRatio)) {
      return SameRatios(gold, answer);
    }
    if (a_.Is(gold, Op::kRatio) || a_.Is(answer, Op::kRatio)) {
      const Id ratio = a_.Is(gold, Op::kRatio) ? gold : answer;
      const Id other = a_.Is(gold, Op::kRatio) ? answer : gold;
      if (a_.node(ratio).count != 2) return Outcome::kDifferent;
      return Close(a_.Make(Op::kDiv, {a_.child(ratio, 0), a_.child(ratio, 1)}),
                   other);
    }
    return Close(gold, answer);
  }

  // 204_5 against 204_5, 204 and 54.
  Outcome SameBased(Id gold, Id answer) {
    rule_ = "as numerals";
    if (a_.Is(answer, Op::kBased)) {
      const Outcome radix =
          SameScalar(a_, a_.child(gold, 1), a_.child(answer, 1), &budget_);
      if (radix != Outcome::kSame) return Outcome::kDifferent;
      return SameScalar(a_, gold, answer, &budget_);
    }
    // The same digits, the base left out.
    return SameScalar(a_, a_.child(gold, 0), answer, &budget_);
  }

  Outcome SameRatios(Id gold, Id answer) {
    rule_ = "as ratios";
    const int count = a_.node(gold).count;
    if (count != a_.node(answer).count) return Outcome::kDifferent;
    const Outcome parts = SameInOrder(gold, answer);
    if (parts == Outcome::kSame) return parts;
    // 1:2 = 2:4; a time of day such as 12:00 is no ratio.
    for (int k = 1; k < count; ++k) {
      const Id left =
          a_.Make(Op::kMul, {a_.child(gold, 0), a_.child(answer, k)});
      const Id right =
          a_.Make(Op::kMul, {a_.child(gold, k), a_.child(answer, 0)});
      for (const Id part : {a_.child(gold, k), a_.child(answer, k)}) {
        const std::optional<Rational> exact = ExactValue(a_, part, &budget_);
        if (exact.has_value() && exact->is_zero()) return Outcome::kDifferent;
      }
      const Outcome outcome = SameScalar(a_, left, right, &budget_);
      if (outcome != Outcome::kSame) return outcome;
    }
    return Outcome::kSame;
  }

  Outcome SameQuantities(Id gold, Id answer) {
    rule_ = "as quantities";
    const bool g = a_.Is(gold, Op::kUnit);
    const bool a = a_.Is(answer, Op::kUnit);
    const Id x = g ? a_.child(gold, 0) : gold;
    const Id y = a ? a_.child(answer, 0) : answer;
    if (!g || !a) {
      const Id plain = g ? answer : gold;
      const Id quantity = g ? gold : answer;
      if (a_.Is(plain, Op::kPercent)) return Outcome::kDifferent;
      if (a_.Is(plain, Op::kDegree)) {
        const Unit unit = ParseUnit(a_.name(quantity));
        if (unit.dimension == "radian") {
          return Close(plain, a_.child(quantity, 0));
        }
        if (unit.known) return Outcome::kDifferent;
      }
      // A unit that only one of them names is taken for granted.
      return SameValues(x, y);
    }
    const Unit u = ParseUnit(a_.name(gold));
    const Unit v = ParseUnit(a_.name(answer));
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
    return Close(a_.Make(Op::kMul, {x, a_.MakeNumber(u.factor)}),
                 a_.Make(Op::kMul, {y, a_.MakeNumber(v.factor)}));
  }

  bool HasDecimal(Id id) const {
    if (a_.Is(id, Op::kNumber)) return (a_.node(id).flag & kDecimal) != 0;
    const absl::Span<const Id> parts = a_.children(id);
    return std::any_of(parts.begin(), parts.end(),
                       [&](Id part) { return HasDecimal(part); });
  }

  // The same, or as close as a rounded decimal is.
  Outcome Close(Id gold, Id answer) {
    if (IsCollection(a_.op(gold)) || IsCollection(a_.op(answer))) {
      return Outcome::kDifferent;
    }
    if (options_.any_variable_names) answer = Renamed(gold, answer);
    const Outcome outcome = SameScalar(a_, gold, answer, &budget_);
    if (outcome != Outcome::kDifferent) return outcome;
    if (!HasDecimal(gold) && !HasDecimal(answer)) return outcome;
    std::vector<int32_t> names;
    CollectSymbols(a_, gold, &names);
    CollectSymbols(a_, answer, &names);
    if (!names.empty()) return outcome;
    if (!CloseAsDecimals(a_, gold, answer, options_.float_rounding, &budget_)) {
      return outcome;
    }
    rule_ = "as decimals, rounded";
    return Outcome::kSame;
  }

  // The answer with the gold's variables, in the order in which they come.
  Id Renamed(Id gold, Id answer) {
    std::vector<int32_t> wanted;
    std::vector<int32_t> got;
    CollectSymbols(a_, gold, &wanted);
    CollectSymbols(a_, answer, &got);
    if (wanted.size() != got.size()) return answer;
    for (size_t k = 0; k < got.size(); ++k) {
      answer =
          a_.Substitute(answer, got[k], a_.MakeSymbol(absl::StrCat("\x01", k)));
    }
    for (size_t k = 0; k < got.size(); ++k) {
      answer = a_.Substitute(answer, a_.Name(absl::StrCat("\x01", k)),
                             a_.Make(Op::kSymbol, {}, wanted[k]));
    }
    return answer;
  }

  Arena& a_;
  const CompareOptions& options_;
  Budget& budget_;
  const char* rule_ = "as expressions";
  int depth_ = 0;
};

// "(B)5", "B.5": a choice with what it says.
struct Choice {
  absl::string_view letter;  // Empty: it is none.
  absl::string_view text;
};

Choice ChoiceOf(absl::string_view normal_text) {
  Choice choice;
  absl::string_view text = normal_text;
  for (const absl::string_view word :
       {"option", "choice", "Option", "Choice"}) {
    if (!absl::ConsumePrefix(&text, word)) continue;
    // "Option C" is a choice without more.
    if (text.size() == 1 && absl::ascii_isalpha(text[0])) choice.letter = text;
    return choice;
  }
  const bool bracket = absl::ConsumePrefix(&text, "(");
  if (text.size() < 3 || text[0] < 'A' || text[0] > 'F') return choice;
  const bool ended =
      text[1] == ')' || (!bracket && (text[1] == '.' || text[1] == ':'));
  if (!ended) return choice;
  // What it says is one thing, and no second choice.
  const absl::string_view rest = text.substr(2);
  const std::string lower = absl::AsciiStrToLower(rest);
  bool another = false;  // A letter by itself, or no plain text.
  for (size_t k = 0; k < rest.size(); ++k) {
    const auto is_letter = [&](size_t i) {
      return i < rest.size() && absl::ascii_isalpha(rest[i]);
    };
    another |= rest[k] >= 'A' && rest[k] <= 'F' && !is_letter(k + 1) &&
               (k == 0 || !is_letter(k - 1) || rest[k - 1] == 'o');
    another |= !absl::ascii_isascii(rest[k]) || rest[k] == '\'';
  }
  if (another || absl::StrContains(rest, "(") || absl::StrContains(rest, ",") ||
      absl::StrContains(rest, ";") || absl::StrContains(lower, "or") ||
      absl::StrContains(lower, "and") || absl::StrContains(lower, "not") ||
      absl::StrContains(lower, "wrong") || absl::StrContains(lower, "vs") ||
      absl::StrContains(lower, "maybe") || DeniesOrHedges(rest)) {
    return choice;
  }
  choice.letter = text.substr(0, 1);
  choice.text = rest;
  return choice;
}

// 12:30, of which 24:60 is no other name.
bool IsClock(absl::string_view text) {
  const size_t colon = text.find(':');
  if (colon == absl::string_view::npos || colon == 0 || colon > 2 ||
      text.size() != colon + 3) {
    return false;
  }
  for (size_t k = 0; k < text.size(); ++k) {
    if (k != colon && !absl::ascii_isdigit(text[k])) return false;
  }
  return true;
}

// Different words for the same.
absl::string_view CommonName(absl::string_view normal_text) {
  static constexpr std::pair<absl::string_view, absl::string_view> kNames[] = {
      {"nosolution", "\\emptyset"},     {"nosolutions", "\\emptyset"},
      {"norealsolution", "\\emptyset"}, {"norealsolutions", "\\emptyset"},
      {"emptyset", "\\emptyset"},       {"\\varnothing", "\\emptyset"},
      {"\\{\\}", "\\emptyset"},         {"DNE", "doesnotexist"},
      {"dne", "doesnotexist"}};
  for (const auto& [name, common] : kNames) {
    if (normal_text == name) return common;
  }
  return normal_text;
}

// yes, Yes, YES; not abc and ABC, which are products or points.
bool IsSameWord(absl::string_view a, absl::string_view b) {
  if (!absl::EqualsIgnoreCase(a, b) || !IsWordAnswer(a)) return false;
  const auto is_word = [](absl::string_view text) {
    const bool lower =
        std::all_of(text.begin() + 1, text.end(), absl::ascii_islower);
    const bool upper =
        std::all_of(text.begin(), text.end(), absl::ascii_isupper);
    return lower || (upper && (text.size() > 3 || text == "YES" ||
                               text == "ODD" || text == "ALL"));
  };
  return is_word(a) && is_word(b);
}

bool IsSameText(absl::string_view a, absl::string_view b) {
  if (a == b || CommonName(a) == CommonName(b)) return true;
  for (const auto& [said, other] : {std::pair(a, b), std::pair(b, a)}) {
    const Choice choice = ChoiceOf(said);
    if (choice.letter.empty()) continue;
    const bool named = choice.text.empty();  // "Option C"
    if (choice.letter == other ||
        (named && absl::EqualsIgnoreCase(choice.letter, other))) {
      return true;
    }
    if (!named && absl::EqualsIgnoreCase(choice.text, other) &&
        IsWordAnswer(other)) {
      return true;
    }
  }
  if (IsDateOrTime(a) && IsDateOrTime(b)) {
    const auto bare = [](absl::string_view text) {
      return absl::StrReplaceAll(absl::AsciiStrToLower(text), {{".", ""}});
    };
    return bare(a) == bare(b);
  }
  return IsSameWord(a, b);
}

Comparison FromOutcome(Outcome outcome, std::string rule) {
  switch (outcome) {
    case Outcome::kSame:
      return Comparison{Match::kSame, std::move(rule), "", ""};
    case Outcome::kDifferent:
    case Outcome::kUndefined:
      return Comparison{Match::kDifferent, std::move(rule), "", ""};
    case Outcome::kUndecided:
      return Comparison{Match::kUndecided, std::move(rule), "", ""};
    case Outcome::kBeyond:
      return Comparison{Match::kBeyond, std::move(rule), "", ""};
  }
  return {};
}

// Whether the tree is a scalar without a value: 1/0, \infty - \infty.
bool IsUndefined(const Arena& arena, Id id, Budget* budget) {
  if (IsCollection(arena.op(id)) || arena.Contains(id, Op::kSymbol) ||
      arena.Contains(id, Op::kApply) || arena.Contains(id, Op::kInfinity) ||
      arena.Contains(id, Op::kIntegral) || arena.Contains(id, Op::kLimit)) {
    return false;
  }
  return SameScalar(arena, id, id, budget) == Outcome::kUndefined;
}

// Whether each number or function in it has a value.
bool AllHaveValues(const Arena& arena, Id id, Budget* budget) {
  if (!IsCollection(arena.op(id))) {
    return arena.Contains(id, Op::kInfinity) || HasValue(arena, id, budget);
  }
  const absl::Span<const Id> parts = arena.children(id);
  return std::all_of(parts.begin(), parts.end(), [&](Id part) {
    return AllHaveValues(arena, part, budget);
  });
}

// A gold that is a list of ways to write the same is not known; one reading
// of the commas is tried after the other where a text has commas between
// digits.
bool HasDigitComma(absl::string_view text) {
  for (size_t k = 1; k + 1 < text.size(); ++k) {
    if (text[k] == ',' && absl::ascii_isdigit(text[k - 1]) &&
        absl::ascii_isdigit(text[k + 1])) {
      return true;
    }
  }
  return false;
}

bool EndsWithLetter(absl::string_view text) {
  text = absl::StripTrailingAsciiWhitespace(text);
  while (absl::ConsumeSuffix(&text, "$") || absl::ConsumeSuffix(&text, "}") ||
         absl::ConsumeSuffix(&text, ".")) {
  }
  if (text.size() < 2) return false;
  // 3m, 5 m^2
  if (absl::EndsWith(text, "^2") || absl::EndsWith(text, "^3") ||
      absl::EndsWith(text, "^{2") || absl::EndsWith(text, "^{3")) {
    text.remove_suffix(
        absl::StrContains(text.substr(text.size() - 3), "{") ? 3 : 2);
  }
  return !text.empty() && absl::ascii_isalpha(text.back());
}

}  // namespace

namespace {

Comparison Compare(absl::string_view gold, absl::string_view answer,
                   const CompareOptions& options, Budget* budget, Arena* shared,
                   Id* gold_root, Id* answer_root) {
  Arena& arena = *shared;
  if (gold.size() > kMaxAnswerBytes) {
    return Comparison{Match::kBadGold, "the gold answer is too long", "", ""};
  }
  if (answer.size() > kMaxAnswerBytes) {
    return Comparison{Match::kBeyond, "the answer is too long", "", ""};
  }
  const std::string gold_text = NormalText(gold);
  const std::string answer_text = NormalText(answer);
  if (gold_text.empty())
    return Comparison{Match::kBadGold, "the gold answer is empty", "", ""};
  if (answer_text.empty())
    return Comparison{Match::kDifferent, "the answer is empty", "", ""};

  const auto read = [&](absl::string_view text, const Reading& reading) {
    const std::optional<Rational> words = NumberInWords(text);
    if (words.has_value()) return Parsed{arena.MakeNumber(*words), false};
    const std::string normal = absl::AsciiStrToLower(NormalText(text));
    if (normal == "allrealnumbers" || normal == "allreals" ||
        normal == "realnumbers" || normal == "allrealx") {
      return Parsed{arena.Make(Op::kNamedSet, {}, arena.Name("R")), false};
    }
    return Parse(text, reading, &arena);
  };
  const Parsed g = read(gold, Reading());
  if (g.beyond_limits) {
    return Comparison{Match::kBadGold, "the gold answer is beyond the limits",
                      "", ""};
  }
  *gold_root = g.root;
  const bool words = IsWordAnswer(gold_text) && IsWordAnswer(answer_text);
  if (IsSameText(gold_text, answer_text)) {
    if (g.root != kNoId && !words && IsUndefined(arena, g.root, budget)) {
      return Comparison{Match::kBadGold, "the gold answer has no value", "",
                        ""};
    }
    return Comparison{Match::kSame, "as text", "", ""};
  }
  const bool times = IsClock(gold_text) && IsClock(answer_text);
  if (words || times || IsDateOrTime(gold_text) || g.root == kNoId) {
    return Comparison{Match::kDifferent, "as text", "", ""};
  }
  Parsed a = read(answer, Reading());
  if (a.root == kNoId && !a.beyond_limits && HasDigitComma(answer)) {
    Reading brackets;
    brackets.brackets_thousands = true;
    a = read(answer, brackets);
  }
  if (a.beyond_limits) {
    return Comparison{Match::kBeyond, "the answer is beyond the limits", "",
                      ""};
  }
  if (a.root == kNoId)
    return Comparison{Match::kDifferent, "the answer can't be read", "", ""};
  *answer_root = a.root;

  Comparer comparer(&arena, options, budget);
  Outcome outcome =
      comparer.Same(comparer.Simplified(g.root), comparer.Simplified(a.root));
  std::string rule = comparer.rule();
  // Other readings of the same text, where there are any.
  const auto try_readings = [&](absl::string_view text, bool is_gold,
                                const Reading& reading) {
    if (outcome == Outcome::kSame || outcome == Outcome::kBeyond) return;
    const Parsed other = read(text, reading);
    if (other.root == kNoId) return;
    Comparer again(&arena, options, budget);
    const Outcome second = is_gold ? again.Same(other.root, a.root)
                                   : again.Same(g.root, other.root);
    if (second != Outcome::kSame) return;
    outcome = second;
    rule = again.rule();
  };
  for (const bool is_gold : {false, true}) {
    const absl::string_view text = is_gold ? gold : answer;
    if (!HasDigitComma(text)) continue;
    if (!is_gold) {
      Reading list;
      list.comma_is_list = true;
      try_readings(text, is_gold, list);
    }
    if (is_gold ? options.plain_gold : options.plain_answer) {
      Reading decimal;
      decimal.comma_is_decimal = true;
      try_readings(text, is_gold, decimal);
    }
  }
  // 1 m is not one times m if the answer is 100 cm.
  if (EndsWithLetter(gold) && arena.Is(a.root, Op::kUnit) &&
      ParseUnit(arena.name(a.root)).known) {
    Reading units;
    units.letters_are_units = true;
    try_readings(gold, /*is_gold=*/true, units);
  }
  if (EndsWithLetter(answer) && !arena.Contains(g.root, Op::kSymbol)) {
    Reading units;
    units.letters_are_units = true;
    try_readings(answer, /*is_gold=*/false, units);
  }
  if (outcome == Outcome::kDifferent &&
      (comparer.HasBareLog(g.root) || comparer.HasBareLog(a.root))) {
    outcome = comparer.Same(comparer.WithDecimalLog(g.root),
                            comparer.WithDecimalLog(a.root));
    rule = "with logarithms to base 10";
  }
  if (outcome == Outcome::kUndefined || outcome == Outcome::kUndecided) {
    if (IsUndefined(arena, g.root, budget)) {
      return Comparison{Match::kBadGold, "the gold answer has no value", "",
                        ""};
    }
    if (IsUndefined(arena, a.root, budget)) {
      return Comparison{Match::kDifferent, "the answer has no value", "", ""};
    }
    // What only the answer makes undecidable is wrong: a policy must not hide
    // behind it.
    Budget check(kMaxSteps / 2);
    if (AllHaveValues(arena, g.root, &check) &&
        !AllHaveValues(arena, a.root, &check)) {
      return Comparison{Match::kDifferent, "the answer can't be evaluated", "",
                        ""};
    }
  }
  if (budget->exhausted() && outcome != Outcome::kSame) {
    return Comparison{Match::kBeyond, "the comparison is beyond the limits", "",
                      ""};
  }
  return FromOutcome(outcome, std::move(rule));
}

}  // namespace

Comparison CompareAnswers(absl::string_view gold, absl::string_view answer,
                          const CompareOptions& options, Budget* budget) {
  Arena arena;
  Id gold_root = kNoId;
  Id answer_root = kNoId;
  Comparison comparison =
      Compare(gold, answer, options, budget, &arena, &gold_root, &answer_root);
  if (options.explain) {
    if (gold_root != kNoId) comparison.gold_read = ExprText(arena, gold_root);
    if (answer_root != kNoId) {
      comparison.answer_read = ExprText(arena, answer_root);
    }
  }
  return comparison;
}

bool IsGoldAnswer(absl::string_view text) {
  Budget budget;
  const Comparison self = CompareAnswers(text, text, {}, &budget);
  return self.match == Match::kSame;
}

}  // namespace ponder::math
