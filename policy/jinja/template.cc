#include "policy/jinja/template.h"

#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "policy/jinja/interpreter.h"
#include "policy/jinja/parser.h"
#include "policy/jinja/python_text.h"

namespace ponder::jinja {
namespace {

using nlohmann::ordered_json;

absl::StatusOr<std::string> CheckedText(const std::string& text,
                                        Budget& budget) {
  PONDER_RETURN_IF_ERROR(budget.SpendBytes(text.size()));
  if (!IsWellFormedUtf8(text)) {
    return absl::InvalidArgumentError("a text is not UTF-8");
  }
  return text;
}

// `depth` counts down.
absl::StatusOr<Value> FromJson(const ordered_json& json, int depth,
                               Budget& budget) {
  PONDER_RETURN_IF_ERROR(budget.Spend(1));
  if (depth == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "lists and objects are nested deeper than ", kMaxValueDepth));
  }
  switch (json.type()) {
    case ordered_json::value_t::null:
      return Value();
    case ordered_json::value_t::boolean:
      return Value(json.get<bool>());
    case ordered_json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case ordered_json::value_t::number_unsigned:
      if (json.get<uint64_t>() > std::numeric_limits<int64_t>::max()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "the integer ", json.get<uint64_t>(), " is beyond 64 bits"));
      }
      return Value(json.get<int64_t>());
    case ordered_json::value_t::number_float:
      return Value(json.get<double>());
    case ordered_json::value_t::string: {
      PONDER_ASSIGN_OR_RETURN(
          std::string text,
          CheckedText(json.get_ref<const std::string&>(), budget));
      return Value(std::move(text));
    }
    case ordered_json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const ordered_json& item : json) {
        PONDER_ASSIGN_OR_RETURN(Value value, FromJson(item, depth - 1, budget));
        items.push_back(std::move(value));
      }
      return MakeSequence(Sequence::Kind::kList, std::move(items));
    }
    case ordered_json::value_t::object: {
      std::vector<std::pair<Value, Value>> entries;
      entries.reserve(json.size());
      for (const auto& [name, item] : json.items()) {
        PONDER_ASSIGN_OR_RETURN(std::string key, CheckedText(name, budget));
        PONDER_ASSIGN_OR_RETURN(Value value, FromJson(item, depth - 1, budget));
        entries.emplace_back(Value(std::move(key)), std::move(value));
      }
      return MakeDict(std::move(entries));
    }
    default:
      return absl::InvalidArgumentError("a value is not JSON");
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Template>> Template::Parse(
    absl::string_view source, absl::string_view where) {
  PONDER_ASSIGN_OR_RETURN(Block block, jinja::Parse(source, where));
  return std::unique_ptr<Template>(new Template(std::move(block), where));
}

absl::StatusOr<std::string> Template::Render(const ordered_json& variables,
                                             absl::CivilSecond now) const {
  if (!variables.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where_, ": the variables should be an object"));
  }
  Interpreter interpreter(where_, now);
  for (const auto& [name, json] : variables.items()) {
    absl::StatusOr<Value> value =
        FromJson(json, kMaxValueDepth, interpreter.budget());
    if (!value.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          where_, ": the variable '", name, "': ", value.status().message()));
    }
    interpreter.SetVariable(name, *std::move(value));
  }
  return interpreter.Run(block_);
}

}  // namespace ponder::jinja
