#include "policy/jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "policy/jinja/limits.h"
#include "policy/jinja/python_text.h"

namespace ponder::jinja {
namespace {

// Longest first.
constexpr absl::string_view kOperators[] = {
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

bool IsNameStart(char c) { return absl::ascii_isalpha(c) || c == '_'; }
bool IsNamePart(char c) { return absl::ascii_isalnum(c) || c == '_'; }

// Length of the white space (str.isspace()) that `text` begins with.
size_t SpaceLength(absl::string_view text) {
  return text.size() - Strip(text, Side::kLeft, std::nullopt).size();
}

// Digits with single underscores between them; 0 if there are none.
size_t DigitsLength(absl::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    if (absl::ascii_isdigit(text[length])) {
      ++length;
    } else if (text[length] == '_' && length > 0 && length + 1 < text.size() &&
               absl::ascii_isdigit(text[length + 1])) {
      ++length;
    } else {
      break;
    }
  }
  return length;
}

// Length of the float that `text` begins with; 0 if it begins with none.
size_t FloatLength(absl::string_view text) {
  size_t length = DigitsLength(text);
  if (length == 0) return 0;
  bool is_float = false;
  if (length < text.size() && text[length] == '.') {
    if (const size_t digits = DigitsLength(text.substr(length + 1))) {
      length += 1 + digits;
      is_float = true;
    }
  }
  if (length < text.size() && absl::ascii_tolower(text[length]) == 'e') {
    size_t exponent = length + 1;
    if (exponent < text.size() &&
        (text[exponent] == '+' || text[exponent] == '-')) {
      ++exponent;
    }
    if (const size_t digits = DigitsLength(text.substr(exponent))) {
      length = exponent + digits;
      is_float = true;
    }
  }
  return is_float ? length : 0;
}

class Lexer {
 public:
  Lexer(std::string source, absl::string_view where)
      : source_(std::move(source)), where_(where) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (position_ < source_.size()) PONDER_RETURN_IF_ERROR(ReadOutside());
    Push(Token::Kind::kEnd);
    return std::move(tokens_);
  }

 private:
  absl::string_view rest() const {
    return absl::string_view(source_).substr(position_);
  }
  absl::Status Error(absl::string_view message) const {
    return ErrorAt(where_, line_, message);
  }

  void Push(Token::Kind kind, absl::string_view spelling = "",
            Value value = Value()) {
    tokens_.push_back({kind, line_, std::string(spelling), std::move(value)});
  }

  // Goes on by `num_bytes`, which are of the source.
  void Skip(size_t num_bytes) {
    for (const char c : rest().substr(0, num_bytes)) line_ += c == '\n';
    if (num_bytes > 0) {
      line_starting_ = source_[position_ + num_bytes - 1] == '\n';
    }
    position_ += num_bytes;
  }

  // Behind a tag's end: "-" takes all white space, else a line end goes.
  void SkipBehind(char sign, bool trim_line_end) {
    if (sign == '-') {
      Skip(SpaceLength(rest()));
    } else if (sign != '+' && trim_line_end && absl::StartsWith(rest(), "\n")) {
      Skip(1);
    }
  }

  // Text up to the next tag, and the tag.
  absl::Status ReadOutside() {
    size_t begin = 0;
    const absl::string_view text = rest();
    char kind = 0;
    for (;; ++begin) {
      begin = text.find('{', begin);
      if (begin == absl::string_view::npos || begin + 1 >= text.size()) {
        begin = text.size();
        break;
      }
      kind = text[begin + 1];
      if (kind == '{' || kind == '%' || kind == '#') break;
    }
    if (begin == text.size()) {
      if (!text.empty()) Push(Token::Kind::kText, "", Value(text));
      Skip(text.size());
      return absl::OkStatus();
    }
    const char sign = begin + 2 < text.size() &&
                              (text[begin + 2] == '-' || text[begin + 2] == '+')
                          ? text[begin + 2]
                          : '\0';
    absl::string_view shown = text.substr(0, begin);
    if (sign == '-') {
      shown = Strip(shown, Side::kRight, std::nullopt);
    } else if (sign != '+' && kind != '{') {
      const size_t line_end = shown.rfind('\n');
      const bool has_line_end = line_end != absl::string_view::npos;
      const size_t line_begin = has_line_end ? line_end + 1 : 0;
      // Not at a line's begin where another tag is in front.
      if ((has_line_end || line_starting_) &&
          SpaceLength(shown.substr(line_begin)) == shown.size() - line_begin) {
        shown = shown.substr(0, line_begin);
      }
    }
    if (!shown.empty()) Push(Token::Kind::kText, "", Value(shown));
    Skip(begin);
    const int tag_line = line_;
    Skip(sign == '\0' ? 2 : 3);
    if (kind == '#') return ReadComment(tag_line);
    if (kind == '%') {
      const absl::string_view inside = Strip(rest(), Side::kLeft, std::nullopt);
      if (absl::StartsWith(inside, "raw") &&
          (inside.size() == 3 || !IsNamePart(inside[3]))) {
        return Error("{% raw %} is not supported");
      }
    }
    Push(kind == '{' ? Token::Kind::kVariableBegin : Token::Kind::kBlockBegin);
    return ReadTag(kind == '{');
  }

  absl::Status ReadComment(int tag_line) {
    const size_t end = rest().find("#}");
    if (end == absl::string_view::npos) {
      return ErrorAt(where_, tag_line, "the comment {# has no end #}");
    }
    const char sign = end > 0 ? rest()[end - 1] : '\0';
    Skip(end + 2);
    SkipBehind(sign, /*trim_line_end=*/true);
    return absl::OkStatus();
  }

  // The inside of {{ }} or {% %}, its end included.
  absl::Status ReadTag(bool is_variable) {
    const absl::string_view end = is_variable ? "}}" : "%}";
    std::vector<char> open;  // Brackets; the tag does not end within them.
    const int tag_line = line_;
    while (true) {
      Skip(SpaceLength(rest()));
      const absl::string_view text = rest();
      if (text.empty()) {
        return ErrorAt(where_, tag_line,
                       absl::StrCat("the tag has no end ", end));
      }
      if (open.empty()) {
        const bool has_sign =
            text[0] == '-' || (text[0] == '+' && !is_variable);
        if (absl::StartsWith(text.substr(has_sign ? 1 : 0), end)) {
          Push(is_variable ? Token::Kind::kVariableEnd
                           : Token::Kind::kBlockEnd);
          Skip(has_sign ? 3 : 2);
          SkipBehind(has_sign ? text[0] : '\0', !is_variable);
          return absl::OkStatus();
        }
      }
      PONDER_RETURN_IF_ERROR(ReadToken(text, &open));
    }
  }

  absl::Status ReadToken(absl::string_view text, std::vector<char>* open) {
    if (absl::ascii_isdigit(text[0])) return ReadNumber(text);
    if (IsNameStart(text[0])) {
      size_t length = 1;
      while (length < text.size() && IsNamePart(text[length])) ++length;
      Push(Token::Kind::kName, text.substr(0, length));
      Skip(length);
      return absl::OkStatus();
    }
    if (text[0] == '\'' || text[0] == '"') return ReadString(text);
    for (const absl::string_view spelling : kOperators) {
      if (!absl::StartsWith(text, spelling)) continue;
      PONDER_RETURN_IF_ERROR(Balance(spelling[0], open));
      Push(Token::Kind::kOperator, spelling);
      Skip(spelling.size());
      return absl::OkStatus();
    }
    size_t num_bytes = 0;
    FirstCodePointOf(text, &num_bytes);
    return Error(absl::StrCat("the character ",
                              TextRepr(text.substr(0, num_bytes)),
                              " is not understood here"));
  }

  absl::Status Balance(char bracket, std::vector<char>* open) const {
    if (bracket == '(' || bracket == '[' || bracket == '{') {
      open->push_back(bracket == '(' ? ')' : bracket == '[' ? ']' : '}');
    } else if (bracket == ')' || bracket == ']' || bracket == '}') {
      if (open->empty() || open->back() != bracket) {
        return Error(absl::StrCat("'", std::string(1, bracket),
                                  "' closes nothing that is open"));
      }
      open->pop_back();
    }
    return absl::OkStatus();
  }

  absl::Status ReadNumber(absl::string_view text) {
    // A number behind a dot is an index: "a.1.2".
    const bool behind_dot = position_ > 0 && source_[position_ - 1] == '.';
    if (const size_t length = behind_dot ? 0 : FloatLength(text)) {
      const std::optional<double> value =
          ParsePythonFloat(text.substr(0, length));
      if (!value.has_value()) return Error("this number is not understood");
      Push(Token::Kind::kNumber, text.substr(0, length), Value(*value));
      Skip(length);
      return absl::OkStatus();
    }
    size_t length = DigitsLength(text);
    if (text[0] == '0') {
      if (text.size() > 1 && absl::StrContains("xXoObB", text.substr(1, 1))) {
        return Error("only decimal numbers are supported");
      }
      // As Python: 0 has no other digits behind it.
      length = 1;
      while (length < text.size() && text[length] == '0') ++length;
    }
    std::string digits =
        absl::StrReplaceAll(text.substr(0, length), {{"_", ""}});
    int64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      return Error(absl::StrCat("the number ",
                                text.substr(0, std::min<size_t>(length, 40)),
                                " is beyond 64 bits"));
    }
    Push(Token::Kind::kNumber, text.substr(0, length), Value(value));
    Skip(length);
    return absl::OkStatus();
  }

  absl::Status ReadString(absl::string_view text) {
    size_t length = 1;
    while (length < text.size() && text[length] != text[0]) {
      length += text[length] == '\\' ? 2 : 1;
    }
    if (length >= text.size()) return Error("the string has no end");
    PONDER_ASSIGN_OR_RETURN(std::string value,
                            Unescape(text.substr(1, length - 1)));
    Push(Token::Kind::kString, text.substr(0, length + 1),
         Value(std::move(value)));
    Skip(length + 1);
    return absl::OkStatus();
  }

  // Escapes of Python; a backslash before anything else stays.
  absl::StatusOr<std::string> Unescape(absl::string_view text) const {
    std::string result;
    while (!text.empty()) {
      if (text[0] != '\\') {
        const size_t end = std::min(text.find('\\'), text.size());
        absl::StrAppend(&result, text.substr(0, end));
        text.remove_prefix(end);
        continue;
      }
      text.remove_prefix(1);
      const char c = text[0];
      constexpr absl::string_view kNames = "\\'\"abfnrtv";
      constexpr absl::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
      if (const size_t i = kNames.find(c); i != absl::string_view::npos) {
        result.push_back(kMeanings[i]);
        text.remove_prefix(1);
      } else if (c == '\n') {
        text.remove_prefix(1);
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const size_t num_digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        PONDER_RETURN_IF_ERROR(
            AppendCode(text.substr(1, num_digits), 16, num_digits, &result));
        text.remove_prefix(1 + num_digits);
      } else if (c >= '0' && c <= '7') {
        size_t num_digits = 1;
        while (num_digits < 3 && num_digits < text.size() &&
               text[num_digits] >= '0' && text[num_digits] <= '7') {
          ++num_digits;
        }
        PONDER_RETURN_IF_ERROR(
            AppendCode(text.substr(0, num_digits), 8, num_digits, &result));
        text.remove_prefix(num_digits);
      } else if (c == 'N') {
        return Error("\\N{name} in a string is not supported");
      } else {
        // Jinja writes what is not ASCII as an escape before it resolves
        // escapes, so a backslash in front makes that visible.
        result.push_back('\\');
        if (!absl::ascii_isascii(c)) {
          size_t num_bytes = 0;
          const uint32_t code = FirstCodePointOf(text, &num_bytes);
          absl::StrAppend(&result, code < 0x100 ? absl::StrFormat("x%02x", code)
                                   : code < 0x10000
                                       ? absl::StrFormat("u%04x", code)
                                       : absl::StrFormat("U%08x", code));
          text.remove_prefix(num_bytes);
        }
      }
    }
    return result;
  }

  absl::Status AppendCode(absl::string_view digits, int base, size_t num_digits,
                          std::string* result) const {
    uint32_t code = 0;
    const auto [end, error] = std::from_chars(
        digits.data(), digits.data() + digits.size(), code, base);
    if (digits.size() != num_digits || error != std::errc() ||
        end != digits.data() + digits.size() || code > 0x10FFFF ||
        (code >= 0xD800 && code < 0xE000)) {
      return Error(absl::StrCat("the escape \\...", digits,
                                " in a string is no character"));
    }
    AppendUtf8(code, result);
    return absl::OkStatus();
  }

  const std::string source_;
  const absl::string_view where_;
  size_t position_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // Nothing of this line was read yet.
  std::vector<Token> tokens_;
};

}  // namespace

absl::Status ErrorAt(absl::string_view where, int line,
                     absl::string_view message) {
  return absl::InvalidArgumentError(
      absl::StrCat(where, ":", line, ": ", message));
}

absl::StatusOr<std::vector<Token>> Tokenize(absl::string_view source,
                                            absl::string_view where) {
  if (source.size() > kMaxTemplateBytes) {
    return ErrorAt(where, 1,
                   absl::StrCat("the template has ", source.size(),
                                " bytes, more than ", kMaxTemplateBytes));
  }
  if (!IsWellFormedUtf8(source)) {
    return ErrorAt(where, 1, "the template is not UTF-8");
  }
  std::string text =
      absl::StrReplaceAll(source, {{"\r\n", "\n"}, {"\r", "\n"}});
  if (absl::EndsWith(text, "\n")) text.pop_back();
  return Lexer(std::move(text), where).Run();
}

}  // namespace ponder::jinja
