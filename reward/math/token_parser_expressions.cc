#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "reward/math/matrices.h"
#include "reward/math/number_text.h"
#include "reward/math/token_parser.h"
#include "reward/math/unit_text.h"
#include "reward/math/units.h"

namespace ponder::math {

Id TokenParser::Additive() {
  const Deeper deeper(this);
  if (failed_) return kNoId;
  std::vector<Id> terms;
  terms.push_back(Product());
  while (!failed_ && !differential_found_) {
    if (Accept(Token::kPlus)) {
      terms.push_back(Product());
    } else if (Is(Token::kMinus)) {
      Take();
      const Id term = Product();
      if (failed_) return kNoId;
      if (terms.size() == 1 && arena_.Is(terms[0], Op::kNamedSet)) {
        terms[0] = arena_.Make(Op::kSetMinus, {terms[0], term});
        continue;
      }
      terms.push_back(Negated(term));
    } else if (Is(Token::kPlusMinus) || Is(Token::kMinusPlus)) {
      const bool minus = Take().type == Token::kMinusPlus;
      const Id term = Product();
      if (failed_) return kNoId;
      terms.push_back(arena_.Make(Op::kPlusMinus, {Scalar(term)}, 0, minus));
    } else {
      break;
    }
  }
  if (failed_) return kNoId;
  Id sum = terms[0];
  if (terms.size() > 1) {
    // A unit behind a sum belongs to all of it.
    Id& last = terms.back();
    const int32_t unit =
        arena_.Is(last, Op::kUnit) ? arena_.node(last).value : -1;
    const bool alone =
        unit >= 0 && std::none_of(terms.begin(), terms.end() - 1, [&](Id t) {
          return arena_.Is(t, Op::kUnit);
        });
    if (alone) last = arena_.child(last, 0);
    const bool degrees = std::all_of(terms.begin(), terms.end(), [&](Id term) {
      return arena_.Is(term, Op::kDegree);
    });
    for (Id& term : terms) {
      term = degrees ? arena_.child(term, 0) : Scalar(term);
    }
    sum = arena_.Make(Op::kAdd, terms);
    if (degrees) sum = arena_.Make(Op::kDegree, {sum});
    if (alone) sum = arena_.Make(Op::kUnit, {sum}, unit);
  }
  if (Is(Token::kChoose) || Is(Token::kOver)) {
    const bool over = Take().type == Token::kOver;
    const Id below = Additive();
    if (failed_) return kNoId;
    return over ? Divide(sum, below)
                : arena_.MakeFunction(Function::kBinomial, {sum, below});
  }
  return sum;
}

// -a; a unit, a percent sign and a degree sign stay outside.
Id TokenParser::Negated(Id a) {
  if (arena_.Is(a, Op::kUnit) || arena_.Is(a, Op::kPercent) ||
      arena_.Is(a, Op::kDegree)) {
    return arena_.Make(arena_.op(a), {Negated(arena_.child(a, 0))},
                       arena_.node(a).value);
  }
  if (arena_.Is(a, Op::kNumber)) {
    Rational value = arena_.number(a);
    fmpq_neg(value.get(), value.get());
    return arena_.MakeNumber(std::move(value), arena_.node(a).flag & kDecimal);
  }
  return arena_.MakeNeg(Scalar(a));
}

// {x} between operators is a group.
Id TokenParser::Scalar(Id a) const {
  if (arena_.Is(a, Op::kSet) && arena_.node(a).count == 1)
    return arena_.child(a, 0);
  return a;
}

Id TokenParser::SignedFactor() {
  if (Is(Token::kPlus)) {
    Take();
    return SignedFactor();
  }
  if (Is(Token::kMinus)) {
    const Deeper deeper(this);
    if (failed_) return kNoId;
    Take();
    const Id factor = SignedFactor();
    return failed_ ? kNoId : Negated(factor);
  }
  if (Is(Token::kPlusMinus) || Is(Token::kMinusPlus)) {
    const bool minus = Take().type == Token::kMinusPlus;
    // \pm 2\sqrt{3}: the sign is of the whole product.
    const Id factor = ImplicitProduct();
    if (failed_) return kNoId;
    return arena_.Make(Op::kPlusMinus, {Scalar(factor)}, 0, minus);
  }
  return Factor();
}

bool TokenParser::StartsFactor() const {
  if (stop_at_ > 0 && pos_ == stop_at_) return false;
  switch (Peek().type) {
    case Token::kNumber:
    case Token::kLetter:
    case Token::kWord:
    case Token::kPi:
    case Token::kEuler:
    case Token::kImaginary:
    case Token::kInfinity:
    case Token::kOpen:
    case Token::kFraction:
    case Token::kSqrt:
    case Token::kBinomial:
    case Token::kFunction:
    case Token::kSum:
    case Token::kProduct:
    case Token::kIntegral:
    case Token::kLimit:
    case Token::kAccent:
    case Token::kNamedSet:
    case Token::kBegin:
    case Token::kDots:
    case Token::kCurrency:
    case Token::kEmptySet:
      return true;
    case Token::kNorm:
      return norm_depth_ == 0;
    case Token::kBar:
      // Inside of bars a bar closes them.
      return bar_depth_ == 0 && builder_ == 0;
    default:
      return false;
  }
}

Id TokenParser::Product() {
  const Deeper deeper(this);
  if (failed_) return kNoId;
  bool left_was_group = Is(Token::kOpen, '{');
  Id left = SignedFactor();
  while (!failed_) {
    if (Accept(Token::kTimes)) {
      // 3 \times \cdots
      const Id right = SignedFactor();
      if (failed_) return kNoId;
      left = Multiply(left, right);
    } else if (Is(Token::kSlash)) {
      Take();
      const bool literals = IsLiteral(left) && Is(Token::kNumber);
      const Id right = literals ? SignedFactor() : SignedImplicit();
      if (failed_) return kNoId;
      left = Divide(left, right);
    } else if (Is(Token::kMod)) {
      Take();
      const Id right = SignedFactor();
      if (failed_) return kNoId;
      left = arena_.MakeFunction(Function::kMod, {Scalar(left), Scalar(right)});
    } else if (IsUnionLetter()) {
      Take();
      const Id right = Factor();
      if (failed_) return kNoId;
      left = arena_.Make(Op::kUnion, {left, right});
    } else if (AtUnit(left)) {
      left = WithUnit(left);
    } else if (StartsFactor()) {
      if (Is(Token::kNumber) &&
          (IsLiteral(left) || arena_.Is(left, Op::kUnit)) &&
          !IsMixedNumberAt(Rest())) {
        return Fail();
      }
      // 1{2} shows 12.
      if (Is(Token::kOpen, '{') && Peek(1).type == Token::kNumber &&
          (IsLiteral(left) || left_was_group)) {
        return Fail();
      }
      left_was_group = Is(Token::kOpen, '{');
      const Id right = Factor();
      // 5 (five)
      const bool in_words = !failed_ && arena_.Is(right, Op::kNumber) &&
                            (arena_.node(right).flag & kInWords) != 0;
      if (failed_ || in_words) return Fail();
      left = Multiply(left, right);
    } else {
      break;
    }
  }
  return failed_ ? kNoId : left;
}

// (-\infty, 1)U(2, 3)
bool TokenParser::IsUnionLetter() const {
  return Is(Token::kLetter) && Peek().text == "U" && pos_ > 0 &&
         tokens_[pos_ - 1].type == Token::kClose &&
         Peek(1).type == Token::kOpen;
}

Id TokenParser::SignedImplicit() {
  if (Accept(Token::kMinus)) {
    const Id product = SignedImplicit();
    return failed_ ? kNoId : Negated(product);
  }
  Accept(Token::kPlus);
  return ImplicitProduct();
}

// Factors without a sign between them: the 2x of 1/2x, the argument of sin.
Id TokenParser::ImplicitProduct(bool argument) {
  const Deeper deeper(this);
  if (failed_) return kNoId;
  Id left = Factor();
  while (!failed_ && StartsFactor() && !AtUnit(left) && !IsUnionLetter()) {
    if (argument && (Is(Token::kFunction) || Is(Token::kWord))) break;
    if (Is(Token::kNumber) && !IsMixedNumberAt(Rest())) return Fail();
    const Id right = Factor();
    if (failed_) return kNoId;
    left = Multiply(left, right);
  }
  return failed_ ? kNoId : left;
}

Id TokenParser::Multiply(Id left, Id right) {
  left = Scalar(left);
  right = Scalar(right);
  // 4 cm \times 5 cm
  if (arena_.Is(right, Op::kUnit) && arena_.Is(left, Op::kUnit)) {
    const std::string unit =
        absl::StrCat(arena_.name(left), " ", arena_.name(right));
    return arena_.Make(
        Op::kUnit, {Multiply(arena_.child(left, 0), arena_.child(right, 0))},
        arena_.Name(unit));
  }
  // 2 \cdot 30^\circ
  if (arena_.Is(right, Op::kDegree) && !arena_.Is(left, Op::kDegree)) {
    return arena_.Make(Op::kDegree, {Multiply(left, arena_.child(right, 0))});
  }
  // 3 \times 10^2 cm
  if (arena_.Is(right, Op::kUnit) && !arena_.Is(left, Op::kUnit)) {
    return arena_.Make(Op::kUnit, {Multiply(left, arena_.child(right, 0))},
                       arena_.node(right).value);
  }
  if (arena_.Is(left, Op::kMul) && arena_.node(left).flag == 0) {
    const absl::Span<const Id> parts = arena_.children(left);
    std::vector<Id> all(parts.begin(), parts.end());
    all.push_back(right);
    return arena_.Make(Op::kMul, all);
  }
  return arena_.Make(Op::kMul, {left, right});
}

Id TokenParser::Divide(Id left, Id right) {
  left = Scalar(left);
  right = Scalar(right);
  if (arena_.Is(right, Op::kUnit) && !arena_.Is(left, Op::kUnit)) {
    return arena_.Make(Op::kUnit, {Divide(left, arena_.child(right, 0))},
                       arena_.node(right).value);
  }
  if (arena_.Is(left, Op::kDegree) && !arena_.Is(right, Op::kDegree)) {
    return arena_.Make(Op::kDegree, {Divide(arena_.child(left, 0), right)});
  }
  return arena_.Make(Op::kDiv, {left, right});
}

bool TokenParser::IsLiteral(Id id) const {
  return arena_.Is(id, Op::kNumber) &&
         (arena_.node(id).flag & kAutoNumber) != 0;
}

bool TokenParser::IsPoints(const Token& token) const {
  return token.type == Token::kWord && token.text[0] >= 'A' &&
         token.text[0] <= 'Z';
}

bool TokenParser::AtUnit(Id left) const {
  if (arena_.Is(left, Op::kUnit)) {
    // $5 million, $5 per hour
    return Is(Token::kWord) && (absl::StartsWith(Peek().text, "per ") ||
                                absl::StrContains(Peek().text, "illion") ||
                                absl::StartsWith(Peek().text, "thousand"));
  }
  if (arena_.Is(left, Op::kSymbol)) return false;
  if (Is(Token::kCurrency)) {
    // "$5 $" closes a formula; "5\$ and" is a unit.
    return arena_.Is(left, Op::kNumber);
  }
  if (Is(Token::kWord)) return !IsPoints(Peek()) || IsUnitWord(Peek().text);
  if (!reading_.letters_are_units || !Is(Token::kLetter)) return false;
  return IsUnitWord(Peek().text) && !arena_.Contains(left, Op::kSymbol);
}

Id TokenParser::WithUnit(Id left) {
  std::string name(Take().text);
  const int64_t scale = TakeScale(&name);
  std::string first;  // The unit that is there already.
  if (arena_.Is(left, Op::kUnit)) {
    first = arena_.name(left);
    left = arena_.child(left, 0);
  }
  if (scale != 1) left = Multiply(left, arena_.MakeNumber(scale));
  if (!first.empty()) {
    absl::StrAppend(&first, name.empty() ? "" : " ", name);
    return arena_.Make(Op::kUnit, {Scalar(left)}, arena_.Name(first));
  }
  if (name.empty()) return left;
  if (name == "base" && Is(Token::kNumber) && IsLiteral(left)) {
    // 52 base 8
    const Id radix = PlainNumber();
    if (failed_) return kNoId;
    return arena_.Make(Op::kBased, {left, radix}, arena_.Name(last_numeral_));
  }
  if (IsOrdinalEnding(name)) return left;
  if (!MayBeUnit(name)) return Fail();
  const std::optional<TakenUnit> unit = UnitAt(Rest(), std::move(name));
  if (!unit.has_value()) return Fail();
  pos_ += unit->num_tokens;
  return arena_.Make(Op::kUnit, {Scalar(left)}, arena_.Name(unit->name));
}

Id TokenParser::Factor() {
  const Deeper deeper(this);
  if (failed_) return kNoId;
  Id base = Primary();
  while (!failed_) {
    if (Is(Token::kCaret)) {
      Take();
      base = Power(base);
    } else if (Is(Token::kUnderscore)) {
      base = Subscript(base);
    } else if (Is(Token::kBang)) {
      int count = 0;
      while (Accept(Token::kBang)) ++count;
      base = Scalar(base);
      if (count == 2) {
        base = arena_.MakeFunction(Function::kDoubleFactorial, {base});
        continue;
      }
      for (; count > 0; --count) {
        base = arena_.MakeFunction(Function::kFactorial, {base});
      }
    } else if (Is(Token::kPercent)) {
      Take();
      if (arena_.Is(base, Op::kPercent)) return Fail();
      base = arena_.Make(Op::kPercent, {Scalar(base)});
    } else if (Is(Token::kDegree)) {
      Take();
      base = Degrees(base);
    } else {
      break;
    }
  }
  return failed_ ? kNoId : base;
}

// Of an angle, or of temperature.
Id TokenParser::Degrees(Id base) {
  if (Is(Token::kLetter) && (Peek().text == "C" || Peek().text == "F")) {
    return arena_.Make(Op::kUnit, {Scalar(base)},
                       arena_.Name(absl::StrCat("degree ", Take().text)));
  }
  return arena_.Make(Op::kDegree, {Scalar(base)});
}

Id TokenParser::Power(Id base) {
  Id exponent = kNoId;
  if (Is(Token::kOpen, '{')) {
    Take();
    if (Is(Token::kDegree)) {
      Take();
      if (!AcceptBrace()) return Fail();
      return Degrees(base);
    }
    if (Is(Token::kWord) && IsLiteral(base) && IsOrdinalEnding(Peek().text)) {
      Take();
      return AcceptBrace() ? base : Fail();
    }
    if (Is(Token::kPrime)) {
      while (Accept(Token::kPrime)) {
      }
      if (!AcceptBrace() || !arena_.Is(base, Op::kSymbol)) return Fail();
      return arena_.MakeSymbol(absl::StrCat(arena_.name(base), "'"));
    }
    if (arena_.Is(base, Op::kMatrix) && IsTransposition()) {
      Take();
      return AcceptBrace() ? Transposed(&arena_, base) : Fail();
    }
    if (Is(Token::kMinus) && Peek(1).type == Token::kClose)
      return Fail();  // x^{-}
    exponent = Statement();
    if (failed_ || !AcceptBrace()) return Fail();
  } else if (Is(Token::kDegree)) {
    Take();
    return Degrees(base);
  } else if (arena_.Is(base, Op::kTuple) && IsTransposition()) {
    Take();
    return base;  // A vector written as a row.
  } else if (arena_.Is(base, Op::kMatrix) && IsTransposition()) {
    Take();
    return Transposed(&arena_, base);
  } else if (Is(Token::kMinus) || Is(Token::kPlus)) {
    const bool minus = Take().type == Token::kMinus;
    exponent = Is(Token::kNumber) ? PlainNumber() : Primary();
    if (failed_) return kNoId;
    if (minus) exponent = Negated(exponent);
  } else {
    // 30^o and 9^{th}
    if (Is(Token::kLetter) && Peek().text == "o" && IsLiteral(base)) {
      Take();
      return Degrees(base);
    }
    exponent = Is(Token::kNumber) ? PlainNumber() : Primary();
    // 2^3^2 and 2^10! bind to the right.
    if (!failed_ && Is(Token::kCaret)) {
      Take();
      exponent = Power(exponent);
    }
  }
  if (failed_) return kNoId;
  // C_{10}^3
  int above = 0;
  if (arena_.Is(base, Op::kSymbol) && arena_.Is(exponent, Op::kNumber) &&
      absl::StartsWith(arena_.name(base), "C_") &&
      absl::SimpleAtoi(arena_.name(base).substr(2), &above)) {
    return arena_.MakeFunction(Function::kBinomial,
                               {arena_.MakeNumber(above), exponent});
  }
  return arena_.Make(Op::kPow, {Scalar(base), Scalar(exponent)});
}

bool TokenParser::IsTransposition() const {
  return (Is(Token::kLetter) && Peek().text == "T") ||
         (Is(Token::kWord) && Peek().text == "T");
}

Id TokenParser::Subscript(Id base) {
  Take();
  const size_t from = pos_;
  if (!SkipGroup()) return Fail();
  std::string name = RawText(from);
  if (absl::StartsWith(name, "text")) name = name.substr(4);
  if (absl::StartsWith(name, "base")) name = name.substr(4);
  if (arena_.Is(base, Op::kNumber)) {
    int radix = 0;
    std::string digits = name;
    if (!digits.empty() && digits.front() == '(') {
      digits = digits.substr(1, digits.size() - 2);
    }
    if (!absl::SimpleAtoi(digits, &radix)) radix = RadixOfWord(digits);
    if (radix < 2 || radix > 36) return Fail();
    return arena_.Make(Op::kBased, {base, arena_.MakeNumber(radix)},
                       arena_.Name(last_number_));
  }
  if (arena_.Is(base, Op::kPow) &&
      arena_.Is(arena_.child(base, 0), Op::kSymbol)) {
    // x^2_1
    const Id symbol = arena_.MakeSymbol(
        absl::StrCat(arena_.name(arena_.child(base, 0)), "_", name));
    return arena_.Make(Op::kPow, {symbol, arena_.child(base, 1)});
  }
  if (arena_.Is(base, Op::kSymbol)) {
    return arena_.MakeSymbol(absl::StrCat(arena_.name(base), "_", name));
  }
  if (arena_.Is(base, Op::kEuler) || arena_.Is(base, Op::kImaginary)) {
    return arena_.MakeSymbol(
        absl::StrCat(arena_.Is(base, Op::kEuler) ? "e_" : "i_", name));
  }
  return Fail();
}

}  // namespace ponder::math
