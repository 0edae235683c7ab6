#include "reward/math/expr.h"

#include <algorithm>
#include <utility>

namespace ponder::math {

Relation Reversed(Relation relation) {
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

Id Arena::Make(Op op, absl::Span<const Id> children, int32_t value,
               uint8_t flag) {
  Node node{op, flag, value, static_cast<int32_t>(children_.size()),
            static_cast<int32_t>(children.size())};
  // `children` may be a view of children_, which may move.
  const std::vector<Id> copy(children.begin(), children.end());
  children_.insert(children_.end(), copy.begin(), copy.end());
  nodes_.push_back(node);
  return static_cast<Id>(nodes_.size()) - 1;
}

Id Arena::MakeNumber(Rational number, uint8_t flag) {
  numbers_.push_back(std::move(number));
  return Make(Op::kNumber, {}, static_cast<int32_t>(numbers_.size()) - 1, flag);
}

int32_t Arena::Name(absl::string_view name) {
  const auto [it, added] = numbers_of_names_.try_emplace(
      std::string(name), static_cast<int32_t>(names_.size()));
  if (added) names_.push_back(it->first);
  return it->second;
}

bool Arena::SameTree(Id a, Id b) const {
  if (a == b) return true;
  const Node& x = nodes_[a];
  const Node& y = nodes_[b];
  if (x.op != y.op || x.count != y.count) return false;
  if (x.op == Op::kNumber) return number(a) == number(b);
  constexpr uint8_t kMeaning = kOpenClosed | kCloseClosed | kOpenReal | 1;
  if (x.value != y.value || (x.flag & kMeaning) != (y.flag & kMeaning)) {
    return false;
  }
  for (int k = 0; k < x.count; ++k) {
    if (!SameTree(child(a, k), child(b, k))) return false;
  }
  return true;
}

bool Arena::Contains(Id id, Op op) const {
  if (Is(id, op)) return true;
  const absl::Span<const Id> parts = children(id);
  return std::any_of(parts.begin(), parts.end(),
                     [&](Id part) { return Contains(part, op); });
}

Id Arena::Substitute(Id id, int32_t name, Id replacement) {
  const Node node = nodes_[id];
  if (node.op == Op::kSymbol) return node.value == name ? replacement : id;
  if (node.count == 0) return id;
  std::vector<Id> parts(node.count);
  bool changed = false;
  for (int k = 0; k < node.count; ++k) {
    const Id part = children_[node.first + k];
    parts[k] = Substitute(part, name, replacement);
    changed |= parts[k] != part;
  }
  return changed ? Make(node.op, parts, node.value, node.flag) : id;
}

}  // namespace ponder::math
