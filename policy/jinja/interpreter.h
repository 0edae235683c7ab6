// Runs a parsed template.

#ifndef PONDER_POLICY_JINJA_INTERPRETER_H_
#define PONDER_POLICY_JINJA_INTERPRETER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "policy/jinja/arguments.h"
#include "policy/jinja/budget.h"
#include "policy/jinja/scope.h"
#include "policy/jinja/syntax_tree.h"
#include "policy/jinja/value.h"

namespace ponder::jinja {

// For one rendering. Not thread-safe.
class Interpreter {
 public:
  // `where` names the template in errors; not owned.
  Interpreter(absl::string_view where, absl::CivilSecond now)
      : where_(where), now_(now) {}
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;
  // Takes apart the cycles that namespaces can make.
  ~Interpreter();

  Budget& budget() { return budget_; }
  void SetVariable(absl::string_view name, Value value) {
    variables_->Set(name, std::move(value));
  }

  // The text that the template makes. INVALID_ARGUMENT names where and line.
  // Call once; `block` outlives this object.
  absl::StatusOr<std::string> Run(const Block& block);

 private:
  enum class Flow { kOn, kBreak, kContinue };

  absl::Status Enter();  // Pairs with Leave().
  void Leave() { --nesting_; }
  // Adds where and line to an error that has none yet.
  absl::Status Locate(int line, const absl::Status& status);

  absl::Status Print(absl::string_view text);
  absl::StatusOr<Flow> Execute(const Block& block);
  absl::StatusOr<Flow> ExecuteStatement(const Statement& statement);
  absl::StatusOr<Flow> ExecuteFor(const Statement& statement);
  absl::StatusOr<std::vector<Value>> SelectItems(const Statement& statement,
                                                 std::vector<Value> items);
  absl::Status ExecuteSetBlock(const Statement& statement);
  absl::Status Assign(const Expression& target, Value value);

  absl::StatusOr<Value> Evaluate(const Expression& expression);
  absl::StatusOr<Value> EvaluateAny(const Expression& expression);
  absl::StatusOr<Value> EvaluateName(const std::string& name);
  absl::StatusOr<Value> EvaluateItems(const Expression& expression);
  absl::StatusOr<Value> EvaluateSlice(const Expression& expression);
  absl::StatusOr<Value> EvaluateLogic(const Expression& expression);
  absl::StatusOr<Value> EvaluateBinary(const Expression& expression);
  absl::StatusOr<Value> EvaluateCompare(const Expression& expression);
  absl::StatusOr<Value> EvaluateConcat(const Expression& expression);
  absl::StatusOr<Value> EvaluateCondition(const Expression& expression);
  absl::StatusOr<Value> EvaluateFilter(const Expression& expression);
  absl::StatusOr<Value> EvaluateTest(const Expression& expression);
  absl::StatusOr<Value> EvaluateCall(const Expression& expression);
  // Of the operands from the second on.
  absl::StatusOr<Arguments> EvaluateArguments(const Expression& expression);

  absl::StatusOr<Value> CallFunction(Function function,
                                     const Arguments& arguments);
  absl::StatusOr<Value> CallMacro(const Macro& macro,
                                  const Arguments& arguments);
  absl::StatusOr<Value> MakeNamespace(const Arguments& arguments);
  absl::StatusOr<Value> MakeRange(const Arguments& arguments);
  absl::StatusOr<Value> FormatNow(const Arguments& arguments);

  const absl::string_view where_;
  const absl::CivilSecond now_;
  Budget budget_;
  // Outermost: what the caller gives. What the template sets is within.
  std::shared_ptr<Scope> variables_ = std::make_shared<Scope>(nullptr);
  std::shared_ptr<Scope> scope_ = std::make_shared<Scope>(variables_);
  std::vector<std::shared_ptr<Namespace>> namespaces_;  // All that were made.
  std::string* out_ = nullptr;         // What text goes to; not owned.
  const Value* block_text_ = nullptr;  // What filters of a block set are for.
  int nesting_ = 0;
  bool is_located_ = false;
};

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_INTERPRETER_H_
