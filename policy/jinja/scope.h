// Names and what they stand for.

#ifndef PONDER_POLICY_JINJA_SCOPE_H_
#define PONDER_POLICY_JINJA_SCOPE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "policy/jinja/value.h"

namespace ponder::jinja {

// What one pass through a loop or one call of a macro sets is its own; what is
// around it is seen. A macro shares the scope that it was defined in, and that
// scope holds the macro: Clear() cuts this when the scope is left.
class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> outer) : outer_(std::move(outer)) {}

  // Null if neither this scope nor one around it has the name.
  const Value* Find(absl::string_view name) const {
    for (const Scope* scope = this; scope != nullptr;
         scope = scope->outer_.get()) {
      const auto found = scope->values_.find(name);
      if (found != scope->values_.end()) return &found->second;
    }
    return nullptr;
  }
  void Set(absl::string_view name, Value value) {
    values_.insert_or_assign(std::string(name), std::move(value));
  }
  void Clear() { values_.clear(); }

 private:
  const std::shared_ptr<Scope> outer_;
  absl::flat_hash_map<std::string, Value> values_;
};

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_SCOPE_H_
