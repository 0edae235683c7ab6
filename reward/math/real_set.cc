#include "reward/math/real_set.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/types/span.h"
#include "reward/math/exact.h"
#include "reward/math/limits.h"
#include "reward/math/scalar.h"
#include "reward/math/statements.h"

namespace ponder::math {
namespace {

using Set = std::optional<RealSet>;

// Order of real numbers; unset when one can't be decided.
class Order {
 public:
  Order(Arena* arena, Budget* budget) : arena_(*arena), budget_(*budget) {}

  bool failed() const { return failed_; }

  // -1, 0, 1
  int Compare(Id a, Id b) {
    if (a == b) return 0;
    const Id difference = arena_.Make(Op::kAdd, {a, arena_.MakeNeg(b)});
    const std::optional<int> sign = SignOf(arena_, difference, &budget_);
    if (!sign.has_value()) {
      failed_ = true;
      return 0;
    }
    return *sign;
  }
  int CompareLow(const Interval& a, const Interval& b) {
    if (a.low == kNoId || b.low == kNoId) {
      return (a.low == kNoId ? 0 : 1) - (b.low == kNoId ? 0 : 1);
    }
    const int order = Compare(a.low, b.low);
    return order != 0 ? order : static_cast<int>(b.low_closed) - a.low_closed;
  }
  int CompareHigh(const Interval& a, const Interval& b) {
    if (a.high == kNoId || b.high == kNoId) {
      return (a.high == kNoId ? 1 : 0) - (b.high == kNoId ? 1 : 0);
    }
    const int order = Compare(a.high, b.high);
    return order != 0 ? order : static_cast<int>(a.high_closed) - b.high_closed;
  }
  bool IsEmpty(const Interval& a) {
    if (a.low == kNoId || a.high == kNoId) return false;
    const int order = Compare(a.low, a.high);
    return order > 0 || (order == 0 && !(a.low_closed && a.high_closed));
  }
  // Whether b begins in a or right behind it.
  bool Touches(const Interval& a, const Interval& b) {
    if (a.high == kNoId || b.low == kNoId) return true;
    const int order = Compare(b.low, a.high);
    return order < 0 || (order == 0 && (a.high_closed || b.low_closed));
  }

 private:
  Arena& arena_;
  Budget& budget_;
  bool failed_ = false;
};

class Builder {
 public:
  Builder(Arena* arena, Budget* budget)
      : arena_(*arena), budget_(*budget), order_(arena, budget) {}

  Set Of(Id id) {
    const Node node = arena_.node(id);
    switch (node.op) {
      case Op::kTuple:
        return FromTuple(id);
      case Op::kSet:
      case Op::kList: {
        RealSet points;
        for (int k = 0; k < node.count; ++k) {
          const Id item = arena_.child(id, k);
          if (!IsNumber(item)) return std::nullopt;
          points.push_back({item, item, true, true});
        }
        return Normal(std::move(points));
      }
      case Op::kNamedSet:
        if (arena_.name(id) == "R") return RealSet{Interval{}};
        return std::nullopt;
      case Op::kUnion: {
        Set left = Of(arena_.child(id, 0));
        Set right = Of(arena_.child(id, 1));
        if (!left.has_value() || !right.has_value()) return std::nullopt;
        return Union(*left, *right);
      }
      case Op::kIntersection: {
        const Set left = Of(arena_.child(id, 0));
        const Set right = Of(arena_.child(id, 1));
        if (!left.has_value() || !right.has_value()) return std::nullopt;
        return Intersection(*left, *right);
      }
      case Op::kSetMinus: {
        const Set left = Of(arena_.child(id, 0));
        const Set right = Of(arena_.child(id, 1));
        if (!left.has_value() || !right.has_value()) return std::nullopt;
        return Intersection(*left, Complement(*right));
      }
      case Op::kSetBuilder: {
        // {x | ...} and {x in R | ...}; not {2x | ...} or {x in Z | ...}.
        Id element = arena_.child(id, 0);
        if (arena_.Is(element, Op::kMember)) {
          const Id from = arena_.child(element, 1);
          if (!arena_.Is(from, Op::kNamedSet) || arena_.name(from) != "R") {
            return std::nullopt;
          }
          element = arena_.child(element, 0);
        }
        if (!arena_.Is(element, Op::kSymbol)) return std::nullopt;
        return Solve(arena_.child(id, 1));
      }
      case Op::kMember:
        return Of(arena_.child(id, 1));
      default:
        return std::nullopt;
    }
  }

  Set Solve(Id id) {
    const Node node = arena_.node(id);
    if (node.op == Op::kMember) return Of(arena_.child(id, 1));
    if (node.op == Op::kList) {
      Set all;
      for (int k = 0; k < node.count; ++k) {
        const Set part = Solve(arena_.child(id, k));
        if (!part.has_value()) return std::nullopt;
        if (!all.has_value()) {
          all = part;
          continue;
        }
        Set both = node.flag & kAlternatives ? Union(*all, *part)
                                             : Intersection(*all, *part);
        // "x < 1, x > 3" can only mean one or the other.
        if (both.has_value() && both->empty() &&
            (node.flag & kConjunction) == 0) {
          both = Union(*all, *part);
        }
        if (!both.has_value()) return std::nullopt;
        all = std::move(both);
      }
      return all;
    }
    if (node.op != Op::kRelation) return std::nullopt;
    const Id subject = Subject(id);
    if (subject == kNoId) return std::nullopt;
    Set all = RealSet{Interval{}};
    for (int k = 0; k + 1 < node.count; ++k) {
      const Set link = SolveLink(arena_.child(id, k), arena_.relation(id, k),
                                 arena_.child(id, k + 1), subject);
      if (!link.has_value()) return std::nullopt;
      all = Intersection(*all, *link);
      if (!all.has_value()) return std::nullopt;
    }
    return all;
  }

 private:
  bool IsNumber(Id id) {
    std::vector<int32_t> names;
    CollectSymbols(arena_, id, &names);
    if (!names.empty()) return false;
    return !IsCollection(arena_.op(id)) && !arena_.Is(id, Op::kInfinity);
  }

  // -1 or 1 if it is minus or plus infinity.
  int InfinityOf(Id id) const {
    if (arena_.Is(id, Op::kInfinity)) return 1;
    if (arena_.Is(id, Op::kMul) && arena_.node(id).count == 2 &&
        arena_.Is(arena_.child(id, 1), Op::kInfinity) &&
        arena_.Is(arena_.child(id, 0), Op::kNumber)) {
      return arena_.number(arena_.child(id, 0)).sign();
    }
    return 0;
  }

  Set FromTuple(Id id) {
    const Node& node = arena_.node(id);
    if (node.count != 2) return std::nullopt;
    Interval interval;
    const Id low = arena_.child(id, 0);
    const Id high = arena_.child(id, 1);
    if (InfinityOf(low) < 0) {
      interval.low = kNoId;
    } else if (IsNumber(low)) {
      interval.low = low;
      interval.low_closed = (node.flag & kOpenClosed) != 0;
    } else {
      return std::nullopt;
    }
    if (InfinityOf(high) > 0) {
      interval.high = kNoId;
    } else if (IsNumber(high)) {
      interval.high = high;
      interval.high_closed = (node.flag & kCloseClosed) != 0;
    } else {
      return std::nullopt;
    }
    return Normal({interval});
  }

  Set Normal(RealSet set) {
    RealSet kept;
    for (const Interval& interval : set) {
      if (!order_.IsEmpty(interval)) kept.push_back(interval);
    }
    // Few and comparisons may fail: insertion sort.
    for (size_t i = 1; i < kept.size(); ++i) {
      for (size_t k = i; k > 0; --k) {
        if (order_.CompareLow(kept[k - 1], kept[k]) <= 0) break;
        std::swap(kept[k - 1], kept[k]);
        if (budget_.exhausted()) return std::nullopt;
      }
    }
    RealSet merged;
    for (const Interval& interval : kept) {
      if (merged.empty() || !order_.Touches(merged.back(), interval)) {
        merged.push_back(interval);
        continue;
      }
      Interval& last = merged.back();
      if (order_.CompareHigh(last, interval) < 0) {
        last.high = interval.high;
        last.high_closed = interval.high_closed;
      }
    }
    if (order_.failed()) return std::nullopt;
    return merged;
  }

  Set Union(RealSet a, const RealSet& b) {
    a.insert(a.end(), b.begin(), b.end());
    return Normal(std::move(a));
  }

  Set Intersection(const RealSet& a, const RealSet& b) {
    RealSet result;
    for (const Interval& x : a) {
      for (const Interval& y : b) {
        Interval both = order_.CompareLow(x, y) >= 0 ? x : y;
        const Interval& end = order_.CompareHigh(x, y) <= 0 ? x : y;
        both.high = end.high;
        both.high_closed = end.high_closed;
        if (!order_.IsEmpty(both)) result.push_back(both);
        if (result.size() > kMaxItems) return std::nullopt;
      }
    }
    return Normal(std::move(result));
  }

  // REQUIRES: `set` is normal.
  static RealSet Complement(const RealSet& set) {
    RealSet gaps;
    Interval gap;
    bool open = true;
    for (const Interval& interval : set) {
      if (interval.low != kNoId) {
        gap.high = interval.low;
        gap.high_closed = !interval.low_closed;
        gaps.push_back(gap);
      }
      open = interval.high != kNoId;
      gap = Interval{interval.high, kNoId, !interval.high_closed, false};
    }
    if (open) gaps.push_back(gap);
    return gaps;
  }

  // The one term with a variable in it: a symbol, f(x) or |x|.
  Id Subject(Id relation) {
    std::vector<Id> terms;
    for (const Id side : arena_.children(relation)) FindSubjects(side, &terms);
    if (terms.empty()) return kNoId;
    for (const Id term : terms) {
      if (!arena_.SameTree(term, terms[0])) return kNoId;
    }
    return terms[0];
  }

  void FindSubjects(Id id, std::vector<Id>* terms) const {
    if (arena_.Is(id, Op::kSymbol) || arena_.Is(id, Op::kApply)) {
      terms->push_back(id);
      return;
    }
    for (const Id part : arena_.children(id)) FindSubjects(part, terms);
  }

  // Coefficients of `id` as a polynomial of degree two in `subject`.
  struct Quadratic {
    Rational square;
    Rational linear;
    Id constant = kNoId;  // Any number.
  };

  bool IsSubject(Id id, Id subject) const {
    return arena_.SameTree(id, subject);
  }

  bool HasSubject(Id id, Id subject) const {
    if (IsSubject(id, subject)) return true;
    const absl::Span<const Id> parts = arena_.children(id);
    return std::any_of(parts.begin(), parts.end(),
                       [&](Id part) { return HasSubject(part, subject); });
  }

  std::optional<Quadratic> Polynomial(Id id, Id subject) {
    Quadratic result;
    if (!HasSubject(id, subject)) {
      result.constant = id;
      return result;
    }
    result.constant = arena_.MakeNumber(0);
    if (IsSubject(id, subject)) {
      result.linear = Rational(1);
      return result;
    }
    const Node node = arena_.node(id);
    switch (node.op) {
      case Op::kAdd: {
        std::vector<Id> constants;
        for (int k = 0; k < node.count; ++k) {
          const auto part = Polynomial(arena_.child(id, k), subject);
          if (!part.has_value()) return std::nullopt;
          fmpq_add(result.square.get(), result.square.get(),
                   part->square.get());
          fmpq_add(result.linear.get(), result.linear.get(),
                   part->linear.get());
          constants.push_back(part->constant);
        }
        result.constant = arena_.Make(Op::kAdd, constants);
        return result;
      }
      case Op::kMul: {
        std::optional<Quadratic> product;
        for (int k = 0; k < node.count; ++k) {
          const auto part = Polynomial(arena_.child(id, k), subject);
          if (!part.has_value()) return std::nullopt;
          product = product.has_value() ? Times(*product, *part) : part;
          if (!product.has_value()) return std::nullopt;
        }
        return product;
      }
      case Op::kDiv: {
        const auto above = Polynomial(arena_.child(id, 0), subject);
        const std::optional<Rational> below =
            ExactValue(arena_, arena_.child(id, 1), &budget_);
        if (!above.has_value() || !below.has_value() || below->is_zero()) {
          return std::nullopt;
        }
        Quadratic inverse;
        Rational factor(1);
        fmpq_div(factor.get(), factor.get(), below->get());
        inverse.constant = arena_.MakeNumber(factor);
        return Times(*above, inverse);
      }
      case Op::kPow: {
        const std::optional<Rational> exponent =
            ExactValue(arena_, arena_.child(id, 1), &budget_);
        if (!exponent.has_value() || !(*exponent == Rational(2))) {
          return std::nullopt;
        }
        const auto base = Polynomial(arena_.child(id, 0), subject);
        if (!base.has_value()) return std::nullopt;
        return Times(*base, *base);
      }
      default:
        return std::nullopt;
    }
  }

  std::optional<Quadratic> Times(const Quadratic& a, const Quadratic& b) {
    const bool plain_a = a.square.is_zero() && a.linear.is_zero();
    const bool plain_b = b.square.is_zero() && b.linear.is_zero();
    Quadratic result;
    if (plain_a && plain_b) {
      result.constant = arena_.Make(Op::kMul, {a.constant, b.constant});
      return result;
    }
    const std::optional<Rational> x = ExactValue(arena_, a.constant, &budget_);
    const std::optional<Rational> y = ExactValue(arena_, b.constant, &budget_);
    if (plain_b && y.has_value()) {
      fmpq_mul(result.square.get(), a.square.get(), y->get());
      fmpq_mul(result.linear.get(), a.linear.get(), y->get());
      result.constant = arena_.Make(Op::kMul, {a.constant, b.constant});
      return result;
    }
    if (plain_a && x.has_value()) return Times(b, a);
    if (!a.square.is_zero() || !b.square.is_zero() || !x.has_value() ||
        !y.has_value()) {
      return std::nullopt;
    }
    Rational part;
    fmpq_mul(result.square.get(), a.linear.get(), b.linear.get());
    fmpq_mul(result.linear.get(), a.linear.get(), y->get());
    fmpq_mul(part.get(), b.linear.get(), x->get());
    fmpq_add(result.linear.get(), result.linear.get(), part.get());
    result.constant = arena_.Make(Op::kMul, {a.constant, b.constant});
    return result;
  }

  // subject relation bound
  Set Ray(Relation relation, Id bound) {
    switch (relation) {
      case Relation::kEq:
        return RealSet{{bound, bound, true, true}};
      case Relation::kNe:
        return RealSet{{kNoId, bound, false, false},
                       {bound, kNoId, false, false}};
      case Relation::kLt:
        return RealSet{{kNoId, bound, false, false}};
      case Relation::kLe:
        return RealSet{{kNoId, bound, false, true}};
      case Relation::kGt:
        return RealSet{{bound, kNoId, false, false}};
      case Relation::kGe:
        return RealSet{{bound, kNoId, true, false}};
    }
    return std::nullopt;
  }

  Set SolveLink(Id left, Relation relation, Id right, Id subject) {
    if (InfinityOf(right) != 0 || InfinityOf(left) != 0) {
      // x < \infty says nothing.
      return RealSet{Interval{}};
    }
    // |linear| < number
    for (const bool swapped : {false, true}) {
      const Id abs = swapped ? right : left;
      const Id bound = swapped ? left : right;
      if (!arena_.Is(abs, Function::kAbs) || HasSubject(bound, subject) ||
          !HasSubject(abs, subject)) {
        continue;
      }
      const Relation r = swapped ? Reversed(relation) : relation;
      const Id inner = arena_.child(abs, 0);
      const Id minus = arena_.MakeNeg(bound);
      const Set below = SolveLink(inner, r, bound, subject);
      const Set above = SolveLink(inner, Reversed(r), minus, subject);
      if (!below.has_value() || !above.has_value()) return std::nullopt;
      const bool inside =
          r == Relation::kLt || r == Relation::kLe || r == Relation::kNe;
      return inside ? Intersection(*below, *above) : Union(*below, *above);
    }
    const auto x = Polynomial(left, subject);
    const auto y = Polynomial(right, subject);
    if (!x.has_value() || !y.has_value()) return std::nullopt;
    Rational square;
    Rational linear;
    fmpq_sub(square.get(), x->square.get(), y->square.get());
    fmpq_sub(linear.get(), x->linear.get(), y->linear.get());
    const Id constant =
        arena_.Make(Op::kAdd, {x->constant, arena_.MakeNeg(y->constant)});
    if (square.is_zero()) {
      if (linear.is_zero()) return std::nullopt;
      Id bound = arena_.Make(
          Op::kDiv, {arena_.MakeNeg(constant), arena_.MakeNumber(linear)});
      const std::optional<Rational> exact = ExactValue(arena_, bound, &budget_);
      if (exact.has_value()) bound = arena_.MakeNumber(*exact);
      return Ray(linear.sign() > 0 ? relation : Reversed(relation), bound);
    }
    return SolveQuadratic(square, linear, constant, relation);
  }

  // square x^2 + linear x + constant relation 0
  Set SolveQuadratic(const Rational& square, const Rational& linear,
                     Id constant, Relation relation) {
    if (square.sign() < 0) relation = Reversed(relation);
    const Id b = arena_.MakeNumber(linear);
    const Id twice = arena_.Make(
        Op::kMul, {arena_.MakeNumber(2), arena_.MakeNumber(square)});
    const Id discriminant = arena_.Make(
        Op::kAdd,
        {arena_.Make(Op::kPow, {b, arena_.MakeNumber(2)}),
         arena_.Make(Op::kMul, {arena_.MakeNumber(-4),
                                arena_.MakeNumber(square), constant})});
    const std::optional<int> sign = SignOf(arena_, discriminant, &budget_);
    if (!sign.has_value()) return std::nullopt;
    const bool above = relation == Relation::kGt || relation == Relation::kGe ||
                       relation == Relation::kNe;
    if (*sign < 0) return above ? RealSet{Interval{}} : RealSet{};
    const Id root =
        arena_.Make(Op::kRoot, {discriminant, arena_.MakeNumber(2)});
    const Id minus_b = arena_.MakeNeg(b);
    Id low = arena_.Make(
        Op::kDiv,
        {arena_.Make(Op::kAdd, {minus_b, arena_.MakeNeg(root)}), twice});
    Id high =
        arena_.Make(Op::kDiv, {arena_.Make(Op::kAdd, {minus_b, root}), twice});
    for (Id* end : {&low, &high}) {
      const std::optional<Rational> exact = ExactValue(arena_, *end, &budget_);
      if (exact.has_value()) *end = arena_.MakeNumber(*exact);
    }
    if (square.sign() < 0) std::swap(low, high);
    const bool closed = relation == Relation::kLe || relation == Relation::kGe;
    switch (relation) {
      case Relation::kEq:
        return Normal({{low, low, true, true}, {high, high, true, true}});
      case Relation::kLt:
      case Relation::kLe:
        return Normal({{low, high, closed, closed}});
      case Relation::kNe: {
        const Set points =
            Normal({{low, low, true, true}, {high, high, true, true}});
        if (!points.has_value()) return std::nullopt;
        return Complement(*points);
      }
      default:
        return Normal(
            {{kNoId, low, false, closed}, {high, kNoId, closed, false}});
    }
  }

  Arena& arena_;
  Budget& budget_;
  Order order_;
};

}  // namespace

std::optional<RealSet> RealSetOf(Arena* arena, Id id, Budget* budget) {
  return Builder(arena, budget).Of(id);
}

std::optional<RealSet> SolutionsOf(Arena* arena, Id relation, Budget* budget) {
  return Builder(arena, budget).Solve(relation);
}

bool SameRealSet(const Arena& arena, const RealSet& a, const RealSet& b,
                 Budget* budget) {
  if (a.size() != b.size()) return false;
  const auto same = [&](Id x, Id y) {
    if (x == kNoId || y == kNoId) return x == y;
    return SameScalar(arena, x, y, budget) == Outcome::kSame;
  };
  for (size_t k = 0; k < a.size(); ++k) {
    if (a[k].low_closed != b[k].low_closed ||
        a[k].high_closed != b[k].high_closed || !same(a[k].low, b[k].low) ||
        !same(a[k].high, b[k].high)) {
      return false;
    }
  }
  return true;
}

}  // namespace ponder::math
