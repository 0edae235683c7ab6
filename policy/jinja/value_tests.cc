#include "policy/jinja/value_tests.h"

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "policy/jinja/operations.h"
#include "policy/jinja/python_text.h"

namespace ponder::jinja {
namespace {

using Predicate = bool (*)(const Value&);

bool IsIterable(const Value& value) {
  return value.AsSequence() != nullptr || value.AsDict() != nullptr ||
         TextOf(value) != nullptr || value.Is<Undefined>() ||
         value.Is<std::shared_ptr<Loop>>();
}

// Has a length and items.
bool IsSequence(const Value& value) {
  if (const Sequence* sequence = value.AsSequence()) {
    return sequence->kind == Sequence::Kind::kList ||
           sequence->kind == Sequence::Kind::kTuple ||
           sequence->kind == Sequence::Kind::kRange;
  }
  return value.AsDict() != nullptr || TextOf(value) != nullptr ||
         value.Is<Undefined>();
}

bool IsCallable(const Value& value) {
  return value.Is<Function>() || value.Is<std::shared_ptr<Macro>>() ||
         value.Is<std::shared_ptr<Method>>() || value.Is<Undefined>() ||
         value.Is<std::shared_ptr<Loop>>();
}

bool IsExactly(const Value& value, bool truth) {
  const bool* found = value.As<bool>();
  return found != nullptr && *found == truth;
}

const absl::flat_hash_map<absl::string_view, Predicate>& Predicates() {
  static const auto& predicates =
      *new absl::flat_hash_map<absl::string_view, Predicate>{
          {"boolean", [](const Value& v) { return v.Is<bool>(); }},
          {"callable", IsCallable},
          {"defined", [](const Value& v) { return !v.Is<Undefined>(); }},
          {"false", [](const Value& v) { return IsExactly(v, false); }},
          {"float", [](const Value& v) { return v.Is<double>(); }},
          {"integer", [](const Value& v) { return v.Is<int64_t>(); }},
          {"iterable", IsIterable},
          {"mapping", [](const Value& v) { return v.AsDict() != nullptr; }},
          {"none", [](const Value& v) { return v.Is<None>(); }},
          {"number", [](const Value& v) { return NumberOf(v).has_value(); }},
          {"sequence", IsSequence},
          {"string", [](const Value& v) { return TextOf(v) != nullptr; }},
          {"true", [](const Value& v) { return IsExactly(v, true); }},
          {"undefined", [](const Value& v) { return v.Is<Undefined>(); }},
      };
  return predicates;
}

const absl::flat_hash_map<absl::string_view, Operator>& Comparisons() {
  static const auto& comparisons =
      *new absl::flat_hash_map<absl::string_view, Operator>{
          {"eq", Operator::kEqual},        {"equalto", Operator::kEqual},
          {"ne", Operator::kNotEqual},     {"lt", Operator::kLess},
          {"lessthan", Operator::kLess},   {"le", Operator::kLessEqual},
          {"gt", Operator::kGreater},      {"greaterthan", Operator::kGreater},
          {"ge", Operator::kGreaterEqual}, {"in", Operator::kIn},
      };
  return comparisons;
}

bool IsModuloTest(absl::string_view name) {
  return name == "odd" || name == "even" || name == "divisibleby";
}

}  // namespace

bool IsTest(absl::string_view name) {
  return Predicates().contains(name) || Comparisons().contains(name) ||
         IsModuloTest(name);
}

absl::StatusOr<bool> ApplyTest(absl::string_view name, const Value& value,
                               const Arguments& arguments, Budget& budget) {
  PONDER_RETURN_IF_ERROR(budget.Spend(2));
  if (const auto found = Predicates().find(name); found != Predicates().end()) {
    PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
    return found->second(value);
  }
  if (const auto found = Comparisons().find(name);
      found != Comparisons().end()) {
    PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"other"}, 1));
    return Compare(found->second, value, *bound[0], budget);
  }
  if (!IsModuloTest(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the test '", name, "' is not supported"));
  }
  Value divisor(int64_t{2});
  if (name == "divisibleby") {
    PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"num"}, 1));
    divisor = *bound[0];
  } else {
    PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  }
  PONDER_ASSIGN_OR_RETURN(const Value rest,
                          Calculate(Operator::kModulo, value, divisor, budget));
  return Equals(rest, Value(int64_t{name == "odd" ? 1 : 0}), budget);
}

}  // namespace ponder::jinja
