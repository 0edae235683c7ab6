#include "policy/jinja/interpreter.h"

#include <algorithm>
#include <ctime>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "policy/jinja/filters.h"
#include "policy/jinja/lexer.h"
#include "policy/jinja/limits.h"
#include "policy/jinja/methods.h"
#include "policy/jinja/operations.h"
#include "policy/jinja/value_tests.h"

namespace ponder::jinja {
namespace {

using Result = absl::StatusOr<Value>;
using Kind = Expression::Kind;

absl::Status Error(absl::string_view message) {
  return absl::InvalidArgumentError(message);
}

std::tm ToTm(absl::CivilSecond time) {
  std::tm tm = {};
  tm.tm_year = static_cast<int>(time.year() - 1900);
  tm.tm_mon = time.month() - 1;
  tm.tm_mday = time.day();
  tm.tm_hour = time.hour();
  tm.tm_min = time.minute();
  tm.tm_sec = time.second();
  // 0 is Sunday there, Monday here.
  tm.tm_wday = (static_cast<int>(absl::GetWeekday(time)) + 1) % 7;
  tm.tm_yday = absl::GetYearDay(time) - 1;
  tm.tm_isdst = -1;
  return tm;
}

absl::Status SetAttribute(Namespace& names, absl::string_view name, Value value,
                          Budget& budget) {
  PONDER_RETURN_IF_ERROR(budget.Spend(1 + names.attributes.size() / 8));
  for (auto& [key, old] : names.attributes) {
    if (key == name) {
      old = std::move(value);
      return absl::OkStatus();
    }
  }
  names.attributes.emplace_back(std::string(name), std::move(value));
  return absl::OkStatus();
}

// The entries of dict(): those of a dict, and the named arguments.
absl::StatusOr<std::vector<std::pair<Value, Value>>> EntriesOf(
    const Arguments& arguments, Budget& budget) {
  std::vector<std::pair<Value, Value>> entries;
  if (!arguments.positional.empty()) {
    const Dict* dict = arguments.positional[0].AsDict();
    if (dict == nullptr || arguments.positional.size() > 1) {
      return Error("wants a dict and named arguments");
    }
    PONDER_RETURN_IF_ERROR(budget.Spend(dict->entries.size()));
    entries = dict->entries;
  }
  for (const auto& [name, value] : arguments.named) {
    PONDER_RETURN_IF_ERROR(Insert(entries, Value(name), value, budget));
  }
  return entries;
}

}  // namespace

Interpreter::~Interpreter() {
  for (const auto& names : namespaces_) names->attributes.clear();
  scope_->Clear();
  variables_->Clear();
}

absl::StatusOr<std::string> Interpreter::Run(const Block& block) {
  std::string text;
  out_ = &text;
  PONDER_RETURN_IF_ERROR(Execute(block).status());
  return text;
}

absl::Status Interpreter::Enter() {
  ++nesting_;
  if (nesting_ > kMaxRunNesting) {
    return Error(
        absl::StrCat("expressions, statements and macros run more than ",
                     kMaxRunNesting, " deep in one another"));
  }
  return budget_.Spend(1);
}

absl::Status Interpreter::Locate(int line, const absl::Status& status) {
  if (is_located_) return status;
  is_located_ = true;
  return ErrorAt(where_, line, status.message());
}

absl::Status Interpreter::Print(absl::string_view text) {
  if (text.size() > kMaxOutputBytes - out_->size()) {
    return Error(absl::StrCat("the template makes more than ", kMaxOutputBytes,
                              " bytes"));
  }
  PONDER_RETURN_IF_ERROR(budget_.SpendBytes(text.size()));
  absl::StrAppend(out_, text);
  return absl::OkStatus();
}

absl::StatusOr<Interpreter::Flow> Interpreter::Execute(const Block& block) {
  for (const auto& statement : block) {
    absl::Status entered = Enter();
    absl::StatusOr<Flow> flow =
        entered.ok() ? ExecuteStatement(*statement) : entered;
    Leave();
    if (!flow.ok()) return Locate(statement->line, flow.status());
    if (*flow != Flow::kOn) return flow;
  }
  return Flow::kOn;
}

absl::StatusOr<Interpreter::Flow> Interpreter::ExecuteStatement(
    const Statement& statement) {
  switch (statement.kind) {
    case Statement::Kind::kText:
      PONDER_RETURN_IF_ERROR(Print(statement.text));
      return Flow::kOn;
    case Statement::Kind::kOutput: {
      PONDER_ASSIGN_OR_RETURN(const Value value,
                              Evaluate(*statement.expression));
      PONDER_ASSIGN_OR_RETURN(const std::string text, ToText(value, budget_));
      PONDER_RETURN_IF_ERROR(Print(text));
      return Flow::kOn;
    }
    case Statement::Kind::kIf: {
      PONDER_ASSIGN_OR_RETURN(const Value value,
                              Evaluate(*statement.expression));
      return Execute(IsTrue(value) ? statement.body : statement.or_else);
    }
    case Statement::Kind::kFor:
      return ExecuteFor(statement);
    case Statement::Kind::kSet: {
      PONDER_ASSIGN_OR_RETURN(Value value, Evaluate(*statement.expression));
      PONDER_RETURN_IF_ERROR(Assign(*statement.target, std::move(value)));
      return Flow::kOn;
    }
    case Statement::Kind::kSetBlock:
      PONDER_RETURN_IF_ERROR(ExecuteSetBlock(statement));
      return Flow::kOn;
    case Statement::Kind::kMacro:
      scope_->Set(statement.name,
                  Value(std::make_shared<Macro>(Macro{&statement, scope_})));
      return Flow::kOn;
    case Statement::Kind::kGeneration: {
      const auto outer = scope_;
      scope_ = std::make_shared<Scope>(outer);
      const absl::StatusOr<Flow> flow = Execute(statement.body);
      scope_->Clear();
      scope_ = outer;
      return flow;
    }
    case Statement::Kind::kBreak:
      return Flow::kBreak;
    case Statement::Kind::kContinue:
      return Flow::kContinue;
  }
  return Error("this statement is not supported");
}

absl::StatusOr<std::vector<Value>> Interpreter::SelectItems(
    const Statement& statement, std::vector<Value> items) {
  if (statement.condition == nullptr) return items;
  std::vector<Value> selected;
  for (Value& item : items) {
    const auto outer = scope_;
    scope_ = std::make_shared<Scope>(outer);
    absl::StatusOr<Value> condition = Value();
    if (absl::Status status = Assign(*statement.target, item); status.ok()) {
      condition = Evaluate(*statement.condition);
    } else {
      condition = status;
    }
    scope_->Clear();
    scope_ = outer;
    PONDER_RETURN_IF_ERROR(condition.status());
    if (IsTrue(*condition)) selected.push_back(std::move(item));
  }
  return selected;
}

absl::StatusOr<Interpreter::Flow> Interpreter::ExecuteFor(
    const Statement& statement) {
  PONDER_ASSIGN_OR_RETURN(const Value iterable,
                          Evaluate(*statement.expression));
  PONDER_ASSIGN_OR_RETURN(auto items, ItemsOf(iterable, budget_));
  PONDER_ASSIGN_OR_RETURN(items, SelectItems(statement, std::move(items)));
  PONDER_ASSIGN_OR_RETURN(const std::shared_ptr<Loop> loop,
                          MakeLoop(std::move(items)));
  const auto outer = scope_;
  absl::StatusOr<Flow> flow = Flow::kOn;
  bool has_finished_one = false;
  for (const Value& item : *loop->items) {
    scope_ = std::make_shared<Scope>(outer);
    scope_->Set("loop", Value(loop));
    if (absl::Status status = Assign(*statement.target, item); status.ok()) {
      flow = Execute(statement.body);
    } else {
      flow = status;
    }
    scope_->Clear();
    if (!flow.ok() || *flow == Flow::kBreak) break;
    has_finished_one |= *flow == Flow::kOn;
    ++loop->index0;
  }
  scope_ = outer;
  // Jinja runs the else also where every pass ended by break or continue.
  if (!flow.ok() || has_finished_one) return flow.ok() ? Flow::kOn : flow;
  scope_ = std::make_shared<Scope>(outer);
  flow = Execute(statement.or_else);
  scope_->Clear();
  scope_ = outer;
  return flow;
}

absl::Status Interpreter::ExecuteSetBlock(const Statement& statement) {
  std::string text;
  std::string* const out = std::exchange(out_, &text);
  const auto outer = scope_;
  scope_ = std::make_shared<Scope>(outer);
  const absl::Status status = Execute(statement.body).status();
  scope_->Clear();
  scope_ = outer;
  out_ = out;
  PONDER_RETURN_IF_ERROR(status);
  Value value(std::move(text));
  if (statement.expression != nullptr) {
    const Value unfiltered = value;
    const Value* const previous = std::exchange(block_text_, &unfiltered);
    absl::StatusOr<Value> filtered = Evaluate(*statement.expression);
    block_text_ = previous;
    PONDER_ASSIGN_OR_RETURN(value, std::move(filtered));
  }
  return Assign(*statement.target, std::move(value));
}

absl::Status Interpreter::Assign(const Expression& target, Value value) {
  if (target.kind == Kind::kName) {
    scope_->Set(target.name, std::move(value));
    return absl::OkStatus();
  }
  if (target.kind == Kind::kNamespaceAttribute) {
    PONDER_ASSIGN_OR_RETURN(const Value names, EvaluateName(target.name));
    const auto* pointer = names.As<std::shared_ptr<Namespace>>();
    if (pointer == nullptr) {
      return Error(absl::StrCat("'", target.name, "' is a ", TypeName(names),
                                "; only attributes of a namespace can be set"));
    }
    return SetAttribute(**pointer, target.keywords[0], std::move(value),
                        budget_);
  }
  PONDER_ASSIGN_OR_RETURN(std::vector<Value> items, ItemsOf(value, budget_));
  if (items.size() != target.operands.size()) {
    return Error(absl::StrCat(target.operands.size(),
                              " names can't take apart ", items.size(),
                              " values"));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    PONDER_RETURN_IF_ERROR(Assign(*target.operands[i], std::move(items[i])));
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> Interpreter::Evaluate(const Expression& expression) {
  absl::Status entered = Enter();
  absl::StatusOr<Value> value =
      entered.ok() ? EvaluateAny(expression) : entered;
  Leave();
  if (!value.ok()) return Locate(expression.line, value.status());
  return value;
}

absl::StatusOr<Value> Interpreter::EvaluateAny(const Expression& expression) {
  switch (expression.kind) {
    case Kind::kConstant:
      return expression.constant;
    case Kind::kName:
      return EvaluateName(expression.name);
    case Kind::kTuple:
    case Kind::kList:
    case Kind::kDict:
      return EvaluateItems(expression);
    case Kind::kAttribute: {
      PONDER_ASSIGN_OR_RETURN(const Value value,
                              Evaluate(*expression.operands[0]));
      return GetAttribute(value, expression.name, budget_);
    }
    case Kind::kItem: {
      PONDER_ASSIGN_OR_RETURN(const Value value,
                              Evaluate(*expression.operands[0]));
      PONDER_ASSIGN_OR_RETURN(const Value key,
                              Evaluate(*expression.operands[1]));
      return GetItem(value, key, budget_);
    }
    case Kind::kSlice:
      return EvaluateSlice(expression);
    case Kind::kCall:
      return EvaluateCall(expression);
    case Kind::kFilter:
      return EvaluateFilter(expression);
    case Kind::kTest:
      return EvaluateTest(expression);
    case Kind::kNegate:
    case Kind::kPlus: {
      PONDER_ASSIGN_OR_RETURN(const Value value,
                              Evaluate(*expression.operands[0]));
      PONDER_ASSIGN_OR_RETURN(const Value negated, Negate(value));
      // A bool becomes an int, too.
      return expression.kind == Kind::kNegate ? negated : Negate(negated);
    }
    case Kind::kNot: {
      PONDER_ASSIGN_OR_RETURN(const Value value,
                              Evaluate(*expression.operands[0]));
      return Value(!IsTrue(value));
    }
    case Kind::kAnd:
    case Kind::kOr:
      return EvaluateLogic(expression);
    case Kind::kBinary:
      return EvaluateBinary(expression);
    case Kind::kCompare:
      return EvaluateCompare(expression);
    case Kind::kConcat:
      return EvaluateConcat(expression);
    case Kind::kCondition:
      return EvaluateCondition(expression);
    case Kind::kNamespaceAttribute:
      break;
  }
  return Error("this expression is not supported");
}

absl::StatusOr<Value> Interpreter::EvaluateName(const std::string& name) {
  if (const Value* value = scope_->Find(name)) return *value;
  if (name == "raise_exception") return Value(Function::kRaiseException);
  if (name == "strftime_now") return Value(Function::kStrftimeNow);
  if (name == "namespace") return Value(Function::kNamespace);
  if (name == "range") return Value(Function::kRange);
  if (name == "dict") return Value(Function::kDict);
  if (name == "lipsum" || name == "cycler" || name == "joiner") {
    return Error(absl::StrCat("'", name, "' is not supported"));
  }
  return Value::MakeUndefined(absl::StrCat("'", name, "' is undefined"));
}

absl::StatusOr<Value> Interpreter::EvaluateItems(const Expression& expression) {
  std::vector<Value> items;
  for (const auto& operand : expression.operands) {
    PONDER_ASSIGN_OR_RETURN(Value value, Evaluate(*operand));
    items.push_back(std::move(value));
  }
  if (expression.kind != Kind::kDict) {
    return MakeSequence(expression.kind == Kind::kList ? Sequence::Kind::kList
                                                       : Sequence::Kind::kTuple,
                        std::move(items));
  }
  std::vector<std::pair<Value, Value>> entries;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    PONDER_RETURN_IF_ERROR(
        Insert(entries, std::move(items[i]), std::move(items[i + 1]), budget_));
  }
  return MakeDict(std::move(entries));
}

absl::StatusOr<Value> Interpreter::EvaluateSlice(const Expression& expression) {
  Value parts[4];
  for (size_t i = 0; i < 4; ++i) {
    if (expression.operands[i] == nullptr) continue;
    PONDER_ASSIGN_OR_RETURN(parts[i], Evaluate(*expression.operands[i]));
  }
  return Slice(parts[0], parts[1], parts[2], parts[3], budget_);
}

absl::StatusOr<Value> Interpreter::EvaluateLogic(const Expression& expression) {
  const bool ends_at = expression.kind == Kind::kOr;
  Value value;
  for (const auto& operand : expression.operands) {
    PONDER_ASSIGN_OR_RETURN(value, Evaluate(*operand));
    if (IsTrue(value) == ends_at) break;
  }
  return value;
}

absl::StatusOr<Value> Interpreter::EvaluateBinary(
    const Expression& expression) {
  PONDER_ASSIGN_OR_RETURN(const Value left, Evaluate(*expression.operands[0]));
  PONDER_ASSIGN_OR_RETURN(const Value right, Evaluate(*expression.operands[1]));
  return Calculate(expression.operators[0], left, right, budget_);
}

absl::StatusOr<Value> Interpreter::EvaluateCompare(
    const Expression& expression) {
  PONDER_ASSIGN_OR_RETURN(Value left, Evaluate(*expression.operands[0]));
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    PONDER_ASSIGN_OR_RETURN(Value right, Evaluate(*expression.operands[i + 1]));
    PONDER_ASSIGN_OR_RETURN(const bool holds, Compare(expression.operators[i],
                                                      left, right, budget_));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

absl::StatusOr<Value> Interpreter::EvaluateConcat(
    const Expression& expression) {
  std::vector<Value> values;
  for (const auto& operand : expression.operands) {
    PONDER_ASSIGN_OR_RETURN(Value value, Evaluate(*operand));
    values.push_back(std::move(value));
  }
  std::string joined;
  for (const Value& value : values) {
    PONDER_ASSIGN_OR_RETURN(const std::string text, ToText(value, budget_));
    joined += text;
  }
  return Value(std::move(joined));
}

absl::StatusOr<Value> Interpreter::EvaluateCondition(
    const Expression& expression) {
  PONDER_ASSIGN_OR_RETURN(const Value condition,
                          Evaluate(*expression.operands[0]));
  if (IsTrue(condition)) return Evaluate(*expression.operands[1]);
  if (expression.operands[2] != nullptr) {
    return Evaluate(*expression.operands[2]);
  }
  return Value::MakeUndefined("an inline if without else was false");
}

absl::StatusOr<Arguments> Interpreter::EvaluateArguments(
    const Expression& expression) {
  Arguments arguments;
  const size_t num_positional =
      expression.operands.size() - expression.keywords.size();
  for (size_t i = 1; i < expression.operands.size(); ++i) {
    PONDER_ASSIGN_OR_RETURN(Value value, Evaluate(*expression.operands[i]));
    if (i < num_positional) {
      arguments.positional.push_back(std::move(value));
    } else {
      arguments.named.emplace_back(expression.keywords[i - num_positional],
                                   std::move(value));
    }
  }
  return arguments;
}

absl::StatusOr<Value> Interpreter::EvaluateFilter(
    const Expression& expression) {
  Value value;
  if (expression.operands[0] == nullptr) {
    value = *block_text_;
  } else {
    PONDER_ASSIGN_OR_RETURN(value, Evaluate(*expression.operands[0]));
  }
  PONDER_ASSIGN_OR_RETURN(const Arguments arguments,
                          EvaluateArguments(expression));
  return ApplyFilter(expression.name, value, arguments, budget_);
}

absl::StatusOr<Value> Interpreter::EvaluateTest(const Expression& expression) {
  PONDER_ASSIGN_OR_RETURN(const Value value, Evaluate(*expression.operands[0]));
  PONDER_ASSIGN_OR_RETURN(const Arguments arguments,
                          EvaluateArguments(expression));
  const absl::StatusOr<bool> passes =
      ApplyTest(expression.name, value, arguments, budget_);
  if (passes.ok()) return Value(*passes);
  return Error(absl::StrCat("the test '", expression.name,
                            "': ", passes.status().message()));
}

absl::StatusOr<Value> Interpreter::EvaluateCall(const Expression& expression) {
  PONDER_ASSIGN_OR_RETURN(const Value callee,
                          Evaluate(*expression.operands[0]));
  PONDER_ASSIGN_OR_RETURN(const Arguments arguments,
                          EvaluateArguments(expression));
  if (const Function* function = callee.As<Function>()) {
    return CallFunction(*function, arguments);
  }
  if (const auto* macro = callee.As<std::shared_ptr<Macro>>()) {
    return CallMacro(**macro, arguments);
  }
  if (const auto* method = callee.As<std::shared_ptr<Method>>()) {
    return CallMethod(**method, arguments, budget_);
  }
  if (const Undefined* undefined = callee.As<Undefined>()) {
    return Error(absl::StrCat(*undefined->why, ", so it can't be called"));
  }
  return Error(absl::StrCat("a ", TypeName(callee), " can't be called"));
}

absl::StatusOr<Value> Interpreter::CallFunction(Function function,
                                                const Arguments& arguments) {
  switch (function) {
    case Function::kRaiseException: {
      PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"message"}, 1));
      PONDER_ASSIGN_OR_RETURN(const std::string message,
                              ToText(*bound[0], budget_));
      return Error(absl::StrCat("the template refuses: ", message));
    }
    case Function::kStrftimeNow:
      return FormatNow(arguments);
    case Function::kNamespace:
      return MakeNamespace(arguments);
    case Function::kRange:
      return MakeRange(arguments);
    case Function::kDict: {
      PONDER_ASSIGN_OR_RETURN(auto entries, EntriesOf(arguments, budget_));
      return MakeDict(std::move(entries));
    }
  }
  return Error("this function is not supported");
}

absl::StatusOr<Value> Interpreter::CallMacro(const Macro& macro,
                                             const Arguments& arguments) {
  const Statement& definition = *macro.definition;
  const auto& parameters = definition.parameters;
  if (arguments.positional.size() > parameters.size()) {
    return Error(absl::StrCat("the macro '", definition.name, "' takes ",
                              parameters.size(), " arguments, got ",
                              arguments.positional.size()));
  }
  const auto outer = scope_;
  const auto inner = std::make_shared<Scope>(macro.scope);
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(parameters.begin(), parameters.end(), name);
    const size_t i = static_cast<size_t>(found - parameters.begin());
    if (found == parameters.end() || i < arguments.positional.size()) {
      return Error(absl::StrCat(
          "the macro '", definition.name, "' got the argument '", name,
          found == parameters.end() ? "', which it does not have" : "' twice"));
    }
    inner->Set(name, value);
  }
  std::string text;
  std::string* const out = std::exchange(out_, &text);
  scope_ = inner;
  const absl::Status status = [&]() -> absl::Status {
    const size_t num_required = parameters.size() - definition.defaults.size();
    for (size_t i = 0; i < parameters.size(); ++i) {
      const std::string& name = parameters[i];
      if (i < arguments.positional.size()) {
        inner->Set(name, arguments.positional[i]);
        continue;
      }
      if (std::any_of(arguments.named.begin(), arguments.named.end(),
                      [&](const auto& named) { return named.first == name; })) {
        continue;
      }
      Value value = Value::MakeUndefined(
          absl::StrCat("the parameter '", name, "' was not given"));
      if (i >= num_required) {
        PONDER_ASSIGN_OR_RETURN(
            value, Evaluate(*definition.defaults[i - num_required]));
      }
      inner->Set(name, std::move(value));
    }
    return Execute(definition.body).status();
  }();
  inner->Clear();
  scope_ = outer;
  out_ = out;
  PONDER_RETURN_IF_ERROR(status);
  return Value(std::move(text));
}

absl::StatusOr<Value> Interpreter::MakeNamespace(const Arguments& arguments) {
  PONDER_ASSIGN_OR_RETURN(const auto entries, EntriesOf(arguments, budget_));
  auto names = std::make_shared<Namespace>();
  for (const auto& [key, value] : entries) {
    const std::string* name = key.AsText();
    if (name == nullptr) return Error("an attribute's name should be a str");
    names->attributes.emplace_back(*name, value);
  }
  namespaces_.push_back(names);
  return Value(std::move(names));
}

absl::StatusOr<Value> Interpreter::MakeRange(const Arguments& arguments) {
  std::vector<int64_t> numbers;
  for (const Value& value : arguments.positional) {
    const std::optional<int64_t> number = IntegerOf(value);
    if (!number.has_value()) {
      return Error(absl::StrCat("range wants ints, got ", TypeName(value)));
    }
    numbers.push_back(*number);
  }
  if (numbers.empty() || numbers.size() > 3 || !arguments.named.empty()) {
    return Error("range wants one to three ints");
  }
  const int64_t begin = numbers.size() > 1 ? numbers[0] : 0;
  const int64_t end = numbers.size() > 1 ? numbers[1] : numbers[0];
  const int64_t step = numbers.size() > 2 ? numbers[2] : 1;
  if (step == 0) return Error("the step of a range is zero");
  std::vector<Value> items;
  int64_t next = begin;
  while (step > 0 ? next < end : next > end) {
    if (static_cast<int64_t>(items.size()) == kMaxRange) {
      return Error(absl::StrCat("a range has more than ", kMaxRange, " items"));
    }
    PONDER_RETURN_IF_ERROR(budget_.Spend(1));
    items.emplace_back(next);
    if (__builtin_add_overflow(next, step, &next)) break;
  }
  return MakeSequence(Sequence::Kind::kRange, std::move(items));
}

absl::StatusOr<Value> Interpreter::FormatNow(const Arguments& arguments) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"format"}, 1));
  const std::string* format = bound[0]->AsText();
  if (format == nullptr) {
    return Error(
        absl::StrCat("strftime_now wants a str, got ", TypeName(*bound[0])));
  }
  PONDER_RETURN_IF_ERROR(budget_.Spend(format->size()));
  const std::tm now = ToTm(now_);
  std::string text;
  for (size_t i = 0; i < format->size(); ++i) {
    if ((*format)[i] != '%') {
      text.push_back((*format)[i]);
      continue;
    }
    size_t end = i + 1;
    if (end < format->size() &&
        absl::StrContains("-_0^#", format->substr(end, 1))) {
      ++end;
    }
    const std::string code = format->substr(i, end + 1 - i);
    if (end >= format->size() ||
        !absl::StrContains("aAbBcCdDeFgGhHIjmMnpRSTuUVwWxXyY%",
                           format->substr(end, 1))) {
      return Error(absl::StrCat("strftime_now: '", code,
                                "' in the format is not supported"));
    }
    char buffer[128];
    text.append(buffer,
                std::strftime(buffer, sizeof(buffer), code.c_str(), &now));
    i = end;
  }
  return Value(std::move(text));
}

}  // namespace ponder::jinja
