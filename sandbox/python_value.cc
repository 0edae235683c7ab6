#include "sandbox/python_value.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

using Kind = PythonValue::Kind;

constexpr int kDigitBits = 15;  // marshal's digits of long integers.

class Reader {
 public:
  explicit Reader(absl::string_view bytes) : rest_(bytes) {}

  bool Read(int depth, PythonValue* out) {
    char code;
    return ReadByte(&code) && ReadBody(code, depth, out);
  }

  bool at_end() const { return rest_.empty(); }

 private:
  bool ReadByte(char* out) {
    if (rest_.empty()) return false;
    *out = rest_[0];
    rest_.remove_prefix(1);
    return true;
  }

  bool ReadInt32(int32_t* out) {
    if (rest_.size() < 4) return false;
    uint32_t value = 0;
    for (int i = 3; i >= 0; --i) {
      value = (value << 8) | static_cast<uint8_t>(rest_[i]);
    }
    *out = static_cast<int32_t>(value);
    rest_.remove_prefix(4);
    return true;
  }

  bool ReadText(std::string* out) {
    int32_t size;
    if (!ReadInt32(&size) || size < 0 ||
        static_cast<size_t>(size) > rest_.size()) {
      return false;
    }
    out->assign(rest_.data(), size);
    rest_.remove_prefix(size);
    return true;
  }

  bool ReadLong(PythonValue* out) {
    int32_t signed_count;
    if (!ReadInt32(&signed_count) || signed_count == 0 ||
        signed_count == std::numeric_limits<int32_t>::min()) {
      return false;
    }
    const size_t count = std::abs(signed_count);
    if (rest_.size() / 2 < count) return false;
    const absl::string_view digits = rest_.substr(0, 2 * count);
    rest_.remove_prefix(2 * count);
    for (size_t i = 0; i < count; ++i) {
      if (static_cast<uint8_t>(digits[2 * i + 1]) & 0x80) return false;
    }
    if (digits[2 * count - 1] == 0 && digits[2 * count - 2] == 0) return false;
    out->negative = signed_count < 0;
    out->kind = Kind::kBigInt;
    out->text = std::string(digits);
    Shrink(out);
    return true;
  }

  // Makes a kBigInt that fits 64 bits a kInt.
  static void Shrink(PythonValue* value) {
    const size_t count = value->text.size() / 2;
    if (count > 5) return;  // 5 digits are 75 bits.
    absl::uint128 magnitude = 0;
    for (size_t i = count; i-- > 0;) {
      magnitude = (magnitude << kDigitBits) |
                  (static_cast<uint8_t>(value->text[2 * i]) |
                   static_cast<uint8_t>(value->text[2 * i + 1]) << 8);
    }
    const absl::uint128 limit =
        absl::uint128(std::numeric_limits<int64_t>::max()) +
        (value->negative ? 1 : 0);
    if (magnitude > limit) return;
    const uint64_t low = absl::Uint128Low64(magnitude);
    value->kind = Kind::kInt;
    value->int_value = static_cast<int64_t>(value->negative ? ~low + 1 : low);
    value->negative = false;
    value->text.clear();
  }

  bool ReadItems(Kind kind, int depth, PythonValue* out) {
    int32_t count;
    // An item takes at least one byte. No memory is set aside for what is only
    // claimed: sixty lists in one another can each claim all the rest.
    if (!ReadInt32(&count) || count < 0 ||
        static_cast<size_t>(count) > rest_.size()) {
      return false;
    }
    out->kind = kind;
    for (int32_t i = 0; i < count; ++i) {
      if (!Read(depth + 1, &out->items.emplace_back())) return false;
    }
    return true;
  }

  bool ReadDict(int depth, PythonValue* out) {
    out->kind = Kind::kDict;
    while (true) {
      char code;
      if (!ReadByte(&code)) return false;
      if (code == '0') return true;
      if (!ReadBody(code, depth + 1, &out->items.emplace_back()) ||
          !Read(depth + 1, &out->items.emplace_back())) {
        return false;
      }
    }
  }

  bool ReadBody(char code, int depth, PythonValue* out) {
    if (depth > kMaxPythonDepth || nodes_ >= kMaxPythonNodes) return false;
    ++nodes_;
    switch (code) {
      case 'N':
        out->kind = Kind::kNone;
        return true;
      case 'T':
      case 'F':
        out->kind = Kind::kBool;
        out->int_value = code == 'T';
        return true;
      case 'i': {
        int32_t value;
        if (!ReadInt32(&value)) return false;
        out->kind = Kind::kInt;
        out->int_value = value;
        return true;
      }
      case 'l':
        return ReadLong(out);
      case 'g':
        if (rest_.size() < sizeof(double)) return false;
        out->kind = Kind::kFloat;
        std::memcpy(&out->float_value, rest_.data(), sizeof(double));
        rest_.remove_prefix(sizeof(double));
        return true;
      case 'y':
        if (rest_.size() < 2 * sizeof(double)) return false;
        out->kind = Kind::kComplex;
        out->text = std::string(rest_.substr(0, 2 * sizeof(double)));
        rest_.remove_prefix(2 * sizeof(double));
        return true;
      case 'u':
        out->kind = Kind::kString;
        return ReadText(&out->text);
      case 's':
        out->kind = Kind::kBytes;
        return ReadText(&out->text);
      case '(':
        return ReadItems(Kind::kTuple, depth, out);
      case '[':
        return ReadItems(Kind::kList, depth, out);
      case '<':
        return ReadItems(Kind::kSet, depth, out);
      case '>':
        return ReadItems(Kind::kFrozenSet, depth, out);
      case '{':
        return ReadDict(depth, out);
      default:
        return false;
    }
  }

  absl::string_view rest_;
  size_t nodes_ = 0;
};

void AppendInt32(int32_t value, std::string* out) {
  const uint32_t bits = static_cast<uint32_t>(value);
  for (int i = 0; i < 4; ++i)
    out->push_back(static_cast<char>(bits >> (8 * i)));
}

void AppendSized(char code, absl::string_view text, std::string* out) {
  out->push_back(code);
  AppendInt32(static_cast<int32_t>(text.size()), out);
  out->append(text.data(), text.size());
}

void AppendItems(char code, const PythonValue& value, std::string* out) {
  out->push_back(code);
  AppendInt32(static_cast<int32_t>(value.items.size()), out);
  for (const PythonValue& item : value.items) AppendMarshal(item, out);
}

void AppendDigit(uint64_t digit, std::string* out) {
  out->push_back(static_cast<char>(digit & 0xff));
  out->push_back(static_cast<char>(digit >> 8));
}

void AppendInt(int64_t value, std::string* out) {
  if (value >= std::numeric_limits<int32_t>::min() &&
      value <= std::numeric_limits<int32_t>::max()) {
    out->push_back('i');
    AppendInt32(static_cast<int32_t>(value), out);
    return;
  }
  uint64_t magnitude = value < 0 ? ~static_cast<uint64_t>(value) + 1
                                 : static_cast<uint64_t>(value);
  std::string digits;
  for (; magnitude > 0; magnitude >>= kDigitBits) {
    AppendDigit(magnitude & 0x7fff, &digits);
  }
  const int32_t count = static_cast<int32_t>(digits.size() / 2);
  out->push_back('l');
  AppendInt32(value < 0 ? -count : count, out);
  out->append(digits);
}

// Base 2^15 digits of the decimal `text`, which is beyond 64 bits. Quadratic;
// CheckPassable() bounds it.
PythonValue BigIntFromDecimal(absl::string_view text) {
  PythonValue value;
  value.kind = Kind::kBigInt;
  value.negative = !text.empty() && text[0] == '-';
  if (value.negative) text.remove_prefix(1);
  std::vector<uint32_t> digits;
  for (const char c : text) {
    uint32_t carry = static_cast<uint32_t>(c - '0');
    for (uint32_t& digit : digits) {
      carry += digit * 10;
      digit = carry & 0x7fff;
      carry >>= kDigitBits;
    }
    if (carry > 0) digits.push_back(carry);
  }
  for (const uint32_t digit : digits) AppendDigit(digit, &value.text);
  return value;
}

absl::Status CheckPart(const Value& value, int depth, size_t* nodes) {
  ++*nodes;
  if (depth > kMaxPythonDepth || *nodes > kMaxPythonNodes) {
    return absl::InvalidArgumentError(
        absl::StrCat("tests: a value has more than ", kMaxPythonNodes,
                     " parts, or is deeper than ", kMaxPythonDepth));
  }
  switch (value.kind_case()) {
    case Value::kBigInt: {
      absl::string_view digits = value.big_int();
      absl::ConsumePrefix(&digits, "-");
      if (digits.empty() || digits.size() > kMaxDigits ||
          !std::all_of(digits.begin(), digits.end(), [](char c) {
            return absl::ascii_isdigit(static_cast<unsigned char>(c));
          })) {
        return absl::InvalidArgumentError(absl::StrCat(
            "tests: an integer of ", digits.size(),
            " characters; wanted at most ", kMaxDigits, " decimal digits"));
      }
      break;
    }
    case Value::kList:
      for (const Value& item : value.list().values()) {
        PONDER_RETURN_IF_ERROR(CheckPart(item, depth + 1, nodes));
      }
      break;
    case Value::kObject:
      for (const Field& field : value.object().fields()) {
        ++*nodes;  // The key.
        PONDER_RETURN_IF_ERROR(CheckPart(field.value(), depth + 1, nodes));
      }
      break;
    default:
      break;
  }
  return absl::OkStatus();
}

// The exact value of `f` as an int64, if it is one.
std::optional<int64_t> ExactInt(double f) {
  if (!(f >= -0x1p63 && f < 0x1p63) || std::trunc(f) != f) return std::nullopt;
  return static_cast<int64_t>(f);
}

std::optional<double> AsDouble(const PythonValue& value) {
  if (value.kind == Kind::kInt) return static_cast<double>(value.int_value);
  if (value.kind == Kind::kFloat) return value.float_value;
  return std::nullopt;
}

bool IsNumber(const PythonValue& value) {
  return value.kind == Kind::kInt || value.kind == Kind::kFloat ||
         value.kind == Kind::kBigInt;
}

bool NumbersMatch(const PythonValue& expected, const PythonValue& got,
                  std::optional<double> tolerance) {
  if (expected.kind == got.kind) {
    if (expected.kind == Kind::kInt && expected.int_value == got.int_value) {
      return true;
    }
    if (expected.kind == Kind::kFloat &&
        expected.float_value == got.float_value) {
      return true;
    }
    if (expected.kind == Kind::kBigInt && expected.negative == got.negative &&
        expected.text == got.text) {
      return true;
    }
  } else if (expected.kind == Kind::kInt && got.kind == Kind::kFloat) {
    if (ExactInt(got.float_value) == expected.int_value) return true;
  } else if (expected.kind == Kind::kFloat && got.kind == Kind::kInt) {
    if (ExactInt(expected.float_value) == got.int_value) return true;
  }
  // Integers are exact also where floats may be near.
  if (!tolerance.has_value() ||
      (expected.kind != Kind::kFloat && got.kind != Kind::kFloat)) {
    return false;
  }
  const std::optional<double> a = AsDouble(expected);
  const std::optional<double> b = AsDouble(got);
  if (!a || !b || !std::isfinite(*a) || !std::isfinite(*b)) return false;
  return std::abs(*a - *b) <= *tolerance * std::max(1.0, std::abs(*a));
}

bool DictMatches(const ObjectValue& expected, const PythonValue& got,
                 std::optional<double> tolerance) {
  const size_t count = got.items.size() / 2;
  if (count != static_cast<size_t>(expected.fields_size())) return false;
  std::vector<std::pair<absl::string_view, const PythonValue*>> entries;
  entries.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    if (got.items[2 * i].kind != Kind::kString) return false;
    entries.emplace_back(got.items[2 * i].text, &got.items[2 * i + 1]);
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  // A real dict has no key twice; a forged message may.
  for (size_t i = 1; i < count; ++i) {
    if (entries[i - 1].first == entries[i].first) return false;
  }
  for (const Field& field : expected.fields()) {
    const absl::string_view name = field.name();
    const auto it =
        std::lower_bound(entries.begin(), entries.end(), name,
                         [](const auto& entry, absl::string_view key) {
                           return entry.first < key;
                         });
    if (it == entries.end() || it->first != name ||
        !MatchesExpected(field.value(), *it->second, tolerance)) {
      return false;
    }
  }
  return true;
}

void AppendDescription(const PythonValue& value, size_t max_bytes,
                       std::string* out) {
  if (out->size() > max_bytes) return;
  const auto items = [&](const char* open, const char* close) {
    out->append(open);
    for (size_t i = 0; i < value.items.size(); ++i) {
      if (out->size() > max_bytes) return;
      if (i > 0) out->append(", ");
      AppendDescription(value.items[i], max_bytes, out);
    }
    out->append(close);
  };
  switch (value.kind) {
    case Kind::kNone:
      out->append("None");
      break;
    case Kind::kBool:
      out->append(value.int_value != 0 ? "True" : "False");
      break;
    case Kind::kInt:
      absl::StrAppend(out, value.int_value);
      break;
    case Kind::kBigInt:
      absl::StrAppend(out, "an int of ", value.text.size() / 2 * kDigitBits,
                      " bits");
      break;
    case Kind::kFloat:
      absl::StrAppendFormat(out, "%.17g", value.float_value);
      if (value.float_value == std::trunc(value.float_value) &&
          std::abs(value.float_value) < 1e17) {
        out->append(".0");
      }
      break;
    case Kind::kComplex: {
      double parts[2];
      std::memcpy(parts, value.text.data(), sizeof(parts));
      absl::StrAppendFormat(out, "(%.17g%+.17gj)", parts[0], parts[1]);
      break;
    }
    case Kind::kBytes:
      out->push_back('b');
      [[fallthrough]];
    case Kind::kString:
      absl::StrAppend(out, "'",
                      absl::Utf8SafeCHexEscape(
                          absl::string_view(value.text).substr(0, max_bytes)),
                      "'");
      break;
    case Kind::kTuple:
      items("(", value.items.size() == 1 ? ",)" : ")");
      break;
    case Kind::kList:
      items("[", "]");
      break;
    case Kind::kSet:
    case Kind::kFrozenSet:
      items("set(", ")");
      break;
    case Kind::kDict:
      out->push_back('{');
      for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
        if (out->size() > max_bytes) return;
        if (i > 0) out->append(", ");
        AppendDescription(value.items[i], max_bytes, out);
        out->append(": ");
        AppendDescription(value.items[i + 1], max_bytes, out);
      }
      out->push_back('}');
      break;
  }
}

}  // namespace

absl::StatusOr<PythonValue> ParseMarshal(absl::string_view bytes) {
  PythonValue value;
  Reader reader(bytes);
  if (!reader.Read(/*depth=*/0, &value) || !reader.at_end()) {
    return absl::InvalidArgumentError(
        "not a value of built-in types, or nested too deeply or too large");
  }
  return value;
}

void AppendMarshal(const PythonValue& value, std::string* out) {
  switch (value.kind) {
    case Kind::kNone:
      out->push_back('N');
      break;
    case Kind::kBool:
      out->push_back(value.int_value != 0 ? 'T' : 'F');
      break;
    case Kind::kInt:
      AppendInt(value.int_value, out);
      break;
    case Kind::kBigInt: {
      const int32_t count = static_cast<int32_t>(value.text.size() / 2);
      out->push_back('l');
      AppendInt32(value.negative ? -count : count, out);
      out->append(value.text);
      break;
    }
    case Kind::kFloat:
      out->push_back('g');
      out->append(reinterpret_cast<const char*>(&value.float_value),
                  sizeof(double));
      break;
    case Kind::kComplex:
      out->push_back('y');
      out->append(value.text);
      break;
    case Kind::kString:
      AppendSized('u', value.text, out);
      break;
    case Kind::kBytes:
      AppendSized('s', value.text, out);
      break;
    case Kind::kTuple:
      AppendItems('(', value, out);
      break;
    case Kind::kList:
      AppendItems('[', value, out);
      break;
    case Kind::kSet:
      AppendItems('<', value, out);
      break;
    case Kind::kFrozenSet:
      AppendItems('>', value, out);
      break;
    case Kind::kDict:
      out->push_back('{');
      for (const PythonValue& item : value.items) AppendMarshal(item, out);
      out->push_back('0');
      break;
  }
}

absl::Status CheckPassable(const Value& value) {
  size_t nodes = 0;
  return CheckPart(value, /*depth=*/0, &nodes);
}

PythonValue PythonFromValue(const Value& value) {
  PythonValue result;
  switch (value.kind_case()) {
    case Value::kBoolValue:
      result.kind = Kind::kBool;
      result.int_value = value.bool_value();
      break;
    case Value::kIntValue:
      result.kind = Kind::kInt;
      result.int_value = value.int_value();
      break;
    case Value::kDoubleValue:
      result.kind = Kind::kFloat;
      result.float_value = value.double_value();
      break;
    case Value::kStringValue:
      return PythonString(value.string_value());
    case Value::kBigInt:
      return BigIntFromDecimal(value.big_int());
    case Value::kList:
      result.kind = Kind::kList;
      for (const Value& element : value.list().values()) {
        result.items.push_back(PythonFromValue(element));
      }
      break;
    case Value::kObject:
      result.kind = Kind::kDict;
      for (const Field& field : value.object().fields()) {
        result.items.push_back(PythonString(field.name()));
        result.items.push_back(PythonFromValue(field.value()));
      }
      break;
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      break;
  }
  return result;
}

bool MatchesExpected(const Value& expected, const PythonValue& got,
                     std::optional<double> tolerance) {
  switch (expected.kind_case()) {
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      return got.kind == Kind::kNone;
    case Value::kBoolValue:
      return got.kind == Kind::kBool &&
             (got.int_value != 0) == expected.bool_value();
    case Value::kIntValue:
    case Value::kDoubleValue:
    case Value::kBigInt:
      return IsNumber(got) &&
             NumbersMatch(PythonFromValue(expected), got, tolerance);
    case Value::kStringValue:
      return got.kind == Kind::kString && got.text == expected.string_value();
    case Value::kList: {
      if (got.kind != Kind::kList && got.kind != Kind::kTuple) return false;
      const size_t count = expected.list().values_size();
      if (got.items.size() != count) return false;
      for (size_t i = 0; i < count; ++i) {
        if (!MatchesExpected(expected.list().values(static_cast<int>(i)),
                             got.items[i], tolerance)) {
          return false;
        }
      }
      return true;
    }
    case Value::kObject:
      return got.kind == Kind::kDict &&
             DictMatches(expected.object(), got, tolerance);
  }
  return false;
}

std::string Describe(const PythonValue& value, size_t max_bytes) {
  std::string text;
  AppendDescription(value, max_bytes, &text);
  if (text.size() > max_bytes) {
    text.resize(max_bytes);
    text.append("...");
  }
  return text;
}

PythonValue PythonString(absl::string_view text) {
  PythonValue value;
  value.kind = Kind::kString;
  value.text = std::string(text);
  return value;
}

PythonValue PythonBytes(absl::string_view bytes) {
  PythonValue value;
  value.kind = Kind::kBytes;
  value.text = std::string(bytes);
  return value;
}

PythonValue PythonDict() {
  PythonValue value;
  value.kind = Kind::kDict;
  return value;
}

PythonValue PythonTuple(std::vector<PythonValue> items) {
  PythonValue value;
  value.kind = Kind::kTuple;
  value.items = std::move(items);
  return value;
}

}  // namespace ponder
