#include "proto/value_codec.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint8_t kBigIntSubtype = 1;

// "line 2, column 7" of the byte at `position` (1-based), or the column alone
// if `text` has but one line up to there.
std::string PlaceIn(absl::string_view text, size_t position) {
  const absl::string_view before =
      text.substr(0, position == 0 ? 0 : position - 1);
  const size_t newline = before.rfind('\n');
  if (newline == absl::string_view::npos) {
    return absl::StrCat("column ", before.size() + 1);
  }
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  return absl::StrCat("line ", line, ", column ", before.size() - newline);
}

bool IsInteger(absl::string_view number) {
  return number.find_first_of(".eE") == absl::string_view::npos;
}

// Builds the value while nlohmann's parser reads. Unlike its own builder it
// sees the digits of a number before they become a double.
class Builder {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  bool null() { return Add(nullptr); }
  bool boolean(bool value) { return Add(value); }
  bool number_integer(number_integer_t value) { return Add(value); }
  bool number_unsigned(number_unsigned_t value) {
    return value > static_cast<number_unsigned_t>(
                       std::numeric_limits<int64_t>::max())
               ? Add(BigIntToJson(absl::StrCat(value)))
               : Add(static_cast<int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t& text) {
    return IsInteger(text) ? Add(BigIntToJson(text)) : Add(value);
  }
  bool string(string_t& value) { return Add(std::move(value)); }
  bool binary(binary_t&) { return false; }
  bool start_object(size_t) { return Open(Json::object()); }
  bool key(string_t& key) {
    key_ = std::move(key);
    return true;
  }
  bool end_object() { return Close(); }
  bool start_array(size_t) { return Open(Json::array()); }
  bool end_array() { return Close(); }
  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) {
    error_position_ = position;
    const absl::string_view what = error.what();
    // "[json.exception...] parse error at line 1, column 2: MESSAGE"
    const size_t colon = what.find(": ");
    error_ = std::string(
        colon == absl::string_view::npos ? what : what.substr(colon + 2));
    return false;
  }

  Json&& root() { return std::move(root_); }
  const std::string& error() const { return error_; }
  size_t error_position() const { return error_position_; }

 private:
  template <typename T>
  bool Add(T&& value) {
    Place(Json(std::forward<T>(value)));
    return true;
  }

  Json* Place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    Json& slot = parent[key_];
    slot = std::move(value);
    return &slot;
  }

  bool Open(Json empty) {
    if (open_.size() >= kMaxJsonDepth) {
      error_ = absl::StrCat("nested deeper than ", kMaxJsonDepth, " levels");
      return false;
    }
    open_.push_back(Place(std::move(empty)));
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Json*> open_;  // Into root_; a parent does not grow while a
                             // child is open.
  std::string key_;          // Of the next value in the innermost object.
  std::string error_;
  size_t error_position_ = 0;  // Bytes read. 0: no place known.
};

void AppendJson(const Json& json, std::string* out) {
  if (IsBigInt(json)) {
    out->append(BigIntDigits(json));
  } else if (json.is_array()) {
    out->push_back('[');
    for (size_t i = 0; i < json.size(); ++i) {
      if (i > 0) out->append(", ");
      AppendJson(json[i], out);
    }
    out->push_back(']');
  } else if (json.is_object()) {
    out->push_back('{');
    bool first = true;
    for (const auto& [key, value] : json.items()) {
      if (!first) out->append(", ");
      first = false;
      AppendJson(Json(key), out);
      out->append(": ");
      AppendJson(value, out);
    }
    out->push_back('}');
  } else {
    out->append(json.dump(-1, ' ', /*ensure_ascii=*/false,
                          Json::error_handler_t::replace));
  }
}

absl::Status FillValue(const Json& json, int depth, Value* out) {
  if (depth > kMaxJsonDepth) {
    return absl::InvalidArgumentError(
        absl::StrCat("nested deeper than ", kMaxJsonDepth, " levels"));
  }
  switch (json.type()) {
    case Json::value_t::null:
      out->set_null_value(true);
      break;
    case Json::value_t::boolean:
      out->set_bool_value(json.get<bool>());
      break;
    case Json::value_t::number_integer:
      out->set_int_value(json.get<int64_t>());
      break;
    case Json::value_t::number_unsigned: {
      const auto value = json.get<uint64_t>();
      if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        out->set_int_value(static_cast<int64_t>(value));
      } else {
        out->set_big_int(absl::StrCat(value));
      }
      break;
    }
    case Json::value_t::number_float:
      out->set_double_value(json.get<double>());
      break;
    case Json::value_t::string:
      out->set_string_value(json.get_ref<const std::string&>());
      break;
    case Json::value_t::binary:
      out->set_big_int(BigIntDigits(json));
      break;
    case Json::value_t::array: {
      ListValue* list = out->mutable_list();
      for (const Json& element : json) {
        PONDER_RETURN_IF_ERROR(
            FillValue(element, depth + 1, list->add_values()));
      }
      break;
    }
    case Json::value_t::object: {
      ObjectValue* object = out->mutable_object();
      for (const auto& [key, value] : json.items()) {
        Field* field = object->add_fields();
        field->set_name(key);
        PONDER_RETURN_IF_ERROR(
            FillValue(value, depth + 1, field->mutable_value()));
      }
      break;
    }
    case Json::value_t::discarded:
      return absl::InvalidArgumentError("not a JSON value");
  }
  return absl::OkStatus();
}

const Json* Find(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

// The string `key` of `object`, or "" where it is absent or null.
absl::StatusOr<std::string> OptionalString(const Json& object,
                                           const char* key) {
  const Json* value = Find(object, key);
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tests.", key, ": got ", value->type_name(), ", wanted a string"));
  }
  return value->get<std::string>();
}

// The two parts of a case: [first, second], or an object with these names.
absl::StatusOr<std::pair<const Json*, const Json*>> Pair(
    const Json& json, const std::string& where, const char* first,
    const char* second) {
  if (json.is_array() && json.size() == 2) {
    return std::make_pair(&json[0], &json[1]);
  }
  if (json.is_object()) {
    const Json* a = Find(json, first);
    const Json* b = Find(json, second);
    if (a != nullptr && b != nullptr) return std::make_pair(a, b);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": wanted [", first, ", ", second,
                   "] or an object with \"", first, "\" and \"", second, "\""));
}

absl::Status FillCase(const Json& json, const std::string& kind,
                      const std::string& where, TestCase* out) {
  if (kind == "stdio") {
    PONDER_ASSIGN_OR_RETURN(const auto parts,
                            Pair(json, where, "stdin", "stdout"));
    if (!parts.first->is_string() || !parts.second->is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": stdin and stdout must be strings"));
    }
    out->set_stdin(parts.first->get<std::string>());
    out->set_stdout(parts.second->get<std::string>());
  } else if (kind == "call") {
    PONDER_ASSIGN_OR_RETURN(const auto parts,
                            Pair(json, where, "args", "expected"));
    if (!parts.first->is_array()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": args must be a list"));
    }
    PONDER_ASSIGN_OR_RETURN(Value args, ValueFromJson(*parts.first));
    *out->mutable_args() = std::move(*args.mutable_list());
    PONDER_ASSIGN_OR_RETURN(*out->mutable_expected(),
                            ValueFromJson(*parts.second));
  } else {
    const Json* code = &json;
    if (json.is_array() && json.size() == 1) code = &json[0];
    if (json.is_object()) code = Find(json, "code");
    if (code == nullptr || !code->is_string()) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": wanted the test's code as a string, or {\"code\": ...}"));
    }
    out->set_code(code->get<std::string>());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Json> ParseJson(absl::string_view text,
                               absl::string_view where) {
  Builder builder;
  if (Json::sax_parse(text.begin(), text.end(), &builder)) {
    return Json(builder.root());
  }
  if (builder.error_position() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": ", builder.error()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(where, ", ", PlaceIn(text, builder.error_position()), ": ",
                   builder.error()));
}

std::string DumpJson(const Json& json) {
  std::string text;
  AppendJson(json, &text);
  return text;
}

Json BigIntToJson(absl::string_view digits) {
  return Json::binary(std::vector<uint8_t>(digits.begin(), digits.end()),
                      kBigIntSubtype);
}

bool IsBigInt(const Json& json) { return json.is_binary(); }

std::string BigIntDigits(const Json& json) {
  const Json::binary_t& bytes = json.get_binary();
  return std::string(bytes.begin(), bytes.end());
}

absl::StatusOr<Value> ValueFromJson(const Json& json) {
  Value value;
  PONDER_RETURN_IF_ERROR(FillValue(json, /*depth=*/0, &value));
  return value;
}

Json ValueToJson(const Value& value) {
  switch (value.kind_case()) {
    case Value::kBoolValue:
      return value.bool_value();
    case Value::kIntValue:
      return value.int_value();
    case Value::kDoubleValue:
      return value.double_value();
    case Value::kStringValue:
      return value.string_value();
    case Value::kBigInt:
      return BigIntToJson(value.big_int());
    case Value::kList: {
      Json list = Json::array();
      for (const Value& element : value.list().values()) {
        list.push_back(ValueToJson(element));
      }
      return list;
    }
    case Value::kObject: {
      Json object = Json::object();
      for (const Field& field : value.object().fields()) {
        object[field.name()] = ValueToJson(field.value());
      }
      return object;
    }
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      break;
  }
  return nullptr;
}

absl::StatusOr<TestSuite> TestSuiteFromJson(const Json& json) {
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tests: got ", json.type_name(), ", wanted an object"));
  }
  TestSuite suite;
  PONDER_ASSIGN_OR_RETURN(*suite.mutable_kind(), OptionalString(json, "kind"));
  PONDER_ASSIGN_OR_RETURN(*suite.mutable_fn(), OptionalString(json, "fn"));
  PONDER_ASSIGN_OR_RETURN(*suite.mutable_checker(),
                          OptionalString(json, "checker"));
  PONDER_ASSIGN_OR_RETURN(*suite.mutable_checker_code(),
                          OptionalString(json, "checker_code"));
  PONDER_ASSIGN_OR_RETURN(*suite.mutable_language(),
                          OptionalString(json, "language"));
  PONDER_ASSIGN_OR_RETURN(*suite.mutable_preamble(),
                          OptionalString(json, "preamble"));
  if (suite.kind() != "stdio" && suite.kind() != "call" &&
      suite.kind() != "assert") {
    return absl::InvalidArgumentError(
        absl::StrCat("tests.kind: got \"", suite.kind(),
                     "\", wanted stdio, call or assert"));
  }
  if (suite.kind() == "call" && suite.fn().empty()) {
    return absl::InvalidArgumentError(
        "tests.fn: tests of kind call must name the function");
  }
  for (const char* part : {"visible", "hidden"}) {
    const Json* cases = Find(json, part);
    if (cases == nullptr || cases->is_null()) continue;
    if (!cases->is_array()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tests.", part, ": got ", cases->type_name(), ", wanted a list"));
    }
    for (size_t i = 0; i < cases->size(); ++i) {
      TestCase* out = part[0] == 'v' ? suite.add_visible() : suite.add_hidden();
      PONDER_RETURN_IF_ERROR(FillCase((*cases)[i], suite.kind(),
                                      absl::StrCat("tests.", part, "[", i, "]"),
                                      out));
    }
  }
  if (suite.visible().empty() && suite.hidden().empty()) {
    return absl::InvalidArgumentError(
        "tests: no cases in \"visible\" or \"hidden\"");
  }
  return suite;
}

}  // namespace ponder
