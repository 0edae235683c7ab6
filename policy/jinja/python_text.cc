#include "policy/jinja/python_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "utf8proc.h"

namespace ponder::jinja {
namespace {

// Characters whose upper, lower or title case is more than one character, or,
// with the final sigma, depends on its neighbours (Unicode's
// SpecialCasing.txt).
struct Range {
  uint32_t first;
  uint32_t last;
};
constexpr Range kSpecialCasing[] = {
    {0xDF, 0xDF},     {0x130, 0x130},   {0x149, 0x149},   {0x1F0, 0x1F0},
    {0x390, 0x390},   {0x3A3, 0x3A3},   {0x3B0, 0x3B0},   {0x587, 0x587},
    {0x1E96, 0x1E9A}, {0x1F50, 0x1F50}, {0x1F52, 0x1F52}, {0x1F54, 0x1F54},
    {0x1F56, 0x1F56}, {0x1F80, 0x1FAF}, {0x1FB2, 0x1FB4}, {0x1FB6, 0x1FB7},
    {0x1FBC, 0x1FBC}, {0x1FC2, 0x1FC4}, {0x1FC6, 0x1FC7}, {0x1FCC, 0x1FCC},
    {0x1FD2, 0x1FD3}, {0x1FD6, 0x1FD7}, {0x1FE2, 0x1FE4}, {0x1FE6, 0x1FE7},
    {0x1FF2, 0x1FF4}, {0x1FF6, 0x1FF7}, {0x1FFC, 0x1FFC}, {0xFB00, 0xFB06},
    {0xFB13, 0xFB17}};

absl::Status CheckCasing(uint32_t code_point) {
  for (const Range& range : kSpecialCasing) {
    if (code_point < range.first || code_point > range.last) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("changing the case of U+%04X is not supported; its "
                        "other case is not one character of its own",
                        code_point));
  }
  return absl::OkStatus();
}

uint32_t Upper(uint32_t c) {
  return static_cast<uint32_t>(utf8proc_toupper(static_cast<int32_t>(c)));
}
uint32_t Lower(uint32_t c) {
  return static_cast<uint32_t>(utf8proc_tolower(static_cast<int32_t>(c)));
}
uint32_t Title(uint32_t c) {
  return static_cast<uint32_t>(utf8proc_totitle(static_cast<int32_t>(c)));
}

// Calls `convert` for each code point and joins what it gives.
template <typename Convert>
absl::StatusOr<std::string> MapCase(absl::string_view text, Convert convert) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    size_t num_bytes = 0;
    const uint32_t c = FirstCodePointOf(text, &num_bytes);
    text.remove_prefix(num_bytes);
    PONDER_RETURN_IF_ERROR(CheckCasing(c));
    AppendUtf8(convert(c), &result);
  }
  return result;
}

bool IsCased(uint32_t c) {
  return Lower(c) != c || Upper(c) != c || Title(c) != c ||
         utf8proc_category(static_cast<int32_t>(c)) == UTF8PROC_CATEGORY_LL ||
         utf8proc_category(static_cast<int32_t>(c)) == UTF8PROC_CATEGORY_LU;
}

// str.isprintable() of one character.
bool IsPrintable(uint32_t c) {
  if (c == ' ') return true;
  switch (utf8proc_category(static_cast<int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

// `text` without white space around it and the underscores between digits;
// nothing if an underscore is elsewhere.
std::optional<std::string> NumberText(absl::string_view text) {
  text = Strip(text, Side::kBoth, std::nullopt);
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits.push_back(text[i]);
    } else if (i == 0 || i + 1 == text.size() ||
               !absl::ascii_isdigit(text[i - 1]) ||
               !absl::ascii_isdigit(text[i + 1])) {
      return std::nullopt;
    }
  }
  return digits;
}

}  // namespace

uint32_t FirstCodePointOf(absl::string_view text, size_t* num_bytes) {
  const auto byte = [&](size_t i) -> uint32_t {
    return static_cast<unsigned char>(text[i]);
  };
  const uint32_t first = byte(0);
  if (first < 0x80) {
    *num_bytes = 1;
    return first;
  }
  if (first < 0xE0) {
    *num_bytes = 2;
    return (first & 0x1F) << 6 | (byte(1) & 0x3F);
  }
  if (first < 0xF0) {
    *num_bytes = 3;
    return (first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  }
  *num_bytes = 4;
  return (first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 |
         (byte(3) & 0x3F);
}

void AppendUtf8(uint32_t code_point, std::string* text) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length =
      utf8proc_encode_char(static_cast<int32_t>(code_point), bytes);
  text->append(reinterpret_cast<const char*>(bytes),
               static_cast<size_t>(length));
}

bool IsWellFormedUtf8(absl::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  size_t position = 0;
  while (position < text.size()) {
    int32_t code_point = 0;
    const utf8proc_ssize_t length = utf8proc_iterate(
        bytes + position, static_cast<utf8proc_ssize_t>(text.size() - position),
        &code_point);
    if (length <= 0) return false;
    position += static_cast<size_t>(length);
  }
  return true;
}

int64_t NumCodePoints(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
}

std::vector<absl::string_view> CodePoints(absl::string_view text) {
  std::vector<absl::string_view> characters;
  while (!text.empty()) {
    size_t num_bytes = 0;
    FirstCodePointOf(text, &num_bytes);
    characters.push_back(text.substr(0, num_bytes));
    text.remove_prefix(num_bytes);
  }
  return characters;
}

bool IsPythonSpace(uint32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 ||
         c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool IsDecimalDigit(uint32_t c) {
  return utf8proc_category(static_cast<int32_t>(c)) == UTF8PROC_CATEGORY_ND;
}

absl::string_view Strip(absl::string_view text, Side side,
                        std::optional<absl::string_view> characters) {
  const auto is_stripped = [&](absl::string_view character) {
    if (characters.has_value()) {
      return characters->find(character) != absl::string_view::npos;
    }
    size_t num_bytes = 0;
    return IsPythonSpace(FirstCodePointOf(character, &num_bytes));
  };
  while (side != Side::kRight && !text.empty()) {
    size_t num_bytes = 0;
    FirstCodePointOf(text, &num_bytes);
    if (!is_stripped(text.substr(0, num_bytes))) break;
    text.remove_prefix(num_bytes);
  }
  while (side != Side::kLeft && !text.empty()) {
    size_t begin = text.size() - 1;
    while ((static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!is_stripped(text.substr(begin))) break;
    text = text.substr(0, begin);
  }
  return text;
}

absl::StatusOr<std::string> ToUpper(absl::string_view text) {
  return MapCase(text, Upper);
}

absl::StatusOr<std::string> ToLower(absl::string_view text) {
  return MapCase(text, Lower);
}

absl::StatusOr<std::string> ToTitle(absl::string_view text) {
  bool behind_cased = false;
  return MapCase(text, [&](uint32_t c) {
    const uint32_t result = behind_cased ? Lower(c) : Title(c);
    behind_cased = IsCased(c);
    return result;
  });
}

absl::StatusOr<std::string> Capitalize(absl::string_view text) {
  bool is_first = true;
  return MapCase(text, [&](uint32_t c) {
    const uint32_t result = is_first ? Title(c) : Lower(c);
    is_first = false;
    return result;
  });
}

std::string TextRepr(absl::string_view text) {
  const bool has_single = text.find('\'') != absl::string_view::npos;
  const bool has_double = text.find('"') != absl::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string result(1, quote);
  while (!text.empty()) {
    size_t num_bytes = 0;
    const uint32_t c = FirstCodePointOf(text, &num_bytes);
    if (c == static_cast<unsigned char>(quote) || c == '\\') {
      result.push_back('\\');
      result.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      absl::StrAppend(&result, "\\n");
    } else if (c == '\r') {
      absl::StrAppend(&result, "\\r");
    } else if (c == '\t') {
      absl::StrAppend(&result, "\\t");
    } else if (IsPrintable(c)) {
      absl::StrAppend(&result, text.substr(0, num_bytes));
    } else if (c < 0x100) {
      absl::StrAppendFormat(&result, "\\x%02x", c);
    } else if (c < 0x10000) {
      absl::StrAppendFormat(&result, "\\u%04x", c);
    } else {
      absl::StrAppendFormat(&result, "\\U%08x", c);
    }
    text.remove_prefix(num_bytes);
  }
  result.push_back(quote);
  return result;
}

std::string FloatRepr(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  // Shortest digits that read back as the number: d.ddde+XX.
  char buffer[40];
  const auto [end, error] = std::to_chars(
      buffer, buffer + sizeof(buffer), number, std::chars_format::scientific);
  const absl::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const size_t digits_of_exponent = e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(buffer + digits_of_exponent, end, exponent);
  std::string digits;
  const absl::string_view sign = std::signbit(number) ? "-" : "";
  for (const char c : text.substr(0, e)) {
    if (absl::ascii_isdigit(c)) digits.push_back(c);
  }
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    std::string result = absl::StrCat(sign, digits.substr(0, 1));
    if (count > 1) absl::StrAppend(&result, ".", digits.substr(1));
    return absl::StrCat(result, absl::StrFormat("e%+03d", exponent));
  }
  if (exponent < 0) {
    return absl::StrCat(sign, "0.", std::string(-exponent - 1, '0'), digits);
  }
  if (count <= exponent + 1) {
    return absl::StrCat(sign, digits, std::string(exponent + 1 - count, '0'),
                        ".0");
  }
  return absl::StrCat(sign, digits.substr(0, exponent + 1), ".",
                      digits.substr(exponent + 1));
}

std::string JsonText(absl::string_view text, bool ensure_ascii) {
  const auto is_plain = [ensure_ascii](unsigned char c) {
    return c >= 0x20 && c != '"' && c != '\\' && (!ensure_ascii || c < 0x7F);
  };
  std::string result = "\"";
  while (!text.empty()) {
    const size_t num_plain =
        std::find_if_not(text.begin(), text.end(), is_plain) - text.begin();
    result.append(text.data(), num_plain);
    text.remove_prefix(num_plain);
    if (text.empty()) break;
    constexpr absl::string_view kEscaped = "\"\\\n\r\t\f\b";
    constexpr char kEscapes[] = "\\\"\\\\\\n\\r\\t\\f\\b";
    const size_t i = kEscaped.find(text[0]);
    size_t num_bytes = 1;
    if (i != absl::string_view::npos) {
      result.append(kEscapes + 2 * i, 2);
    } else {
      const uint32_t c = FirstCodePointOf(text, &num_bytes);
      if (c < 0x10000) {
        absl::StrAppendFormat(&result, "\\u%04x", c);
      } else {
        absl::StrAppendFormat(&result, "\\u%04x\\u%04x",
                              0xD800 + ((c - 0x10000) >> 10),
                              0xDC00 + ((c - 0x10000) & 0x3FF));
      }
    }
    text.remove_prefix(num_bytes);
  }
  result.push_back('"');
  return result;
}

absl::StatusOr<std::optional<int64_t>> ParsePythonInt(absl::string_view text) {
  std::optional<std::string> digits = NumberText(text);
  if (!digits.has_value()) return std::nullopt;
  absl::string_view rest = *digits;
  const bool is_negative = !rest.empty() && rest[0] == '-';
  if (is_negative || (!rest.empty() && rest[0] == '+')) rest.remove_prefix(1);
  if (rest.empty()) return std::nullopt;
  for (const char c : rest) {
    if (!absl::ascii_isdigit(c)) return std::nullopt;
  }
  const std::string number = absl::StrCat(is_negative ? "-" : "", rest);
  int64_t value = 0;
  if (std::from_chars(number.data(), number.data() + number.size(), value).ec !=
      std::errc()) {
    return absl::OutOfRangeError("an integer beyond 64 bits is not supported");
  }
  return value;
}

std::optional<double> ParsePythonFloat(absl::string_view text) {
  std::optional<std::string> digits = NumberText(text);
  if (!digits.has_value()) return std::nullopt;
  absl::string_view rest = *digits;
  const bool is_negative = !rest.empty() && rest[0] == '-';
  if (is_negative || (!rest.empty() && rest[0] == '+')) rest.remove_prefix(1);
  const double sign = is_negative ? -1 : 1;
  const std::string lower = absl::AsciiStrToLower(rest);
  if (lower == "inf" || lower == "infinity") {
    return sign * std::numeric_limits<double>::infinity();
  }
  if (lower == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (rest.empty() || !(absl::ascii_isdigit(rest[0]) || rest[0] == '.')) {
    return std::nullopt;
  }
  double value = 0;
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (end != rest.data() + rest.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // Too small or too large: which one, the exponent's sign says.
    const size_t e = lower.find('e');
    const bool is_tiny = e != std::string::npos
                             ? lower[e + 1] == '-'
                             : lower[0] == '0' || lower[0] == '.';
    return is_tiny ? sign * 0.0
                   : sign * std::numeric_limits<double>::infinity();
  }
  if (error != std::errc()) return std::nullopt;
  return sign * value;
}

}  // namespace ponder::jinja
