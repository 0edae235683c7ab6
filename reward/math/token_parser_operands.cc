#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "reward/math/number_text.h"
#include "reward/math/plain_text.h"
#include "reward/math/token_parser.h"
#include "reward/math/units.h"

namespace ponder::math {

// What is written from token `from` to here, without space and braces.
std::string TokenParser::RawText(size_t from) const {
  std::string raw;
  const size_t begin = tokens_[from].begin;
  const size_t end = pos_ > from ? tokens_[pos_ - 1].end : begin;
  for (size_t i = begin; i < end && i < lexed_.text.size(); ++i) {
    const char c = lexed_.text[i];
    if (c == ' ' || c == '{' || c == '}' || c == '\\' || c == '$') continue;
    raw += c;
  }
  return raw;
}

// Skips {...} or one token.
bool TokenParser::SkipGroup() {
  if (!Is(Token::kOpen, '{')) {
    if (Is(Token::kEnd) || Is(Token::kClose)) return false;
    Take();
    return true;
  }
  int depth = 0;
  do {
    if (Is(Token::kOpen, '{')) ++depth;
    if (Is(Token::kClose, '{')) --depth;
    if (Is(Token::kEnd)) return false;
    Take();
  } while (depth > 0);
  return true;
}

Id TokenParser::Primary() {
  const Deeper deeper(this);
  if (failed_) return kNoId;
  const Token& token = Peek();
  switch (token.type) {
    case Token::kNumber:
      return NumberWithMixed();
    case Token::kLetter:
      return Letter();
    case Token::kWord: {
      Take();
      const std::optional<Rational> number = NumberInWords(token.text);
      if (number.has_value()) return arena_.MakeNumber(*number, kInWords);
      if (Is(Token::kNumber) && ParseUnit(token.text).known) {
        // USD 36
        const Id amount = NumberWithMixed();
        if (failed_) return kNoId;
        return arena_.Make(Op::kUnit, {amount}, arena_.Name(token.text));
      }
      const Id counted = CountedThings(token.text);
      if (counted != kNoId) return counted;
      if (DeniesOrHedges(token.text)) return Fail();
      return arena_.MakeSymbol(token.text);
    }
    case Token::kPi:
      Take();
      return arena_.Make(Op::kPi);
    case Token::kEuler:
      Take();
      if (Is(Token::kUnderscore)) return arena_.MakeSymbol("e");
      return arena_.Make(Op::kEuler);
    case Token::kImaginary:
      Take();
      if (index_is_i_ > 0) return arena_.MakeSymbol("i");
      return arena_.Make(Op::kImaginary);
    case Token::kInfinity:
      Take();
      return arena_.Make(Op::kInfinity);
    case Token::kDots:
      Take();
      return arena_.Make(Op::kEllipsis);
    case Token::kEmptySet:
      Take();
      return arena_.Make(Op::kSet);
    case Token::kNamedSet:
      return NamedSet();
    case Token::kCurrency: {
      Take();
      const Id amount = SignedFactor();
      if (failed_) return kNoId;
      return arena_.Make(Op::kUnit, {amount}, arena_.Name(token.text));
    }
    case Token::kOpen:
      return Group();
    case Token::kBar:
      return Bars(Token::kBar, &bar_depth_, Function::kAbs);
    case Token::kNorm:
      return Bars(Token::kNorm, &norm_depth_, Function::kNorm);
    case Token::kFraction:
      return Fraction();
    case Token::kSqrt:
      return Root();
    case Token::kBinomial:
    case Token::kChoose: {
      Take();
      const Id above = Argument();
      const Id below = failed_ ? kNoId : Argument();
      if (failed_) return kNoId;
      return arena_.MakeFunction(Function::kBinomial, {above, below});
    }
    case Token::kFunction:
      return FunctionCall();
    case Token::kSum:
    case Token::kProduct:
      return Series();
    case Token::kIntegral:
      return Integral();
    case Token::kLimit:
      return Limit();
    case Token::kAccent:
      return Accent();
    case Token::kBegin:
      return Environment();
    default:
      return Fail();
  }
}

// "five apples"; kNoId if it is none.
Id TokenParser::CountedThings(absl::string_view words) {
  for (size_t cut = words.rfind(' '); cut != absl::string_view::npos;
       cut = cut == 0 ? absl::string_view::npos : words.rfind(' ', cut - 1)) {
    const std::optional<Rational> number = NumberInWords(words.substr(0, cut));
    if (!number.has_value()) continue;
    if (!MayBeUnit(words.substr(cut + 1))) return kNoId;
    return arena_.Make(Op::kUnit, {arena_.MakeNumber(*number)},
                       arena_.Name(words.substr(cut + 1)));
  }
  return kNoId;
}

Id TokenParser::NamedSet() {
  std::string name(Take().text);
  if (Is(Token::kCaret)) {
    Take();
    const size_t from = pos_;
    if (!SkipGroup()) return Fail();
    absl::StrAppend(&name, "^", RawText(from));
  }
  return arena_.Make(Op::kNamedSet, {}, arena_.Name(name));
}

// The digits of a number from here on, with its groups of thousands.
std::string TokenParser::TakeDigits() {
  CommaMeaning comma;
  comma.decimal = bracket_depth_ == 0 && reading_.comma_is_decimal;
  comma.thousands = !reading_.comma_is_list &&
                    (bracket_depth_ == 0 || reading_.brackets_thousands);
  TakenDigits taken = DigitsAt(Rest(), comma);
  pos_ += taken.num_tokens;
  return std::move(taken.digits);
}

Id TokenParser::Repeating(const std::string& digits,
                          const std::string& repeating) {
  std::optional<Rational> value = RepeatingDecimal(digits, repeating);
  return value.has_value() ? arena_.MakeNumber(*std::move(value)) : Beyond();
}

Id TokenParser::NumberOf(const std::string& digits, uint8_t flag) {
  std::optional<WrittenNumber> written = ParseNumber(digits);
  if (!written.has_value()) return Beyond();
  last_numeral_ = last_number_;
  last_number_ = digits;
  const Id number = arena_.MakeNumber(std::move(written->value), flag);
  if (written->exponent == 0) return number;
  const Id power = arena_.Make(
      Op::kPow, {arena_.MakeNumber(10), arena_.MakeNumber(written->exponent)});
  return arena_.Make(Op::kMul, {number, power});
}

// Without the fraction that may stand behind it.
Id TokenParser::PlainNumber() {
  const std::string digits(Take().text);
  if (digits.back() == '.') return Fail();
  return NumberOf(digits, IsDigits(digits) ? kAutoNumber : kDecimal);
}

Id TokenParser::NumberWithMixed() {
  const std::string digits = TakeDigits();
  const TakenDigits repeating = RepeatingDigitsAt(Rest(), digits);
  if (repeating.num_tokens > 0) {
    pos_ += repeating.num_tokens;
    return Repeating(digits, repeating.digits);
  }
  const size_t period = Is(Token::kDots) ? PeriodOf(digits) : 0;
  if (period > 0) {
    Take();
    return Repeating(digits, digits.substr(digits.size() - period));
  }
  if (digits.back() == '.') return Fail();
  const bool whole = IsDigits(digits);
  const Id number =
      NumberOf(digits, absl::StrContains(digits, ".") ? kDecimal : kAutoNumber);
  if (failed_ || !whole) return failed_ ? kNoId : number;
  const size_t mark = pos_;
  Id part = kNoId;
  if (Is(Token::kFraction)) {
    part = Fraction();
    if (failed_) return kNoId;
  } else if (Is(Token::kNumber) && Peek().space_before &&
             IsDigits(Peek().text) && Peek(1).type == Token::kSlash &&
             Peek(2).type == Token::kNumber && IsDigits(Peek(2).text)) {
    const Id above = NumberOf(std::string(Take().text), kAutoNumber);
    Take();
    const Id below = NumberOf(std::string(Take().text), kAutoNumber);
    if (failed_) return kNoId;
    part = arena_.Make(Op::kDiv, {above, below});
  }
  if (part == kNoId) return number;
  last_number_ = digits;
  if (arena_.Is(part, Op::kDiv) && IsLiteral(arena_.child(part, 0)) &&
      IsLiteral(arena_.child(part, 1)) &&
      fmpq_cmp(arena_.number(arena_.child(part, 0)).get(),
               arena_.number(arena_.child(part, 1)).get()) < 0) {
    return arena_.Make(Op::kAdd, {number, part});
  }
  pos_ = mark;
  return number;
}

// Letters that name functions where brackets follow.
bool TokenParser::IsApplied(absl::string_view letter) const {
  if (letter.size() != 1) return false;
  constexpr absl::string_view kAlways = "fghFGH";
  const bool always = absl::StrContains(kAlways, letter);
  // f{(x)}, as SymPy writes it.
  if (Is(Token::kOpen, '{') && Peek(1).type == Token::kOpen &&
      Peek(1).value == '(') {
    return always;
  }
  if (!Is(Token::kOpen, '(')) return false;
  if (always) return true;
  constexpr absl::string_view kOften = "PQRWTpquyzSCBNrst";
  return absl::StrContains(kOften, letter) &&
         (Peek(1).type == Token::kLetter || Peek(1).type == Token::kNumber) &&
         Peek(2).type == Token::kClose && Peek(1).text != letter &&
         !(Peek(1).type == Token::kNumber &&
           absl::StrContains("pqyzrst", letter));
}

Id TokenParser::Letter() {
  std::string name(Take().text);
  if (integral_depth_ > 0 && name == "d" &&
      (Is(Token::kLetter) || Is(Token::kAccent)) && !differential_found_) {
    differential_ = std::string(Take().text);
    differential_found_ = true;
    return arena_.MakeNumber(1);
  }
  if (Is(Token::kUnderscore) && Peek(1).type != Token::kEnd) {
    // f_1(x) and x_1
    Take();
    const size_t from = pos_;
    if (!SkipGroup()) return Fail();
    absl::StrAppend(&name, "_", RawText(from));
    if (name.size() > 2 && IsApplied(name.substr(0, 1))) {
      return Applied(name);
    }
    return arena_.MakeSymbol(name);
  }
  // C(10, 3)
  if (name == "C" && Is(Token::kOpen, '(') && Peek(1).type == Token::kNumber &&
      Peek(2).type == Token::kComma && Peek(3).type == Token::kNumber &&
      Peek(4).type == Token::kClose) {
    Take();
    const std::vector<Id> arguments = Arguments('(');
    if (failed_ || arguments.size() != 2) return Fail();
    return arena_.MakeFunction(Function::kBinomial, arguments);
  }
  if (name == "P" && Is(Token::kOpen, '(')) {
    const size_t mark = pos_;
    if (SkipProbability()) {
      return arena_.MakeSymbol(absl::StrCat("P", RawText(mark)));
    }
    pos_ = mark;
  }
  const std::string letter = name;
  // f^{-1}(x)
  if ((letter == "f" || letter == "g" || letter == "h") && Is(Token::kCaret) &&
      Peek(1).type == Token::kOpen && Peek(2).type == Token::kMinus &&
      Peek(3).text == "1" && Peek(4).type == Token::kClose &&
      Peek(5).type == Token::kOpen && Peek(5).value == '(') {
    for (int k = 0; k < 5; ++k) Take();
    name += "^-1";
  }
  while (Is(Token::kPrime)) {
    Take();
    name += '\'';
  }
  if (IsApplied(letter)) return Applied(name);
  return arena_.MakeSymbol(name);
}

// (X > 2) or (A | B), an event. False if it is something else.
bool TokenParser::SkipProbability() {
  int depth = 0;
  bool event = false;
  do {
    if (Is(Token::kEnd)) return false;
    if (Is(Token::kOpen, '(')) ++depth;
    if (Is(Token::kClose, '(')) --depth;
    event |= Is(Token::kRelation) || Is(Token::kBar) || Is(Token::kSuchThat);
    Take();
  } while (depth > 0);
  return event;
}

Id TokenParser::Applied(const std::string& name) {
  const bool braces = Accept(Token::kOpen, '{');
  Take();
  const std::vector<Id> arguments = Arguments('(');
  if (failed_ || (braces && !AcceptBrace())) return Fail();
  return arena_.Make(Op::kApply, arguments, arena_.Name(name));
}

// Behind an opening bracket, up to the closing one.
std::vector<Id> TokenParser::Arguments(int bracket) {
  ++bracket_depth_;
  const int bars = std::exchange(bar_depth_, 0);
  const Id list = Statement();
  bar_depth_ = bars;
  --bracket_depth_;
  if (failed_ || !Accept(Token::kClose, bracket)) {
    Fail();
    return {};
  }
  if (!arena_.Is(list, Op::kList)) return {list};
  const absl::Span<const Id> items = arena_.children(list);
  return {items.begin(), items.end()};
}

Id TokenParser::Accent() {
  const Token& accent = Take();
  const size_t from = pos_;
  const bool points =
      Is(Token::kOpen, '{') ? IsPoints(Peek(1)) : IsPoints(Peek());
  if (!SkipGroup()) return Fail();
  std::string name = RawText(from);
  if (name.empty()) return Fail();
  if (!points && accent.text != "vec" && !accent.text.empty()) {
    name = absl::StrCat(accent.text, " ", name);
  }
  return arena_.MakeSymbol(name);
}

}  // namespace ponder::math
