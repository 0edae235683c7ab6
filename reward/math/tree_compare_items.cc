#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "reward/math/expr_text.h"
#include "reward/math/prepare.h"
#include "reward/math/statements.h"
#include "reward/math/tree_compare.h"

namespace ponder::math {
namespace {

bool IsUnordered(Op op) { return op == Op::kList || op == Op::kSet; }

std::vector<Id> Items(const Arena& arena, Id id) {
  const absl::Span<const Id> items = arena.children(id);
  return {items.begin(), items.end()};
}

}  // namespace

Outcome Comparer::SameSetExpressions(Id gold, Id answer) {
  rule_ = "as sets of real numbers";
  const std::optional<RealSet> s = SetOrSolutions(gold);
  const std::optional<RealSet> t =
      s.has_value() ? SetOrSolutions(answer) : std::nullopt;
  if (budget_.exhausted()) return Outcome::kBeyond;
  if (s.has_value() && t.has_value()) return SameRealSets(*s, *t);
  rule_ = "as written sets";
  // Part by part: A \cup B with symbols in them.
  if (arena_.op(gold) != arena_.op(answer) ||
      arena_.node(gold).count != arena_.node(answer).count ||
      arena_.node(gold).value != arena_.node(answer).value) {
    return Outcome::kDifferent;
  }
  if (arena_.Is(gold, Op::kNamedSet)) return Outcome::kSame;
  const auto same_parts = [&](int first, int second) {
    return Same(arena_.child(gold, 0), arena_.child(answer, first)) ==
               Outcome::kSame &&
           Same(arena_.child(gold, 1), arena_.child(answer, second)) ==
               Outcome::kSame;
  };
  if (same_parts(0, 1)) return Outcome::kSame;
  const bool commutes =
      arena_.Is(gold, Op::kUnion) || arena_.Is(gold, Op::kIntersection);
  return commutes && same_parts(1, 0) ? Outcome::kSame : Outcome::kDifferent;
}

// \{\pm 1\} as \{1, -1\}, wherever it stands.
Id Comparer::WithSplicedSets(Id id) {
  if (arena_.Is(id, Op::kSet)) return Spliced(&arena_, id);
  const Node node = arena_.node(id);
  if (node.op != Op::kUnion && node.op != Op::kIntersection &&
      node.op != Op::kSetMinus) {
    return id;
  }
  const Id left = WithSplicedSets(arena_.child(id, 0));
  const Id right = WithSplicedSets(arena_.child(id, 1));
  return arena_.Make(node.op, {left, right});
}

std::optional<RealSet> Comparer::SetOrSolutions(Id id) {
  id = WithSplicedSets(id);
  if (arena_.Is(id, Op::kRelation)) return SolutionsOf(&arena_, id, &budget_);
  if (arena_.Is(id, Op::kList)) {
    const Op first = arena_.op(arena_.child(id, 0));
    if (first == Op::kRelation || first == Op::kMember) {
      return SolutionsOf(&arena_, id, &budget_);
    }
    // (0,1) and (2,3)
    if (first == Op::kTuple) {
      Id all = arena_.child(id, 0);
      for (int k = 1; k < arena_.node(id).count; ++k) {
        all = arena_.Make(Op::kUnion, {all, arena_.child(id, k)});
      }
      return RealSetOf(&arena_, all, &budget_);
    }
  }
  return RealSetOf(&arena_, id, &budget_);
}

Outcome Comparer::SameRealSets(const RealSet& gold, const RealSet& answer) {
  return SameRealSet(arena_, gold, answer, &budget_) ? Outcome::kSame
                                                     : Outcome::kDifferent;
}

Outcome Comparer::SameMatrices(Id gold, Id answer) {
  rule_ = "as matrices";
  const Node& g = arena_.node(gold);
  const Node& a = arena_.node(answer);
  if (g.count != a.count) return OneByOne(gold, answer);
  if (g.op == a.op) {
    if (g.value != a.value) return Outcome::kDifferent;
  } else {
    // A vector may be written as a point.
    const Node& matrix = g.op == Op::kMatrix ? g : a;
    const Node& other = g.op == Op::kMatrix ? a : g;
    if (other.op == Op::kSet) return Outcome::kDifferent;
    if (other.op != Op::kTuple) return OneByOne(gold, answer);
    if (matrix.value != 1 && matrix.value != matrix.count) {
      return Outcome::kDifferent;
    }
  }
  return SameInOrder(gold, answer);
}

Outcome Comparer::OneByOne(Id gold, Id answer) {
  // {M} is a set with a matrix in it.
  if (arena_.Is(gold, Op::kSet) && arena_.node(gold).count == 1) {
    return Same(arena_.child(gold, 0), answer);
  }
  if (arena_.Is(answer, Op::kSet) && arena_.node(answer).count == 1) {
    return Same(gold, arena_.child(answer, 0));
  }
  return Outcome::kDifferent;
}

Outcome Comparer::SameInOrder(Id gold, Id answer) {
  if (arena_.node(gold).count != arena_.node(answer).count) {
    return Outcome::kDifferent;
  }
  Outcome worst = Outcome::kSame;
  for (int k = 0; k < arena_.node(gold).count; ++k) {
    const Outcome outcome =
        Same(arena_.child(gold, k), arena_.child(answer, k));
    if (outcome == Outcome::kDifferent || outcome == Outcome::kBeyond) {
      return outcome;
    }
    if (outcome != Outcome::kSame) worst = outcome;
  }
  return worst;
}

// P(1, 2) is the point (1, 2).
Id Comparer::AsPoint(Id id) {
  if (!arena_.Is(id, Op::kApply) || arena_.node(id).count < 2) return id;
  // Also A'.
  const std::string& name = arena_.name(id);
  if (name[0] < 'A' || name[0] > 'Z' ||
      name.find_first_not_of("'", 1) != std::string::npos) {
    return id;
  }
  return arena_.Make(Op::kTuple, arena_.children(id));
}

Outcome Comparer::SameItems(Id gold, Id answer) {
  if (arena_.Is(gold, Op::kTuple)) answer = AsPoint(answer);
  if (arena_.Is(answer, Op::kTuple)) gold = AsPoint(gold);
  const Node g = arena_.node(gold);
  const Node a = arena_.node(answer);
  if (g.op == Op::kEllipsis || a.op == Op::kEllipsis) {
    return g.op == a.op ? Outcome::kSame : Outcome::kDifferent;
  }
  // One item in a set, or in brackets, and the item.
  if (!IsCollection(g.op) || !IsCollection(a.op)) {
    const Id set = IsCollection(g.op) ? gold : answer;
    if (!IsUnordered(arena_.op(set)) || !SaysOne(set)) {
      rule_ = IsCollection(a.op) ? "the answer is several, one is wanted"
                                 : "one answer, several are wanted";
      return Outcome::kDifferent;
    }
    return set == gold ? Same(arena_.child(gold, 0), answer)
                       : Same(gold, arena_.child(answer, 0));
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
    return TupleAgainst(gold, answer);
  }
  return SameUnordered(gold, answer);
}

// One is a point or an interval, the other another collection.
Outcome Comparer::TupleAgainst(Id gold, Id answer) {
  const Id tuple = arena_.Is(gold, Op::kTuple) ? gold : answer;
  const Id other = arena_.Is(gold, Op::kTuple) ? answer : gold;
  if (arena_.Is(other, Op::kSet)) {
    rule_ = "a set is no point";
    // [1, 2, 3] is a list in brackets.
    if (arena_.node(tuple).count > 2 &&
        (arena_.node(tuple).flag & kOpenClosed) != 0) {
      return SameUnordered(gold, answer);
    }
    // The empty interval and the like.
    const std::optional<RealSet> s = RealSetOf(&arena_, tuple, &budget_);
    const std::optional<RealSet> t = RealSetOf(&arena_, other, &budget_);
    if (IsInterval(arena_, tuple) && s.has_value() && t.has_value()) {
      return SameRealSets(*s, *t);
    }
    return Outcome::kDifferent;
  }
  if (IsInterval(arena_, tuple)) {
    if (arena_.Is(other, Op::kList) &&
        arena_.Is(arena_.child(other, 0), Op::kRelation)) {
      return SameSetExpressions(gold, answer);
    }
    rule_ = "an interval is no list";
    return Outcome::kDifferent;
  }
  rule_ = "as points";
  for (const Id item : Items(arena_, tuple)) {
    if (InfinityOf(arena_, item) != 0) return Outcome::kDifferent;
  }
  const Id values = WithoutNames(other, NameOrder::kSorted);
  return arena_.Is(gold, Op::kTuple) ? SameInOrder(gold, values)
                                     : SameInOrder(values, answer);
}

// One item, or one written in several ways: 15 39/40 or 639/40.
bool Comparer::SaysOne(Id list) {
  const int count = arena_.node(list).count;
  if (count == 0) return false;
  for (int k = 1; k < count; ++k) {
    if (Same(arena_.child(list, 0), arena_.child(list, k)) != Outcome::kSame) {
      return false;
    }
  }
  return true;
}

// The values of "q = 2, p = 3", as written or in the order of the names; the
// list itself if it isn't one of those.
Id Comparer::WithoutNames(Id list, NameOrder order) {
  std::vector<std::pair<std::string, Id>> named;
  for (int k = 0; k < arena_.node(list).count; ++k) {
    const Id item = arena_.child(list, k);
    if (!IsAssignment(arena_, item)) return list;
    named.emplace_back(ExprText(arena_, arena_.child(item, 0)),
                       LastSide(arena_, item));
  }
  if (order == NameOrder::kSorted) {
    std::stable_sort(
        named.begin(), named.end(),
        [](const auto& x, const auto& y) { return x.first < y.first; });
  }
  std::vector<Id> values;
  for (const auto& [name, value] : named) values.push_back(value);
  return Spliced(&arena_, arena_.Make(arena_.op(list), values));
}

// (x, y) = (1, 2) as x = 1, y = 2; other things as they are.
Id Comparer::Separated(Id id) {
  if (!IsTupleAssignment(arena_, id)) return id;
  const Id names = arena_.child(id, 0);
  const Id values = LastSide(arena_, id);
  std::vector<Id> items;
  for (int k = 0; k < arena_.node(names).count; ++k) {
    items.push_back(arena_.Make(
        Op::kRelation, {arena_.child(names, k), arena_.child(values, k)}));
  }
  return arena_.Make(Op::kList, items);
}

Outcome Comparer::SameUnordered(Id gold, Id answer) {
  rule_ = "as sets";
  const bool g = AllAssignments(arena_, gold);
  const bool a = AllAssignments(arena_, answer);
  if (g && a) {
    const bool unlabelled =
        HaveOneLetter(arena_, gold) && HaveOneLetter(arena_, answer) &&
        HaveOneName(arena_, gold) != HaveOneName(arena_, answer);
    if ((HaveOneName(arena_, gold) && HaveOneName(arena_, answer)) ||
        unlabelled) {
      return SameUnorderedItems(WithoutNames(gold, NameOrder::kAsWritten),
                                WithoutNames(answer, NameOrder::kAsWritten));
    }
    return SameUnorderedItems(Grouped(gold), Grouped(answer));
  }
  const auto inequalities = [&](Id id) {
    return arena_.node(id).count > 0 &&
           arena_.Is(arena_.child(id, 0), Op::kRelation) &&
           !IsEquation(arena_, arena_.child(id, 0));
  };
  if (inequalities(gold) && inequalities(answer)) {
    return SameInequalityLists(gold, answer);
  }
  if (g != a) {
    const Id x = g ? WithoutNames(gold, NameOrder::kAsWritten) : gold;
    const Id y = a ? WithoutNames(answer, NameOrder::kAsWritten) : answer;
    if (!HaveOneLetter(arena_, g ? gold : answer)) return SameInOrder(x, y);
    return SameUnorderedItems(x, y);
  }
  if (options_.ordered_lists && arena_.Is(gold, Op::kList) &&
      arena_.Is(answer, Op::kList)) {
    rule_ = "as lists in order";
    return SameInOrder(gold, answer);
  }
  return SameUnorderedItems(gold, answer);
}

// Inequalities with and, or and commas.
Outcome Comparer::SameInequalityLists(Id gold, Id answer) {
  const Outcome outcome = arena_.node(gold).flag == arena_.node(answer).flag
                              ? SameUnorderedItems(gold, answer)
                              : Outcome::kDifferent;
  if (outcome == Outcome::kSame) return outcome;
  const std::optional<RealSet> s = SolutionsOf(&arena_, gold, &budget_);
  const std::optional<RealSet> t = SolutionsOf(&arena_, answer, &budget_);
  if (s.has_value() && t.has_value() && SameSubject(gold, answer)) {
    return SameRealSets(*s, *t);
  }
  return outcome;
}

// p = 5, q = 2, p = 7, q = 2 as two sets of two.
Id Comparer::Grouped(Id list) {
  const int count = arena_.node(list).count;
  int period = count;
  const Id first = arena_.child(arena_.child(list, 0), 0);
  for (int k = 1; k < count; ++k) {
    if (arena_.SameTree(arena_.child(arena_.child(list, k), 0), first)) {
      period = k;
      break;
    }
  }
  if (period == count || period < 2 || count % period != 0) return list;
  std::vector<Id> groups;
  for (int k = 0; k < count; k += period) {
    std::vector<Id> group;
    for (int j = 0; j < period; ++j) group.push_back(arena_.child(list, k + j));
    groups.push_back(arena_.Make(Op::kSet, group));
  }
  return arena_.Make(Op::kSet, groups);
}

Outcome Comparer::SameUnorderedItems(Id gold, Id answer) {
  std::vector<Id> x = Items(arena_, gold);
  std::vector<Id> y = Items(arena_, answer);
  if (x.size() != y.size()) {
    const bool sets = arena_.Is(gold, Op::kSet) || arena_.Is(answer, Op::kSet);
    if (!sets) return Outcome::kDifferent;
    x = WithoutRepeats(x);
    y = WithoutRepeats(y);
    if (x.size() != y.size()) return Outcome::kDifferent;
  }
  // 1, 2, ... is not 1, ..., 2
  const auto is_ellipsis = [&](Id item) {
    return arena_.Is(item, Op::kEllipsis);
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

std::vector<Id> Comparer::WithoutRepeats(const std::vector<Id>& items) {
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

}  // namespace ponder::math
