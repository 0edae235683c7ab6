// Whether two trees are the same answer.

#ifndef PONDER_REWARD_MATH_TREE_COMPARE_H_
#define PONDER_REWARD_MATH_TREE_COMPARE_H_

#include <optional>
#include <vector>

#include "reward/math/budget.h"
#include "reward/math/compare.h"
#include "reward/math/expr.h"
#include "reward/math/real_set.h"
#include "reward/math/scalar.h"

namespace ponder::math {

// Compares trees of one arena, to which it adds what it derives from them. Its
// members are in three files, in the order of the sections below. Not
// thread-safe.
class Comparer {
 public:
  // Nothing is owned; everything outlives the comparer.
  Comparer(Arena* arena, const CompareOptions& options, Budget* budget)
      : arena_(*arena), options_(options), budget_(*budget) {}

  Outcome Same(Id gold, Id answer);

  // How the last comparison was decided, for a person: "as sets".
  const char* rule() const { return rule_; }

 private:
  // --- tree_compare.cc: what is compared with what; numbers -----------------

  Outcome SamePrepared(Id gold, Id answer);
  Outcome SameMembers(Id gold, Id answer);
  Outcome SameCongruences(Id gold, Id answer);

  // Numbers, expressions and quantities.
  Outcome SameValues(Id gold, Id answer);
  Outcome PercentAgainst(Id gold, Id answer);
  Outcome SameDegrees(Id gold, Id answer);
  Outcome SameBased(Id gold, Id answer);
  Outcome SameRatios(Id gold, Id answer);
  Outcome SameQuantities(Id gold, Id answer);
  // The same, or as close as a rounded decimal is.
  Outcome Close(Id gold, Id answer);
  Id Renamed(Id gold, Id answer);
  Id Difference(Id left, Id right);

  // --- tree_compare_relations.cc: equations and inequalities ----------------

  Outcome SameRelations(Id gold, Id answer);
  Outcome SameEquations(Id gold, Id answer);
  Outcome SameChains(Id gold, Id answer);
  Outcome SameInequalities(Id gold, Id answer);
  // One side is an equation or inequality, the other a value or a set.
  Outcome RelationAgainst(Id relation, Id other, bool gold_is_relation);
  Outcome EquationAgainst(Id equation, Id other, bool gold_is_equation);
  Outcome Ordered(Id x, Id y, bool x_is_gold);
  Id WithVariableOf(Id gold_left, Id answer_left, Id answer_right);
  bool SameNumber(Id a, Id b);
  bool SameNames(Id a, Id b);
  bool SameSubject(Id a, Id b);
  bool EndsInItsMiddle(Id equation);

  // --- tree_compare_items.cc: sets, lists, points, matrices -----------------

  Outcome SameSetExpressions(Id gold, Id answer);
  Outcome SameMatrices(Id gold, Id answer);
  Outcome SameItems(Id gold, Id answer);
  Outcome TupleAgainst(Id gold, Id answer);
  Outcome SameUnordered(Id gold, Id answer);
  Outcome SameInequalityLists(Id gold, Id answer);
  // Each item of one in the other, in any order.
  Outcome SameUnorderedItems(Id gold, Id answer);
  Outcome SameInOrder(Id gold, Id answer);
  Outcome OneByOne(Id gold, Id answer);
  Outcome SameRealSets(const RealSet& gold, const RealSet& answer);
  std::optional<RealSet> SetOrSolutions(Id id);
  Id WithSplicedSets(Id id);
  Id AsPoint(Id id);
  Id Separated(Id id);
  Id Grouped(Id list);
  enum class NameOrder { kAsWritten, kSorted };
  Id WithoutNames(Id list, NameOrder order);
  bool SaysOne(Id list);
  std::vector<Id> WithoutRepeats(const std::vector<Id>& items);

  Arena& arena_;
  const CompareOptions& options_;
  Budget& budget_;
  const char* rule_ = "as expressions";
  int depth_ = 0;
};

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_TREE_COMPARE_H_
