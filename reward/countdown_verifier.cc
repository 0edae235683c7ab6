#include "reward/countdown_verifier.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "boost/multiprecision/cpp_int.hpp"
#include "reward/boxes.h"
#include "reward/response_parts.h"

namespace ponder {
namespace {

using Rational = boost::multiprecision::cpp_rational;

// The other ways to write the operations.
struct Spelling {
  absl::string_view text;
  char sign;
};
constexpr Spelling kSpellings[] = {
    {"\\times", '*'},
    {"\\cdot", '*'},
    {"\\div", '/'},
    {"\xc3\x97", '*'},
    {"\xc2\xb7", '*'},
    {"\xc3\xb7", '/'},
    {"\xe2\x88\x92", '-'} /* U+2212 */,
    {"\\left(", '('},
    {"\\right)", ')'},
};

// expression = term (("+" | "-") term)*
// term       = factor (("*" | "/") factor)*
// factor     = number | "(" expression ")"
class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  // The value of the whole text; nothing, with reason(), if it has none.
  std::optional<Rational> Parse() {
    std::optional<Rational> value = Expression(/*depth=*/0);
    if (!value.has_value()) return std::nullopt;
    if (Peek() == '=') {
      Take();
      const std::optional<int64_t> stated = Number();
      if (!stated.has_value()) return std::nullopt;
      if (*value != *stated) {
        return Fail(absl::StrCat("the expression is not ", *stated));
      }
    }
    if (Peek() != '\0') return Fail(Unexpected());
    return value;
  }

  const std::vector<int64_t>& numbers() const { return numbers_; }
  const std::string& reason() const { return reason_; }

 private:
  std::optional<Rational> Expression(int depth) {
    std::optional<Rational> value = Term(depth);
    while (value.has_value() && (Peek() == '+' || Peek() == '-')) {
      const bool add = Take() == '+';
      const std::optional<Rational> right = Term(depth);
      if (!right.has_value()) return std::nullopt;
      value = add ? Rational(*value + *right) : Rational(*value - *right);
    }
    return value;
  }

  std::optional<Rational> Term(int depth) {
    std::optional<Rational> value = Factor(depth);
    while (value.has_value() && (Peek() == '*' || Peek() == '/')) {
      const bool multiply = Take() == '*';
      const std::optional<Rational> right = Factor(depth);
      if (!right.has_value()) return std::nullopt;
      if (!multiply && *right == 0) return Fail("it divides by zero");
      value = multiply ? Rational(*value * *right) : Rational(*value / *right);
    }
    return value;
  }

  std::optional<Rational> Factor(int depth) {
    if (Peek() == '(') {
      if (depth == kMaxCountdownDepth) {
        return Fail("the expression is beyond the limits");
      }
      Take();
      std::optional<Rational> value = Expression(depth + 1);
      if (!value.has_value()) return std::nullopt;
      if (Peek() != ')') return Fail("a parenthesis is not closed");
      Take();
      return value;
    }
    const std::optional<int64_t> number = Number();
    if (!number.has_value()) return std::nullopt;
    numbers_.push_back(*number);
    if (numbers_.size() > kMaxCountdownNumbers) {
      return Fail("the expression is beyond the limits");
    }
    return Rational(*number);
  }

  std::optional<int64_t> Number() {
    Peek();
    size_t end = at_;
    while (end < text_.size() &&
           absl::ascii_isdigit(static_cast<unsigned char>(text_[end]))) {
      ++end;
    }
    int64_t number = 0;
    if (end == at_) {
      reason_ = Unexpected();
      return std::nullopt;
    }
    if (!absl::SimpleAtoi(text_.substr(at_, end - at_), &number)) {
      reason_ = "the expression is beyond the limits";
      return std::nullopt;
    }
    at_ = end;
    return number;
  }

  // The next sign, spelled plainly, behind white space; 0 at the end.
  char Peek() {
    while (at_ < text_.size() &&
           absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) {
      ++at_;
    }
    if (at_ == text_.size()) return '\0';
    for (const Spelling& spelling : kSpellings) {
      if (text_.substr(at_, spelling.text.size()) == spelling.text) {
        length_ = spelling.text.size();
        return spelling.sign;
      }
    }
    length_ = 1;
    return text_[at_];
  }

  char Take() {
    const char sign = Peek();
    at_ += length_;
    return sign;
  }

  std::string Unexpected() {
    if (Peek() == '\0') return "the expression ends too early";
    return absl::StrCat("\"", text_.substr(at_, length_),
                        "\" has no place at character ", at_ + 1);
  }

  std::nullopt_t Fail(std::string reason) {
    reason_ = std::move(reason);
    return std::nullopt;
  }

  const absl::string_view text_;
  size_t at_ = 0;
  size_t length_ = 0;  // Of what Peek() saw, in bytes.
  std::vector<int64_t> numbers_;
  std::string reason_;
};

std::optional<absl::string_view> DeclaredExpression(absl::string_view answer) {
  if (const auto tag = AnswerTag(answer); tag.has_value()) {
    if (const auto box = LastBox(*tag); box.has_value()) return box->content;
    return tag;
  }
  if (const auto box = LastBox(answer); box.has_value()) return box->content;
  return std::nullopt;
}

}  // namespace

CountdownResult VerifyCountdown(int64_t target,
                                const std::vector<int64_t>& numbers,
                                absl::string_view response,
                                bool thought_opened) {
  CountdownResult result;
  if (numbers.empty() || numbers.size() > kMaxCountdownNumbers ||
      std::any_of(numbers.begin(), numbers.end(),
                  [](int64_t number) { return number < 0; })) {
    result.verdict = CountdownVerdict::kUnscorable;
    result.reason = absl::StrCat("a problem has 1 to ", kMaxCountdownNumbers,
                                 " numbers of at least 0, this one has ",
                                 absl::StrJoin(numbers, ", "));
    return result;
  }
  const ResponseParts parts = SplitResponse(response, thought_opened);
  if (parts.has_thought && !parts.thought_closed) {
    result.reason = "the thought was not closed";
    return result;
  }
  const std::optional<absl::string_view> declared =
      DeclaredExpression(parts.answer);
  if (!declared.has_value()) {
    result.reason = "there is no expression in a box or in answer tags";
    return result;
  }
  const absl::string_view expression = absl::StripAsciiWhitespace(*declared);
  result.extracted = std::string(expression.substr(0, kMaxCountdownBytes));
  if (expression.size() > kMaxCountdownBytes) {
    result.reason = "the expression is beyond the limits";
    return result;
  }
  Parser parser(expression);
  const std::optional<Rational> value = parser.Parse();
  if (!value.has_value()) {
    result.reason = parser.reason();
    return result;
  }
  std::vector<int64_t> wanted = numbers;
  std::vector<int64_t> used = parser.numbers();
  std::sort(wanted.begin(), wanted.end());
  std::sort(used.begin(), used.end());
  if (used != wanted) {
    result.reason =
        absl::StrCat("it uses ", absl::StrJoin(used, ", "), ", wanted ",
                     absl::StrJoin(wanted, ", "), ", each exactly once");
  } else if (*value != target) {
    result.reason = absl::StrCat("its value is not ", target);
  } else {
    result.verdict = CountdownVerdict::kCorrect;
    result.reason = "the expression uses each number once and hits the target";
  }
  return result;
}

}  // namespace ponder
