#include "policy/jinja/filters.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "policy/jinja/json_text.h"
#include "policy/jinja/methods.h"
#include "policy/jinja/operations.h"
#include "policy/jinja/python_text.h"
#include "policy/jinja/value_tests.h"

namespace ponder::jinja {
namespace {

using Result = absl::StatusOr<Value>;
using Filter = Result (*)(const Value& value, const Arguments& arguments,
                          Budget& budget);

absl::Status Error(absl::string_view message) {
  return absl::InvalidArgumentError(message);
}

Result MakeGenerator(std::vector<Value> items) {
  return MakeSequence(Sequence::Kind::kGenerator, std::move(items));
}

// Calls a method of the value's text.
Result OfText(const char* method, const Value& value,
              const Arguments& arguments, Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(std::string text, ToText(value, budget));
  return CallMethod({Value(std::move(text)), method}, arguments, budget);
}

template <char const* method>
Result TextFilter(const Value& value, const Arguments& arguments,
                  Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  return OfText(method, value, arguments, budget);
}
constexpr char kCapitalize[] = "capitalize";
constexpr char kLower[] = "lower";
constexpr char kUpper[] = "upper";

Result Trim(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"chars"}));
  Arguments characters;
  if (bound[0] != nullptr) characters.positional = {*bound[0]};
  return OfText("strip", value, characters, budget);
}

Result Replace(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound,
                          arguments.Bind({"old", "new", "count"}, 2));
  Arguments texts;
  for (size_t i = 0; i < 2; ++i) {
    PONDER_ASSIGN_OR_RETURN(std::string text, ToText(*bound[i], budget));
    texts.positional.emplace_back(std::move(text));
  }
  if (bound[2] != nullptr && !bound[2]->Is<None>()) {
    texts.positional.push_back(*bound[2]);
  }
  return OfText("replace", value, texts, budget);
}

// Not str.title(): words begin behind blanks, hyphens and opening brackets.
Result Title(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  PONDER_ASSIGN_OR_RETURN(const std::string text, ToText(value, budget));
  // Each character is a text of its own here.
  PONDER_RETURN_IF_ERROR(budget.Spend(text.size()));
  std::string result;
  bool begins_word = true;
  for (const absl::string_view character : CodePoints(text)) {
    size_t num_bytes = 0;
    const uint32_t c = FirstCodePointOf(character, &num_bytes);
    if (IsPythonSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' ||
        c == '<') {
      absl::StrAppend(&result, character);
      begins_word = true;
      continue;
    }
    PONDER_ASSIGN_OR_RETURN(
        const std::string changed,
        begins_word ? ToUpper(character) : ToLower(character));
    result += changed;
    begins_word = false;
  }
  return Value(std::move(result));
}

Result String(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  if (value.Is<Markup>()) return value;
  PONDER_ASSIGN_OR_RETURN(std::string text, ToText(value, budget));
  return Value(std::move(text));
}

Result Safe(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  PONDER_ASSIGN_OR_RETURN(std::string text, ToText(value, budget));
  return Value(Markup{std::make_shared<const std::string>(std::move(text))});
}

Result Length(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  PONDER_ASSIGN_OR_RETURN(const int64_t length, LengthOf(value, budget));
  return Value(length);
}

Result Default(const Value& value, const Arguments& arguments, Budget&) {
  PONDER_ASSIGN_OR_RETURN(const auto bound,
                          arguments.Bind({"default_value", "boolean"}));
  const bool of_false = bound[1] != nullptr && IsTrue(*bound[1]);
  if (!value.Is<Undefined>() && !(of_false && !IsTrue(value))) return value;
  return bound[0] == nullptr ? Value("") : *bound[0];
}

Result First(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  PONDER_ASSIGN_OR_RETURN(const auto items, ItemsOf(value, budget));
  if (items.empty()) return Value::MakeUndefined("there is no first item");
  return items.front();
}

Result Last(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  if (value.AsSequence(Sequence::Kind::kGenerator) != nullptr) {
    return Error("a generator has no last item; the filter list makes a list");
  }
  PONDER_ASSIGN_OR_RETURN(const auto items, ItemsOf(value, budget));
  if (items.empty()) return Value::MakeUndefined("there is no last item");
  return items.back();
}

Result List(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  PONDER_ASSIGN_OR_RETURN(auto items, ItemsOf(value, budget));
  return MakeSequence(Sequence::Kind::kList, std::move(items));
}

Result Reverse(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  if (value.AsText() != nullptr) {
    return Slice(value, Value(), Value(), Value(int64_t{-1}), budget);
  }
  PONDER_ASSIGN_OR_RETURN(auto items, ItemsOf(value, budget));
  std::reverse(items.begin(), items.end());
  return MakeGenerator(std::move(items));
}

Result Items(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  if (value.Is<Undefined>()) return MakeGenerator({});
  if (value.AsDict() == nullptr) {
    return Error(absl::StrCat("wants a dict, got ", TypeName(value)));
  }
  PONDER_ASSIGN_OR_RETURN(const Value items,
                          CallMethod({value, "items"}, {}, budget));
  return MakeGenerator(items.AsSequence()->items);
}

// "a.b.0": the items that are looked up one after another.
absl::StatusOr<std::vector<Value>> AttributePath(const Value& attribute) {
  if (attribute.Is<int64_t>()) return std::vector<Value>{attribute};
  const std::string* text = attribute.AsText();
  if (text == nullptr) {
    return Error(absl::StrCat("an attribute should be a str, got ",
                              TypeName(attribute)));
  }
  std::vector<Value> path;
  for (const absl::string_view part : absl::StrSplit(*text, '.')) {
    int64_t index = 0;
    if (!part.empty() && absl::ascii_isdigit(part[0]) &&
        absl::SimpleAtoi(part, &index)) {
      path.emplace_back(index);
    } else {
      path.emplace_back(part);
    }
  }
  return path;
}

Result Lookup(Value value, const std::vector<Value>& path, Budget& budget) {
  for (const Value& key : path) {
    PONDER_ASSIGN_OR_RETURN(value, GetItem(value, key, budget));
  }
  return value;
}

Result Join(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"d", "attribute"}));
  std::string separator;
  if (bound[0] != nullptr) {
    PONDER_ASSIGN_OR_RETURN(separator, ToText(*bound[0], budget));
  }
  std::vector<Value> path;
  if (bound[1] != nullptr && !bound[1]->Is<None>()) {
    PONDER_ASSIGN_OR_RETURN(path, AttributePath(*bound[1]));
  }
  PONDER_ASSIGN_OR_RETURN(const auto items, ItemsOf(value, budget));
  std::string joined;
  for (size_t i = 0; i < items.size(); ++i) {
    PONDER_ASSIGN_OR_RETURN(const Value item, Lookup(items[i], path, budget));
    PONDER_ASSIGN_OR_RETURN(const std::string text, ToText(item, budget));
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(text.size() + separator.size()));
    absl::StrAppend(&joined, i > 0 ? separator : "", text);
  }
  return Value(std::move(joined));
}

// The first argument, which is a name, and the others.
absl::StatusOr<std::string> TakeName(Arguments* arguments, const char* what) {
  const std::string* name = arguments->positional.empty()
                                ? nullptr
                                : arguments->positional[0].AsText();
  if (name == nullptr) return Error(absl::StrCat("wants the name of a ", what));
  std::string taken = *name;
  arguments->positional.erase(arguments->positional.begin());
  return taken;
}

Result Map(const Value& value, const Arguments& arguments, Budget& budget) {
  std::function<Result(const Value&)> convert;
  Arguments rest = arguments;
  std::vector<Value> path;
  Value if_undefined;
  std::string name;
  if (arguments.positional.empty() && !arguments.named.empty()) {
    Arguments named = arguments;
    PONDER_ASSIGN_OR_RETURN(const auto bound,
                            named.Bind({"attribute", "default"}, 1));
    PONDER_ASSIGN_OR_RETURN(path, AttributePath(*bound[0]));
    if (bound[1] != nullptr) if_undefined = *bound[1];
    convert = [&](const Value& item) -> Result {
      PONDER_ASSIGN_OR_RETURN(Value found, Lookup(item, path, budget));
      if (found.Is<Undefined>() && !if_undefined.Is<None>()) {
        return if_undefined;
      }
      return found;
    };
  } else {
    PONDER_ASSIGN_OR_RETURN(name, TakeName(&rest, "filter"));
    convert = [&](const Value& item) {
      return ApplyFilter(name, item, rest, budget);
    };
  }
  if (!IsTrue(value)) return MakeGenerator({});
  PONDER_ASSIGN_OR_RETURN(const auto items, ItemsOf(value, budget));
  std::vector<Value> converted;
  for (const Value& item : items) {
    PONDER_ASSIGN_OR_RETURN(Value result, convert(item));
    converted.push_back(std::move(result));
  }
  return MakeGenerator(std::move(converted));
}

// select, reject, selectattr, rejectattr: the items, or those whose attribute,
// passes the test or does not.
template <bool keeps, bool of_attribute>
Result Select(const Value& value, const Arguments& arguments, Budget& budget) {
  Arguments rest = arguments;
  std::vector<Value> path;
  if (of_attribute) {
    if (rest.positional.empty()) return Error("wants the name of an attribute");
    PONDER_ASSIGN_OR_RETURN(path, AttributePath(rest.positional[0]));
    rest.positional.erase(rest.positional.begin());
  }
  std::string test;
  if (!rest.positional.empty()) {
    PONDER_ASSIGN_OR_RETURN(test, TakeName(&rest, "test"));
    if (!IsTest(test)) {
      return Error(absl::StrCat("the test '", test, "' is not supported"));
    }
  }
  if (!IsTrue(value)) return MakeGenerator({});
  PONDER_ASSIGN_OR_RETURN(const auto items, ItemsOf(value, budget));
  std::vector<Value> kept;
  for (const Value& item : items) {
    PONDER_ASSIGN_OR_RETURN(const Value tested, Lookup(item, path, budget));
    bool passes = IsTrue(tested);
    if (!test.empty()) {
      PONDER_ASSIGN_OR_RETURN(passes, ApplyTest(test, tested, rest, budget));
    }
    if (passes == keeps) kept.push_back(item);
  }
  return MakeGenerator(std::move(kept));
}

// What Jinja compares where case is to be ignored.
Result IgnoreCase(const Value& value) {
  const std::string* text = value.AsText();
  if (text == nullptr) return value;
  PONDER_ASSIGN_OR_RETURN(std::string lower, ToLower(*text));
  return Value(std::move(lower));
}

Result Unique(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound,
                          arguments.Bind({"case_sensitive", "attribute"}));
  const bool case_sensitive = bound[0] != nullptr && IsTrue(*bound[0]);
  std::vector<Value> path;
  if (bound[1] != nullptr && !bound[1]->Is<None>()) {
    PONDER_ASSIGN_OR_RETURN(path, AttributePath(*bound[1]));
  }
  PONDER_ASSIGN_OR_RETURN(const auto items, ItemsOf(value, budget));
  std::vector<std::pair<Value, Value>> seen;
  std::vector<Value> kept;
  for (const Value& item : items) {
    PONDER_ASSIGN_OR_RETURN(Value key, Lookup(item, path, budget));
    if (!case_sensitive) {
      PONDER_ASSIGN_OR_RETURN(key, IgnoreCase(key));
    }
    const size_t num_seen = seen.size();
    PONDER_RETURN_IF_ERROR(Insert(seen, std::move(key), Value(), budget));
    if (seen.size() > num_seen) kept.push_back(item);
  }
  return MakeGenerator(std::move(kept));
}

Result DictSort(const Value& value, const Arguments& arguments,
                Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound,
                          arguments.Bind({"case_sensitive", "by", "reverse"}));
  const bool case_sensitive = bound[0] != nullptr && IsTrue(*bound[0]);
  const bool reverse = bound[2] != nullptr && IsTrue(*bound[2]);
  const std::string by = bound[1] == nullptr || bound[1]->AsText() == nullptr
                             ? "key"
                             : *bound[1]->AsText();
  if ((by != "key" && by != "value") ||
      (bound[1] != nullptr && bound[1]->AsText() == nullptr)) {
    return Error("the argument 'by' should be 'key' or 'value'");
  }
  const Dict* dict = value.AsDict();
  if (dict == nullptr) {
    return Error(absl::StrCat("wants a dict, got ", TypeName(value)));
  }
  std::vector<std::pair<Value, Value>> sorted;  // What decides, and the item.
  for (const auto& [key, entry] : dict->entries) {
    Value decides = by == "key" ? key : entry;
    if (!case_sensitive) {
      PONDER_ASSIGN_OR_RETURN(decides, IgnoreCase(decides));
    }
    PONDER_ASSIGN_OR_RETURN(Value item,
                            MakeSequence(Sequence::Kind::kTuple, {key, entry}));
    sorted.emplace_back(std::move(decides), std::move(item));
  }
  absl::Status status;
  // Reversed order keeps equals in their order, as Python's does.
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const auto& a, const auto& b) {
                     const absl::StatusOr<bool> less =
                         reverse ? IsLess(b.first, a.first, budget)
                                 : IsLess(a.first, b.first, budget);
                     if (!less.ok()) status = less.status();
                     return less.ok() && *less;
                   });
  PONDER_RETURN_IF_ERROR(status);
  std::vector<Value> items;
  for (auto& [decides, item] : sorted) items.push_back(std::move(item));
  return MakeSequence(Sequence::Kind::kList, std::move(items));
}

Result Abs(const Value& value, const Arguments& arguments, Budget&) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  if (const double* number = value.As<double>())
    return Value(std::abs(*number));
  const std::optional<int64_t> integer = IntegerOf(value);
  if (!integer.has_value()) {
    return Error(absl::StrCat("wants a number, got ", TypeName(value)));
  }
  return *integer < 0 ? Negate(value) : Value(*integer);
}

// int() and float() of texts know digits of all scripts; these here don't.
absl::Status CheckDigits(absl::string_view text) {
  for (const absl::string_view character : CodePoints(text)) {
    size_t num_bytes = 0;
    const uint32_t c = FirstCodePointOf(character, &num_bytes);
    if (c >= 0x80 && IsDecimalDigit(c)) {
      return Error("a number with other digits than 0 to 9 is not supported");
    }
  }
  return absl::OkStatus();
}

Result TruncatedInt(double number) {
  if (std::isnan(number) || std::abs(number) >= 9.2e18) {
    return Error("an integer beyond 64 bits is not supported");
  }
  return Value(static_cast<int64_t>(number));
}

Result Int(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound,
                          arguments.Bind({"default", "base"}));
  if (bound[1] != nullptr && IntegerOf(*bound[1]) != 10) {
    return Error("a base other than 10 is not supported");
  }
  const Value if_none = bound[0] == nullptr ? Value(int64_t{0}) : *bound[0];
  if (const Undefined* undefined = value.As<Undefined>()) {
    return Error(*undefined->why);
  }
  if (const std::optional<int64_t> integer = IntegerOf(value)) {
    return Value(*integer);
  }
  if (const double* number = value.As<double>()) {
    if (std::isnan(*number)) return if_none;
    return TruncatedInt(*number);
  }
  const std::string* text = TextOf(value);
  if (text == nullptr) return if_none;
  PONDER_RETURN_IF_ERROR(budget.SpendBytes(text->size()));
  PONDER_RETURN_IF_ERROR(CheckDigits(*text));
  PONDER_ASSIGN_OR_RETURN(const std::optional<int64_t> integer,
                          ParsePythonInt(*text));
  if (integer.has_value()) return Value(*integer);
  const std::optional<double> number = ParsePythonFloat(*text);
  if (!number.has_value() || !std::isfinite(*number)) return if_none;
  return TruncatedInt(*number);
}

Result Float(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"default"}));
  if (const Undefined* undefined = value.As<Undefined>()) {
    return Error(*undefined->why);
  }
  std::optional<double> number = NumberOf(value);
  if (const std::string* text = TextOf(value)) {
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(text->size()));
    PONDER_RETURN_IF_ERROR(CheckDigits(*text));
    number = ParsePythonFloat(*text);
  }
  if (number.has_value()) return Value(*number);
  return bound[0] == nullptr ? Value(0.0) : *bound[0];
}

absl::Status ReadIndent(const Value& value, JsonFormat* format) {
  if (value.Is<None>()) return absl::OkStatus();
  if (const std::string* text = value.AsText()) {
    format->indent = *text;
    return absl::OkStatus();
  }
  const std::optional<int64_t> width = IntegerOf(value);
  if (!width.has_value() || *width > 1000) {
    return Error("the indent should be a str or a number up to 1000");
  }
  format->indent =
      std::string(static_cast<size_t>(std::max<int64_t>(*width, 0)), ' ');
  return absl::OkStatus();
}

Result Json(const Value& value, const Arguments& arguments, Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(
      const auto bound,
      arguments.Bind({"ensure_ascii", "indent", "separators", "sort_keys"}));
  JsonFormat format;
  format.ensure_ascii = bound[0] != nullptr && IsTrue(*bound[0]);
  format.sort_keys = bound[3] != nullptr && IsTrue(*bound[3]);
  if (bound[1] != nullptr) {
    PONDER_RETURN_IF_ERROR(ReadIndent(*bound[1], &format));
  }
  if (bound[2] != nullptr && !bound[2]->Is<None>()) {
    const Sequence* both = bound[2]->AsSequence();
    if (both == nullptr || both->items.size() != 2 ||
        both->items[0].AsText() == nullptr ||
        both->items[1].AsText() == nullptr) {
      return Error("the separators should be two strs");
    }
    format.item_separator = *both->items[0].AsText();
    format.key_separator = *both->items[1].AsText();
  }
  PONDER_ASSIGN_OR_RETURN(std::string json, ToJson(value, format, budget));
  return Value(std::move(json));
}

const absl::flat_hash_map<absl::string_view, Filter>& Filters() {
  static const auto& filters =
      *new absl::flat_hash_map<absl::string_view, Filter>{
          {"abs", Abs},
          {"capitalize", TextFilter<kCapitalize>},
          {"count", Length},
          {"d", Default},
          {"default", Default},
          {"dictsort", DictSort},
          {"first", First},
          {"float", Float},
          {"int", Int},
          {"items", Items},
          {"join", Join},
          {"last", Last},
          {"length", Length},
          {"list", List},
          {"lower", TextFilter<kLower>},
          {"map", Map},
          {"reject", Select<false, false>},
          {"rejectattr", Select<false, true>},
          {"replace", Replace},
          {"reverse", Reverse},
          {"safe", Safe},
          {"select", Select<true, false>},
          {"selectattr", Select<true, true>},
          {"string", String},
          {"title", Title},
          {"tojson", Json},
          {"trim", Trim},
          {"unique", Unique},
          {"upper", TextFilter<kUpper>},
      };
  return filters;
}

}  // namespace

bool IsFilter(absl::string_view name) { return Filters().contains(name); }

absl::StatusOr<Value> ApplyFilter(absl::string_view name, const Value& value,
                                  const Arguments& arguments, Budget& budget) {
  const auto found = Filters().find(name);
  if (found == Filters().end()) {
    return Error(absl::StrCat("the filter '", name, "' is not supported"));
  }
  PONDER_RETURN_IF_ERROR(budget.Spend(4));
  absl::StatusOr<Value> result = found->second(value, arguments, budget);
  if (result.ok()) return result;
  return Error(
      absl::StrCat("the filter '", name, "': ", result.status().message()));
}

}  // namespace ponder::jinja
