#include "policy/jinja/methods.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "policy/jinja/operations.h"
#include "policy/jinja/python_text.h"

namespace ponder::jinja {
namespace {

using Result = absl::StatusOr<Value>;
using TextMethod = Result (*)(absl::string_view text,
                              const Arguments& arguments, Budget& budget);

absl::Status Error(absl::string_view message) {
  return absl::InvalidArgumentError(message);
}

// The text of a required argument.
absl::StatusOr<absl::string_view> TextArgument(const Value& value) {
  if (const std::string* text = value.AsText()) return *text;
  if (const Undefined* undefined = value.As<Undefined>()) {
    return Error(*undefined->why);
  }
  return Error(absl::StrCat("wants a str, got ", TypeName(value)));
}

absl::StatusOr<int64_t> IntegerArgument(const Value* value, int64_t if_absent) {
  if (value == nullptr) return if_absent;
  if (const std::optional<int64_t> integer = IntegerOf(*value)) return *integer;
  return Error(absl::StrCat("wants an int, got ", TypeName(*value)));
}

template <Side side>
Result StripText(absl::string_view text, const Arguments& arguments, Budget&) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"chars"}));
  std::optional<absl::string_view> characters;
  if (bound[0] != nullptr && !bound[0]->Is<None>()) {
    PONDER_ASSIGN_OR_RETURN(characters, TextArgument(*bound[0]));
  }
  return Value(Strip(text, side, characters));
}

template <bool at_begin>
Result HasAffix(absl::string_view text, const Arguments& arguments, Budget&) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"affix"}, 1));
  std::vector<Value> affixes = {*bound[0]};
  if (const Sequence* tuple = bound[0]->AsSequence(Sequence::Kind::kTuple)) {
    affixes = tuple->items;
  }
  for (const Value& value : affixes) {
    PONDER_ASSIGN_OR_RETURN(const absl::string_view affix, TextArgument(value));
    if (at_begin ? absl::StartsWith(text, affix)
                 : absl::EndsWith(text, affix)) {
      return Value(true);
    }
  }
  return Value(false);
}

template <bool at_begin>
Result RemoveAffix(absl::string_view text, const Arguments& arguments,
                   Budget&) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"affix"}, 1));
  PONDER_ASSIGN_OR_RETURN(const absl::string_view affix,
                          TextArgument(*bound[0]));
  if (at_begin && absl::StartsWith(text, affix)) {
    text.remove_prefix(affix.size());
  } else if (!at_begin && absl::EndsWith(text, affix)) {
    text.remove_suffix(affix.size());
  }
  return Value(text);
}

Result MakeTexts(const std::vector<absl::string_view>& parts, Budget& budget) {
  PONDER_RETURN_IF_ERROR(budget.Spend(parts.size()));
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const absl::string_view part : parts) items.emplace_back(part);
  return MakeSequence(Sequence::Kind::kList, std::move(items));
}

// Words between white space, at most `limit` cuts if not negative.
std::vector<absl::string_view> SplitWords(absl::string_view text, int64_t limit,
                                          bool from_right) {
  std::vector<absl::string_view> words;
  const Side side = from_right ? Side::kRight : Side::kLeft;
  text = Strip(text, side, std::nullopt);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<int64_t>(words.size()) == limit) {
      words.push_back(text);
      break;
    }
    size_t length = 0;
    if (from_right) {
      size_t begin = text.size();
      while (begin > 0) {
        size_t next = begin - 1;
        while ((static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) --next;
        size_t num_bytes = 0;
        if (IsPythonSpace(FirstCodePointOf(text.substr(next), &num_bytes))) {
          break;
        }
        begin = next;
      }
      length = text.size() - begin;
      words.push_back(text.substr(begin));
      text.remove_suffix(length);
    } else {
      while (length < text.size()) {
        size_t num_bytes = 0;
        if (IsPythonSpace(FirstCodePointOf(text.substr(length), &num_bytes))) {
          break;
        }
        length += num_bytes;
      }
      words.push_back(text.substr(0, length));
      text.remove_prefix(length);
    }
    text = Strip(text, side, std::nullopt);
  }
  if (from_right) std::reverse(words.begin(), words.end());
  return words;
}

template <bool from_right>
Result Split(absl::string_view text, const Arguments& arguments,
             Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound,
                          arguments.Bind({"sep", "maxsplit"}));
  PONDER_ASSIGN_OR_RETURN(const int64_t limit, IntegerArgument(bound[1], -1));
  if (bound[0] == nullptr || bound[0]->Is<None>()) {
    PONDER_RETURN_IF_ERROR(budget.Spend(text.size() / 8));
    return MakeTexts(SplitWords(text, limit, from_right), budget);
  }
  PONDER_ASSIGN_OR_RETURN(const absl::string_view separator,
                          TextArgument(*bound[0]));
  if (separator.empty()) return Error("the separator is empty");
  std::vector<absl::string_view> parts;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t found =
        from_right ? text.rfind(separator) : text.find(separator);
    if (found == absl::string_view::npos) break;
    if (from_right) {
      parts.push_back(text.substr(found + separator.size()));
      text = text.substr(0, found);
    } else {
      parts.push_back(text.substr(0, found));
      text.remove_prefix(found + separator.size());
    }
    if (parts.size() > kMaxSteps) return budget.Spend(parts.size());
  }
  parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return MakeTexts(parts, budget);
}

Result SplitLines(absl::string_view text, const Arguments& arguments,
                  Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"keepends"}));
  const bool keep = bound[0] != nullptr && IsTrue(*bound[0]);
  PONDER_RETURN_IF_ERROR(budget.Spend(text.size() / 8));
  std::vector<absl::string_view> lines;
  while (!text.empty()) {
    size_t length = 0;
    size_t end_length = 0;
    while (length < text.size()) {
      size_t num_bytes = 0;
      const uint32_t c = FirstCodePointOf(text.substr(length), &num_bytes);
      if ((c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 ||
          c == 0x2028 || c == 0x2029) {
        end_length =
            absl::StartsWith(text.substr(length), "\r\n") ? 2 : num_bytes;
        break;
      }
      length += num_bytes;
    }
    lines.push_back(text.substr(0, keep ? length + end_length : length));
    text.remove_prefix(length + end_length);
  }
  return MakeTexts(lines, budget);
}

Result ReplaceText(absl::string_view text, const Arguments& arguments,
                   Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound,
                          arguments.Bind({"old", "new", "count"}, 2));
  PONDER_ASSIGN_OR_RETURN(const absl::string_view old, TextArgument(*bound[0]));
  PONDER_ASSIGN_OR_RETURN(const absl::string_view replacement,
                          TextArgument(*bound[1]));
  PONDER_ASSIGN_OR_RETURN(int64_t left, IntegerArgument(bound[2], -1));
  std::string result;
  size_t position = 0;
  while (left != 0) {
    size_t found = old.empty() ? position : text.find(old, position);
    if (found == absl::string_view::npos || found > text.size()) break;
    PONDER_RETURN_IF_ERROR(
        budget.SpendBytes(found - position + replacement.size()));
    absl::StrAppend(&result, text.substr(position, found - position),
                    replacement);
    position = found + old.size();
    if (left > 0) --left;
    if (!old.empty()) continue;
    // Between all characters, and at both ends.
    if (position == text.size()) return Value(std::move(result));
    size_t num_bytes = 0;
    FirstCodePointOf(text.substr(position), &num_bytes);
    absl::StrAppend(&result, text.substr(position, num_bytes));
    position += num_bytes;
  }
  absl::StrAppend(&result, text.substr(position));
  return Value(std::move(result));
}

Result CountText(absl::string_view text, const Arguments& arguments, Budget&) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"sub"}, 1));
  PONDER_ASSIGN_OR_RETURN(const absl::string_view part,
                          TextArgument(*bound[0]));
  if (part.empty()) return Value(NumCodePoints(text) + 1);
  int64_t count = 0;
  for (size_t found = text.find(part); found != absl::string_view::npos;
       found = text.find(part, found + part.size())) {
    ++count;
  }
  return Value(count);
}

template <bool from_right>
Result FindText(absl::string_view text, const Arguments& arguments, Budget&) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"sub"}, 1));
  PONDER_ASSIGN_OR_RETURN(const absl::string_view part,
                          TextArgument(*bound[0]));
  const size_t found = from_right ? text.rfind(part) : text.find(part);
  if (found == absl::string_view::npos) return Value(int64_t{-1});
  return Value(NumCodePoints(text.substr(0, found)));
}

Result JoinText(absl::string_view text, const Arguments& arguments,
                Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"iterable"}, 1));
  PONDER_ASSIGN_OR_RETURN(const std::vector<Value> items,
                          ItemsOf(*bound[0], budget));
  std::string result;
  for (size_t i = 0; i < items.size(); ++i) {
    PONDER_ASSIGN_OR_RETURN(const absl::string_view item,
                            TextArgument(items[i]));
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(item.size() + text.size()));
    absl::StrAppend(&result, i > 0 ? text : "", item);
  }
  return Value(std::move(result));
}

template <absl::StatusOr<std::string> (*convert)(absl::string_view)>
Result ChangeCase(absl::string_view text, const Arguments& arguments,
                  Budget& budget) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  PONDER_RETURN_IF_ERROR(budget.Spend(text.size() / 2));
  PONDER_ASSIGN_OR_RETURN(std::string result, convert(text));
  return Value(std::move(result));
}

Result IsSpace(absl::string_view text, const Arguments& arguments, Budget&) {
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  return Value(!text.empty() && Strip(text, Side::kLeft, std::nullopt).empty());
}

const absl::flat_hash_map<absl::string_view, TextMethod>& TextMethods() {
  static const auto& methods =
      *new absl::flat_hash_map<absl::string_view, TextMethod>{
          {"capitalize", ChangeCase<Capitalize>},
          {"count", CountText},
          {"endswith", HasAffix<false>},
          {"find", FindText<false>},
          {"isspace", IsSpace},
          {"join", JoinText},
          {"lower", ChangeCase<ToLower>},
          {"lstrip", StripText<Side::kLeft>},
          {"removeprefix", RemoveAffix<true>},
          {"removesuffix", RemoveAffix<false>},
          {"replace", ReplaceText},
          {"rfind", FindText<true>},
          {"rsplit", Split<true>},
          {"rstrip", StripText<Side::kRight>},
          {"split", Split<false>},
          {"splitlines", SplitLines},
          {"startswith", HasAffix<true>},
          {"strip", StripText<Side::kBoth>},
          {"title", ChangeCase<ToTitle>},
          {"upper", ChangeCase<ToUpper>},
      };
  return methods;
}

// What else values have in Python 3.11.
constexpr absl::string_view kOtherTextAttributes =
    "casefold center encode expandtabs format format_map index isalnum isalpha "
    "isascii isdecimal isdigit isidentifier islower isnumeric isprintable "
    "istitle isupper ljust maketrans partition rindex rjust rpartition "
    "swapcase "
    "translate zfill";
constexpr absl::string_view kOtherListAttributes =
    "append clear copy extend insert pop remove reverse sort";
constexpr absl::string_view kOtherDictAttributes =
    "clear fromkeys pop popitem setdefault update";
constexpr absl::string_view kNumberAttributes =
    "as_integer_ratio bit_count bit_length conjugate denominator from_bytes "
    "fromhex hex imag is_integer numerator real to_bytes";
constexpr absl::string_view kOtherAttributes =
    "close count gi_code gi_frame gi_running gi_suspended gi_yieldfrom index "
    "isdisjoint mapping send start step stop throw";

// Whether `name` is one of `names`, which blanks separate.
bool IsListed(absl::string_view names, absl::string_view name) {
  size_t begin = 0;
  while (begin < names.size()) {
    const size_t end = std::min(names.find(' ', begin), names.size());
    if (names.substr(begin, end - begin) == name) return true;
    begin = end + 1;
  }
  return false;
}

Result CallDictMethod(const Dict& dict, absl::string_view name,
                      const Arguments& arguments, Budget& budget) {
  if (name == "get") {
    PONDER_ASSIGN_OR_RETURN(const auto bound,
                            arguments.Bind({"key", "default"}, 1));
    if (!IsHashable(*bound[0])) {
      return Error(absl::StrCat(TypeName(*bound[0]), " is no key"));
    }
    PONDER_ASSIGN_OR_RETURN(const Value* found, Find(dict, *bound[0], budget));
    if (found != nullptr) return *found;
    return bound[1] == nullptr ? Value() : *bound[1];
  }
  PONDER_RETURN_IF_ERROR(arguments.Bind({}).status());
  PONDER_RETURN_IF_ERROR(budget.Spend(dict.entries.size()));
  if (name == "copy") return MakeDict(dict.entries);
  std::vector<Value> items;
  items.reserve(dict.entries.size());
  for (const auto& [key, value] : dict.entries) {
    if (name == "items") {
      PONDER_ASSIGN_OR_RETURN(
          Value item, MakeSequence(Sequence::Kind::kTuple, {key, value}));
      items.push_back(std::move(item));
    } else {
      items.push_back(name == "keys" ? key : value);
    }
  }
  return MakeSequence(name == "items"  ? Sequence::Kind::kItems
                      : name == "keys" ? Sequence::Kind::kKeys
                                       : Sequence::Kind::kValues,
                      std::move(items));
}

Result CallSequenceMethod(const Sequence& sequence, absl::string_view name,
                          const Arguments& arguments, Budget& budget) {
  PONDER_ASSIGN_OR_RETURN(const auto bound, arguments.Bind({"value"}, 1));
  int64_t count = 0;
  for (size_t i = 0; i < sequence.items.size(); ++i) {
    PONDER_ASSIGN_OR_RETURN(const bool same,
                            Equals(sequence.items[i], *bound[0], budget));
    if (same && name == "index") return Value(static_cast<int64_t>(i));
    count += same ? 1 : 0;
  }
  if (name == "index") return Error("the value is not in the list");
  return Value(count);
}

}  // namespace

absl::StatusOr<bool> HasMethod(const Value& value, absl::string_view name) {
  const Sequence* sequence = value.AsSequence();
  const bool is_list =
      sequence != nullptr && (sequence->kind == Sequence::Kind::kList ||
                              sequence->kind == Sequence::Kind::kTuple);
  bool is_other = false;
  if (value.AsText() != nullptr) {
    if (TextMethods().contains(name)) return true;
    is_other = IsListed(kOtherTextAttributes, name);
  } else if (value.AsDict() != nullptr) {
    if (IsListed("copy get items keys values", name)) return true;
    is_other = IsListed(kOtherDictAttributes, name);
  } else if (is_list) {
    if (name == "count" || name == "index") return true;
    is_other = sequence->kind == Sequence::Kind::kList &&
               IsListed(kOtherListAttributes, name);
  } else if (NumberOf(value).has_value()) {
    is_other = IsListed(kNumberAttributes, name);
  } else if (value.Is<Markup>()) {
    is_other = !absl::StartsWith(name, "_");
  } else if (!value.Is<None>()) {
    is_other = IsListed(kOtherAttributes, name) || sequence == nullptr;
    // Macros, functions and methods have names and more.
    if (absl::StartsWith(name, "_")) is_other = false;
  }
  if (!is_other) return false;
  return Error(absl::StrCat(TypeName(value), ".", name, " is not supported"));
}

absl::StatusOr<Value> CallMethod(const Method& method,
                                 const Arguments& arguments, Budget& budget) {
  const Value& receiver = method.receiver;
  absl::StatusOr<Value> result;
  // As in Python.
  if (!arguments.named.empty() &&
      !IsListed("split rsplit splitlines", method.name)) {
    return Error(absl::StrCat(TypeName(receiver), ".", method.name,
                              "() takes no named arguments"));
  }
  if (const std::string* text = receiver.AsText()) {
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(2 * text->size()));
    result = TextMethods().at(method.name)(*text, arguments, budget);
  } else if (const Dict* dict = receiver.AsDict()) {
    result = CallDictMethod(*dict, method.name, arguments, budget);
  } else {
    result = CallSequenceMethod(*receiver.AsSequence(), method.name, arguments,
                                budget);
  }
  if (result.ok()) return result;
  return Error(absl::StrCat(TypeName(receiver), ".", method.name,
                            "(): ", result.status().message()));
}

}  // namespace ponder::jinja
