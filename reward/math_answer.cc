#include "reward/math_answer.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace ponder {
namespace {

using boost::multiprecision::cpp_int;
using boost::multiprecision::cpp_rational;

// After Normalize(): braces of sets, as against LaTeX's braces of groups.
constexpr char kSetOpen = '\x01';
constexpr char kSetClose = '\x02';

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return absl::ascii_isalpha(static_cast<uint8_t>(c)); }
bool IsSpace(char c) { return absl::ascii_isspace(static_cast<uint8_t>(c)); }

absl::string_view Strip(absl::string_view text) {
  return absl::StripAsciiWhitespace(text);
}

// Rewrites that need no context. Longer names first where one starts another.
std::string ReplaceSymbols(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {
                {"\\dfrac", "\\frac"},
                {"\\tfrac", "\\frac"},
                {"\\cfrac", "\\frac"},
                {"\\left", ""},
                {"\\right", ""},
                {"\\leftarrow", "\\leftarrow"},
                {"\\rightarrow", "\\rightarrow"},
                {"\\leftrightarrow", "\\leftrightarrow"},
                {"\\bigl", ""},
                {"\\bigr", ""},
                {"\\Bigl", ""},
                {"\\Bigr", ""},
                {"\\displaystyle", ""},
                {"{,}", ","},
                {"\\!", ""},
                {"\\,", " "},
                {"\\;", " "},
                {"\\:", " "},
                {"\\ ", " "},
                {"\\quad", " "},
                {"\\qquad", " "},
                {"~", " "},
                {"\xc2\xa0", " "},      // No-break space.
                {"\xe2\x80\xaf", " "},  // Narrow no-break space.
                {"\xe2\x80\x89", " "},  // Thin space.
                {"\\{", absl::string_view(&kSetOpen, 1)},
                {"\\}", absl::string_view(&kSetClose, 1)},
                {"\\lbrace", absl::string_view(&kSetOpen, 1)},
                {"\\rbrace", absl::string_view(&kSetClose, 1)},
                {"\\$", "$"},
                {"\\%", "%"},
                {"\\#", "#"},
                {"\\&", "&"},
                {"^\\circ", "\xc2\xb0"},
                {"^{\\circ}", "\xc2\xb0"},
                {"^ \\circ", "\xc2\xb0"},
                {"\\degree", "\xc2\xb0"},
                {"\\cdot", "*"},
                {"\\times", "*"},
                {"\xc3\x97", "*"},      // Multiplication sign.
                {"\xc2\xb7", "*"},      // Middle dot.
                {"\xe2\x88\x92", "-"},  // Minus sign.
                {"\xe2\x80\x93", "-"},  // En dash.
                {"\xc3\xb7", "/"},      // Division sign.
                {"\\div", "/"},
                {"\\leq", "<="},
                {"\\le", "<="},
                {"\\geq", ">="},
                {"\\ge", ">="},
                {"\\neq", "!="},
                {"\xe2\x89\xa4", "<="},
                {"\xe2\x89\xa5", ">="},
                {"\xe2\x88\x9e", "\\infty"},
                {"\xcf\x80", "\\pi"},
                {"\xc2\xb2", "^2"},
                {"\xc2\xb3", "^3"},
                {"\xc2\xbd", "\\frac{1}{2}"},
                {"\xc2\xbc", "\\frac{1}{4}"},
                {"\xc2\xbe", "\\frac{3}{4}"},
                {"\xe2\x82\xac", "$"},  // Euro.
                {"\xc2\xa3", "$"},      // Pound.
                {"\xc2\xa5", "$"},      // Yen.
                {"**", ""},             // Markdown's bold.
            });
}

// \text{...} and its like become their words.
std::string UnwrapText(absl::string_view text) {
  static constexpr absl::string_view kWrappers[] = {
      "\\text",   "\\textbf", "\\textit", "\\textrm",       "\\mathrm",
      "\\mathbf", "\\mathit", "\\mbox",   "\\operatorname", "\\mathsf"};
  std::string out;
  int open_groups = 0;
  std::vector<int> wrapped;  // Depths of the groups that were unwrapped.
  while (!text.empty()) {
    bool unwrapped = false;
    if (text[0] == '\\') {
      for (const absl::string_view wrapper : kWrappers) {
        absl::string_view rest = text;
        if (!absl::ConsumePrefix(&rest, wrapper)) continue;
        rest = absl::StripLeadingAsciiWhitespace(rest);
        if (rest.empty() || rest[0] != '{') continue;
        out.push_back(' ');
        wrapped.push_back(open_groups++);
        text = rest.substr(1);
        unwrapped = true;
        break;
      }
    }
    if (unwrapped) continue;
    const char c = text[0];
    text.remove_prefix(1);
    if (c == '{') ++open_groups;
    if (c == '}') {
      --open_groups;
      if (!wrapped.empty() && wrapped.back() == open_groups) {
        wrapped.pop_back();
        out.push_back(' ');
        continue;
      }
    }
    out.push_back(c);
  }
  return out;
}

// Takes the delimiters of formulas off: $...$, \(...\), \[...\].
absl::string_view StripDelimiters(absl::string_view text) {
  static constexpr std::pair<absl::string_view, absl::string_view> kPairs[] = {
      {"$$", "$$"}, {"$", "$"}, {"\\(", "\\)"}, {"\\[", "\\]"}};
  while (true) {
    text = Strip(text);
    const absl::string_view before = text;
    for (const auto& [open, close] : kPairs) {
      if (text.size() > open.size() + close.size() &&
          absl::StartsWith(text, open) && absl::EndsWith(text, close)) {
        text.remove_prefix(open.size());
        text.remove_suffix(close.size());
        break;
      }
    }
    // The end of a sentence.
    if (absl::EndsWith(text, ".") || absl::EndsWith(text, ",") ||
        absl::EndsWith(text, ";")) {
      text.remove_suffix(1);
    } else {
      absl::ConsumeSuffix(&text, "\xe3\x80\x82");  // Chinese full stop.
    }
    if (text.size() == before.size()) return text;
  }
}

std::string Normalize(absl::string_view text) {
  return UnwrapText(ReplaceSymbols(StripDelimiters(text)));
}

// The one text of all ways to write it: no spaces, words in lower case. Single
// letters keep theirs: x and X may be two things.
std::string CanonicalText(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (IsSpace(c) || c == '$') {
      // "1 2" is not "12".
      size_t next = i;
      while (next < text.size() && IsSpace(text[next])) ++next;
      if (!out.empty() && IsDigit(out.back()) && next < text.size() &&
          IsDigit(text[next])) {
        out.push_back(' ');
      }
      continue;
    }
    const bool in_word =
        IsLetter(c) && ((i > 0 && IsLetter(text[i - 1])) ||
                        (i + 1 < text.size() && IsLetter(text[i + 1])));
    out.push_back(in_word ? absl::ascii_tolower(static_cast<uint8_t>(c)) : c);
  }
  while (!out.empty() && (out.back() == '.' || out.back() == ',')) {
    out.pop_back();
  }
  // (C) is C.
  if (out.size() == 3 && out[0] == '(' && out[2] == ')' && IsLetter(out[1])) {
    return out.substr(1, 1);
  }
  return out;
}

cpp_int PowerOfTen(int exponent) {
  return boost::multiprecision::pow(cpp_int(10),
                                    static_cast<unsigned>(exponent));
}

// Reads a number at the front of a text.
class NumberReader {
 public:
  explicit NumberReader(absl::string_view text) : rest_(text) {}

  // The number with sign, currency, percent sign and unit; the whole text.
  bool ReadWhole(MathAnswer* out);

 private:
  void SkipSpaces() { rest_ = absl::StripLeadingAsciiWhitespace(rest_); }
  bool Take(absl::string_view token) {
    return absl::ConsumePrefix(&rest_, token);
  }

  bool ReadMagnitude(MathAnswer* out);
  bool ReadDigits(cpp_int* value, size_t* count);
  bool ReadDecimal(MathAnswer* out, bool* whole);
  bool ReadFraction(cpp_rational* value);
  bool ReadGroup(cpp_rational* value);
  bool ReadExponent(int* exponent);
  bool ReadPowerOfTen(cpp_rational* value);
  bool ReadTail(MathAnswer* out);

  absl::string_view rest_;
};

// Digits, with thousands separated by commas or spaces if they are grouped in
// threes throughout.
bool NumberReader::ReadDigits(cpp_int* value, size_t* count) {
  std::string digits;
  size_t used = 0;
  while (used < rest_.size() && IsDigit(rest_[used])) {
    digits.push_back(rest_[used++]);
  }
  if (digits.empty()) return false;
  const size_t first_group = digits.size();
  if (first_group <= 3 && used < rest_.size() &&
      (rest_[used] == ',' || rest_[used] == ' ')) {
    const char separator = rest_[used];
    std::string grouped = digits;
    size_t at = used;
    while (at + 3 < rest_.size() && rest_[at] == separator &&
           IsDigit(rest_[at + 1]) && IsDigit(rest_[at + 2]) &&
           IsDigit(rest_[at + 3]) &&
           (at + 4 == rest_.size() || !IsDigit(rest_[at + 4]))) {
      grouped.append(rest_.data() + at + 1, 3);
      at += 4;
    }
    // "12 345/7" and "1 000 1/2" would be mixed numbers with odd fractions.
    const bool fraction_follows = at < rest_.size() && rest_[at] == '/';
    if (at > used && !(separator == ' ' && fraction_follows)) {
      digits = grouped;
      used = at;
    }
  }
  if (digits.size() > kMaxAnswerDigits) return false;
  rest_.remove_prefix(used);
  *count = digits.size();
  // A leading 0 would mean an octal number.
  const size_t nonzero =
      std::min(digits.find_first_not_of('0'), digits.size() - 1);
  *value = cpp_int(digits.substr(nonzero));
  return true;
}

// 12, 12.5, .5, 1,234.5
bool NumberReader::ReadDecimal(MathAnswer* out, bool* whole) {
  cpp_int value = 0;
  size_t count = 0;
  const bool has_whole = ReadDigits(&value, &count);
  *whole = true;
  out->num_decimals = -1;
  size_t decimals = 0;
  if (rest_.size() > 1 && rest_[0] == '.' && IsDigit(rest_[1])) {
    size_t end = 1;
    while (end < rest_.size() && IsDigit(rest_[end])) ++end;
    decimals = end - 1;
    if (count + decimals > kMaxAnswerDigits) return false;
    std::string digits =
        absl::StrCat(has_whole ? value.str() : "0", rest_.substr(1, decimals));
    const size_t nonzero =
        std::min(digits.find_first_not_of('0'), digits.size() - 1);
    value = cpp_int(digits.substr(nonzero));
    rest_.remove_prefix(end);
    out->num_decimals = static_cast<int>(decimals);
    *whole = false;
  } else if (!has_whole) {
    return false;
  }
  out->value = cpp_rational(value, PowerOfTen(static_cast<int>(decimals)));
  return true;
}

// {12}, {-3}, or one digit: an argument of \frac.
bool NumberReader::ReadGroup(cpp_rational* value) {
  SkipSpaces();
  if (!rest_.empty() && IsDigit(rest_[0])) {
    *value = rest_[0] - '0';
    rest_.remove_prefix(1);
    return true;
  }
  if (!Take("{")) return false;
  SkipSpaces();
  const bool negative = Take("-");
  SkipSpaces();
  MathAnswer number;
  bool whole;
  if (!ReadDecimal(&number, &whole)) return false;
  SkipSpaces();
  if (!Take("}")) return false;
  *value = negative ? -number.value : number.value;
  return true;
}

// What follows "\frac".
bool NumberReader::ReadFraction(cpp_rational* value) {
  cpp_rational numerator;
  cpp_rational denominator;
  if (!ReadGroup(&numerator) || !ReadGroup(&denominator) || denominator == 0) {
    return false;
  }
  *value = numerator / denominator;
  return true;
}

// 12, {12}, -12, {-12}
bool NumberReader::ReadExponent(int* exponent) {
  SkipSpaces();
  const bool braced = Take("{");
  SkipSpaces();
  const bool negative = Take("-");
  if (!negative) Take("+");
  int value = 0;
  size_t count = 0;
  while (count < rest_.size() && IsDigit(rest_[count])) {
    value = std::min(value * 10 + (rest_[count] - '0'), 1 << 20);
    ++count;
  }
  if (count == 0) return false;
  rest_.remove_prefix(count);
  SkipSpaces();
  if (braced && !Take("}")) return false;
  *exponent = negative ? -value : value;
  return true;
}

// Behind a mantissa: "e5", "* 10^5", "x 10^{-5}". True, and 1, if there is
// none.
bool NumberReader::ReadPowerOfTen(cpp_rational* value) {
  *value = 1;
  const absl::string_view before = rest_;
  int exponent = 0;
  bool found = false;
  if (rest_.size() > 1 && (rest_[0] == 'e' || rest_[0] == 'E') &&
      (IsDigit(rest_[1]) || rest_[1] == '-' || rest_[1] == '+')) {
    rest_.remove_prefix(1);
    found = ReadExponent(&exponent);
  } else {
    SkipSpaces();
    if (Take("*") || Take("x")) {
      SkipSpaces();
      found = Take("10^") && ReadExponent(&exponent);
    }
  }
  if (!found) {
    rest_ = before;
    return true;
  }
  if (std::abs(exponent) > kMaxAnswerExponent) return false;
  const cpp_rational power(PowerOfTen(std::abs(exponent)));
  *value = exponent < 0 ? 1 / power : power;
  return true;
}

bool NumberReader::ReadMagnitude(MathAnswer* out) {
  if (Take("\\frac")) return ReadFraction(&out->value);
  bool whole;
  if (!ReadDecimal(out, &whole)) return false;
  const absl::string_view after = rest_;
  SkipSpaces();
  // A mixed number: 3\frac{1}{2}, 3 1/2.
  if (whole && Take("\\frac")) {
    cpp_rational fraction;
    if (!ReadFraction(&fraction) || fraction < 0 || fraction >= 1) return false;
    out->value += fraction;
    return true;
  }
  if (whole && after.size() != rest_.size() && !rest_.empty() &&
      IsDigit(rest_[0])) {
    cpp_int numerator;
    cpp_int denominator;
    size_t count;
    if (!ReadDigits(&numerator, &count) || !Take("/") ||
        !ReadDigits(&denominator, &count) || denominator == 0 ||
        numerator >= denominator) {
      return false;
    }
    out->value += cpp_rational(numerator, denominator);
    return true;
  }
  if (Take("/")) {
    SkipSpaces();
    MathAnswer denominator;
    if (!ReadDecimal(&denominator, &whole) || denominator.value == 0) {
      // "5/hour": not a fraction, a unit.
      rest_ = after;
      return true;
    }
    out->value /= denominator.value;
    out->num_decimals = -1;
    return true;
  }
  if (whole && Take("^")) {
    int exponent;
    if (!ReadExponent(&exponent)) return false;
    const cpp_int base = boost::multiprecision::numerator(out->value);
    const size_t digits = base.str().size();
    if (std::abs(exponent) > 4 * static_cast<int>(kMaxAnswerDigits) ||
        digits * static_cast<size_t>(std::abs(exponent)) >
            4 * kMaxAnswerDigits) {
      return false;
    }
    const cpp_int power = boost::multiprecision::pow(
        base, static_cast<unsigned>(std::abs(exponent)));
    if (exponent < 0 && power == 0) return false;
    out->value = exponent < 0 ? cpp_rational(1, power) : cpp_rational(power);
    return true;
  }
  rest_ = after;
  cpp_rational power;
  if (!ReadPowerOfTen(&power)) return false;
  if (power != 1) out->num_decimals = -1;
  out->value *= power;
  return true;
}

// Words that stand behind a number and are no unit.
bool IsUnit(absl::string_view unit) {
  static constexpr absl::string_view kNoUnits[] = {
      "or",      "and",      "to",       "not",     "minus",  "plus",
      "times",   "over",     "divided",  "by",      "pi",     "sqrt",
      "sin",     "cos",      "tan",      "log",     "ln",     "exp",
      "inf",     "infty",    "infinity", "squared", "cubed",  "factorial",
      "choose",  "mod",      "half",     "halves",  "third",  "thirds",
      "quarter", "quarters", "base",     "is",      "equals", "less",
      "more",    "than",     "least",    "most",    "about",  "if",
      "hundred", "hundreds"};
  static constexpr absl::string_view kLetters[] = {
      "m", "g", "s", "h", "L", "l", "A", "V", "W", "J", "N", "K", "C", "F"};
  if (unit.empty() || unit.size() > 40) return false;
  int num_words = 0;
  size_t i = 0;
  while (i < unit.size()) {
    const char c = unit[i];
    if (IsLetter(c)) {
      size_t end = i;
      while (end < unit.size() && IsLetter(unit[end])) ++end;
      const std::string word = absl::AsciiStrToLower(unit.substr(i, end - i));
      if (std::find(std::begin(kNoUnits), std::end(kNoUnits), word) !=
          std::end(kNoUnits)) {
        return false;
      }
      // A letter alone is more often a variable.
      if (end - i == 1 && std::find(std::begin(kLetters), std::end(kLetters),
                                    unit.substr(i, 1)) == std::end(kLetters)) {
        return false;
      }
      if (++num_words > 4) return false;
      i = end;
    } else if (c == '^' && num_words > 0) {
      size_t end = i + 1;
      while (end < unit.size() &&
             (IsDigit(unit[end]) || unit[end] == '{' || unit[end] == '}')) {
        ++end;
      }
      if (end == i + 1 || end > i + 4) return false;
      i = end;
    } else if (IsSpace(c) || c == '/' || (c == '.' && num_words > 0)) {
      ++i;
    } else {
      return false;
    }
  }
  return num_words > 0;
}

// cm^2 of " cm^{2} ", in the singular.
std::string NormalUnit(absl::string_view unit) {
  std::string out;
  for (const char c : unit) {
    if (IsSpace(c) || c == '{' || c == '}' || c == '.') continue;
    out.push_back(absl::ascii_tolower(static_cast<uint8_t>(c)));
  }
  if (out.size() > 3 && out.back() == 's' && out[out.size() - 2] != 's') {
    out.pop_back();
  }
  return out;
}

// Percent sign, degrees, scale words, unit; then the end.
bool NumberReader::ReadTail(MathAnswer* out) {
  static constexpr std::pair<absl::string_view, int> kScales[] = {
      {"thousand", 3}, {"million", 6}, {"billion", 9}, {"trillion", 12}};
  SkipSpaces();
  std::string lower = absl::AsciiStrToLower(rest_);
  if (absl::StartsWith(lower, "\\")) return false;
  for (const absl::string_view percent : {"%", "percent", "pct"}) {
    if (absl::StartsWith(lower, percent)) {
      out->percent = true;
      rest_.remove_prefix(percent.size());
      return Strip(rest_).empty();
    }
  }
  for (const auto& [word, exponent] : kScales) {
    if (absl::StartsWith(lower, word)) {
      out->value *= cpp_rational(PowerOfTen(exponent));
      out->num_decimals = -1;
      rest_.remove_prefix(word.size());
      absl::ConsumePrefix(&rest_, "s");
      SkipSpaces();
      break;
    }
  }
  if (Take("\xc2\xb0")) {  // Degrees.
    const std::string scale = absl::AsciiStrToLower(Strip(rest_));
    return scale.empty() || scale == "c" || scale == "f";
  }
  Take("$");
  SkipSpaces();
  if (rest_.empty()) return true;
  if (!IsUnit(rest_)) return false;
  out->unit = NormalUnit(rest_);
  return true;
}

bool NumberReader::ReadWhole(MathAnswer* out) {
  SkipSpaces();
  bool negative = Take("-");
  if (!negative) Take("+");
  SkipSpaces();
  Take("$");
  SkipSpaces();
  if (!negative) negative = Take("-");
  SkipSpaces();
  // Brackets of the grouping kind around the number: {5}.
  const bool braced = Take("{");
  if (!ReadMagnitude(out)) return false;
  if (braced && !Take("}")) return false;
  if (!ReadTail(out)) return false;
  if (negative) out->value = -out->value;
  return true;
}

bool ReadNumber(absl::string_view text, MathAnswer* out) {
  MathAnswer number;
  if (!NumberReader(text).ReadWhole(&number)) return false;
  out->kind = MathAnswer::Kind::kNumber;
  out->value = std::move(number.value);
  out->percent = number.percent;
  out->num_decimals = number.num_decimals;
  out->unit = std::move(number.unit);
  return true;
}

int DepthChange(char c) {
  if (c == '(' || c == '[' || c == '{' || c == kSetOpen) return 1;
  if (c == ')' || c == ']' || c == '}' || c == kSetClose) return -1;
  return 0;
}

// True if the first and last characters are brackets that belong together
// (of any kind: an interval may be half open).
bool IsBracketed(absl::string_view text) {
  if (text.size() < 2 || DepthChange(text.front()) != 1 ||
      DepthChange(text.back()) != -1) {
    return false;
  }
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    depth += DepthChange(text[i]);
    if (depth == 0) return i + 1 == text.size();
    if (depth < 0) return false;
  }
  return false;
}

// A word "and" or "or" at `i`; its size.
size_t Conjunction(absl::string_view text, size_t i) {
  for (const absl::string_view word : {"and", "or"}) {
    if (text.substr(i, word.size()) == word && i > 0 && IsSpace(text[i - 1]) &&
        i + word.size() < text.size() && IsSpace(text[i + word.size()])) {
      return word.size();
    }
  }
  return 0;
}

// Cuts at commas, semicolons and conjunctions outside of brackets. A comma
// between digits that are grouped in threes is part of a number, unless one
// with a space says that commas separate.
std::vector<absl::string_view> SplitItems(absl::string_view text) {
  std::vector<absl::string_view> items;
  int depth = 0;
  size_t start = 0;
  const auto cut = [&](size_t end, size_t next) {
    const absl::string_view item = Strip(text.substr(start, end - start));
    // "a, b, and c" has an empty item before the conjunction.
    if (!item.empty()) items.push_back(item);
    start = next;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    depth += DepthChange(text[i]);
    if (depth != 0) continue;
    if (text[i] == ',' || text[i] == ';') {
      cut(i, i + 1);
    } else if (const size_t size = Conjunction(text, i); size > 0) {
      cut(i, i + size);
      i += size - 1;
    }
  }
  cut(text.size(), text.size());
  return items;
}

// x of "x = 5", f(x) of "f(x) = 5", AB of "AB = 4".
bool IsName(absl::string_view text) {
  text = Strip(text);
  if (text.empty() || text.size() > 24 ||
      !(IsLetter(text[0]) || text[0] == '\\')) {
    return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    return IsLetter(c) || IsDigit(c) || IsSpace(c) || c == '_' || c == '{' ||
           c == '}' || c == '(' || c == ')' || c == '\\' || c == '\'';
  });
}

// Takes "x =" off. A chain or an equation between two values stays as it is,
// and is then no number.
absl::string_view StripAssignment(absl::string_view text) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos || equals == 0 ||
      text.find('=', equals + 1) != absl::string_view::npos ||
      absl::StrContains("<>!:", text.substr(equals - 1, 1)) ||
      !IsName(text.substr(0, equals))) {
    return text;
  }
  // "\\frac{1}{2} = 3" claims two values.
  MathAnswer value;
  if (ReadNumber(Strip(text.substr(0, equals)), &value)) return text;
  return Strip(text.substr(equals + 1));
}

bool FillAnswer(absl::string_view text, int depth, MathAnswer* out);

bool FillList(absl::string_view inside, char open, char close, int depth,
              MathAnswer* out) {
  const std::vector<absl::string_view> items = SplitItems(inside);
  if (items.empty() || items.size() > kMaxAnswerItems) return false;
  out->kind = MathAnswer::Kind::kList;
  out->open = open;
  out->close = close;
  for (const absl::string_view item : items) {
    if (!FillAnswer(item, depth + 1, &out->items.emplace_back())) return false;
  }
  return true;
}

bool FillAnswer(absl::string_view text, int depth, MathAnswer* out) {
  if (depth > kMaxAnswerDepth) return false;
  text = Strip(text);
  if (depth == 0) text = StripAssignment(text);
  text = Strip(text);
  if (text.empty()) return false;
  out->text = CanonicalText(text);
  if (ReadNumber(text, out)) return true;
  const auto bracket = [](char c) {
    return c == kSetOpen ? '{' : c == kSetClose ? '}' : c;
  };
  if (IsBracketed(text) && text.front() != '{') {
    const absl::string_view inside = text.substr(1, text.size() - 2);
    const std::vector<absl::string_view> items = SplitItems(inside);
    // (5) is 5, but {5} is a set.
    if (items.size() == 1 && text.front() == '(') {
      return FillAnswer(inside, depth + 1, out);
    }
    if (!items.empty()) {
      return FillList(inside, bracket(text.front()), bracket(text.back()),
                      depth, out);
    }
  }
  if (SplitItems(text).size() > 1) return FillList(text, 0, 0, depth, out);
  out->kind = MathAnswer::Kind::kText;
  return !out->text.empty();
}

// The decimal is the fraction's value, rounded or cut behind at least six
// digits.
bool DecimalApproximates(const cpp_rational& fraction,
                         const MathAnswer& decimal) {
  if (decimal.num_decimals < 6) return false;
  const cpp_rational scale(PowerOfTen(decimal.num_decimals));
  // In units of the last digit, away from 0.
  const cpp_rational missing =
      (fraction - decimal.value) * scale * (fraction < 0 ? -1 : 1);
  return missing >= cpp_rational(-1, 2) && missing < 1;
}

bool HasEndlessDecimals(const cpp_rational& value) {
  cpp_int denominator = boost::multiprecision::denominator(value);
  for (const int factor : {2, 5}) {
    while (denominator % factor == 0) denominator /= factor;
  }
  return denominator != 1;
}

bool SameNumber(const MathAnswer& gold, const MathAnswer& answer) {
  if (!gold.unit.empty() && !answer.unit.empty() && gold.unit != answer.unit) {
    return false;
  }
  if (gold.value == answer.value) return true;
  // 28% is 28 and 0.28, but 28 is not 0.28.
  if (gold.percent != answer.percent) {
    const MathAnswer& percent = gold.percent ? gold : answer;
    const MathAnswer& plain = gold.percent ? answer : gold;
    if (percent.value == plain.value * 100) return true;
  }
  return gold.num_decimals < 0 && HasEndlessDecimals(gold.value) &&
         DecimalApproximates(gold.value, answer);
}

bool IsUnordered(const MathAnswer& list) {
  return list.open == 0 || list.open == '{';
}

bool SameOrdered(const MathAnswer& gold, const MathAnswer& answer) {
  for (size_t i = 0; i < gold.items.size(); ++i) {
    if (!SameMathAnswer(gold.items[i], answer.items[i])) return false;
  }
  return true;
}

bool SameUnordered(const MathAnswer& gold, const MathAnswer& answer) {
  std::vector<bool> used(answer.items.size(), false);
  for (const MathAnswer& item : gold.items) {
    bool found = false;
    for (size_t i = 0; i < answer.items.size() && !found; ++i) {
      if (!used[i] && SameMathAnswer(item, answer.items[i])) {
        used[i] = true;
        found = true;
      }
    }
    if (!found) return false;
  }
  return true;
}

bool SameList(const MathAnswer& gold, const MathAnswer& answer) {
  if (gold.items.size() != answer.items.size()) return false;
  if (IsUnordered(gold) && IsUnordered(answer)) {
    return SameUnordered(gold, answer);
  }
  // Brackets mean something: an interval's ends, a set's or a tuple's order.
  // A bare list takes the order of what it is compared with, but is no set.
  const bool bare = gold.open == 0 || answer.open == 0;
  if (!bare && (gold.open != answer.open || gold.close != answer.close)) {
    return false;
  }
  return SameOrdered(gold, answer);
}

}  // namespace

std::optional<MathAnswer> ParseMathAnswer(absl::string_view text) {
  if (text.size() > kMaxAnswerBytes) return std::nullopt;
  MathAnswer answer;
  if (!FillAnswer(Normalize(text), /*depth=*/0, &answer)) return std::nullopt;
  return answer;
}

bool SameMathAnswer(const MathAnswer& gold, const MathAnswer& answer) {
  using Kind = MathAnswer::Kind;
  if (gold.kind == Kind::kNumber && answer.kind == Kind::kNumber) {
    return SameNumber(gold, answer);
  }
  if (gold.kind == Kind::kList && answer.kind == Kind::kList) {
    return SameList(gold, answer);
  }
  return gold.text == answer.text;
}

bool HasInvisibleCharacters(absl::string_view text) {
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    const auto byte = [&](size_t k) {
      return i + k < text.size() ? static_cast<uint8_t>(text[i + k]) : 0;
    };
    if (byte(0) == 0xc2 && byte(1) == 0xad) return true;  // Soft hyphen.
    if (byte(0) == 0xe2 && byte(1) == 0x80 &&
        ((byte(2) >= 0x8b && byte(2) <= 0x8f) ||   // U+200B to U+200F.
         (byte(2) >= 0xaa && byte(2) <= 0xae))) {  // U+202A to U+202E.
      return true;
    }
    if (byte(0) == 0xe2 && byte(1) == 0x81 && byte(2) >= 0xa0 &&
        byte(2) <= 0xaf) {  // U+2060 to U+206F.
      return true;
    }
    if (byte(0) == 0xef && byte(1) == 0xbb && byte(2) == 0xbf) return true;
    if (byte(0) == 0xf3 && byte(1) == 0xa0) return true;  // Tags.
  }
  for (const char c : text) {
    const uint8_t byte = static_cast<uint8_t>(c);
    if ((byte < 0x20 && !IsSpace(c)) || byte == 0x7f) return true;
  }
  return false;
}

}  // namespace ponder
