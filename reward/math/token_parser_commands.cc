#include <string>
#include <utility>
#include <vector>

#include "reward/math/number_text.h"
#include "reward/math/token_parser.h"

namespace ponder::math {
namespace {

bool TakesMany(Function function) {
  return function == Function::kGcd || function == Function::kLcm ||
         function == Function::kMax || function == Function::kMin ||
         function == Function::kMod;
}

// arcsin for sin, arsinh for sinh; of others the function itself.
Function InverseOf(Function function) {
  const int index = static_cast<int>(function);
  const int count = static_cast<int>(Function::kArcsin);
  if (index < count) return static_cast<Function>(index + count);
  if (function >= Function::kSinh && function <= Function::kCsch) {
    return static_cast<Function>(index + count);
  }
  return function;
}

}  // namespace

// The argument of \frac and \sqrt: a group or one token; of a number one
// digit, if `one_digit`.
Id TokenParser::Argument(bool one_digit) {
  if (Is(Token::kOpen, '{')) {
    const int bars = std::exchange(bar_depth_, 0);
    const Id group = Group();
    bar_depth_ = bars;
    return failed_ ? kNoId : Scalar(group);
  }
  if (Is(Token::kNumber) && one_digit && Peek().text.size() > 1 &&
      IsDigits(Peek().text)) {
    Token& token = tokens_[pos_];
    const std::string digit(token.text.substr(0, 1));
    token.text.remove_prefix(1);
    ++token.begin;
    token.space_before = false;
    return NumberOf(digit, kAutoNumber);
  }
  if (Is(Token::kNumber)) return PlainNumber();
  if (Is(Token::kMinus)) return Fail();
  // One letter is the argument, without what follows it: \sqrt xy.
  if (Is(Token::kLetter)) return arena_.MakeSymbol(Take().text);
  return Primary();
}

Id TokenParser::Fraction() {
  Take();
  const Id above = Argument();
  if (failed_) return kNoId;
  const Id below = Argument();
  if (failed_) return kNoId;
  return Divide(above, below);
}

Id TokenParser::Root() {
  const int index = Take().value;
  Id root = index > 0 ? arena_.MakeNumber(index) : kNoId;
  if (Is(Token::kOpen, '[') && index == 0) {
    Take();
    root = Additive();
    if (failed_ || !Accept(Token::kClose, '[')) return Fail();
  }
  Id radicand;
  if (Is(Token::kOpen, '(')) {
    radicand = Group();
  } else {
    radicand = Argument(/*one_digit=*/false);
  }
  if (failed_) return kNoId;
  if (root == kNoId) root = arena_.MakeNumber(2);
  return arena_.Make(Op::kRoot, {Scalar(radicand), root});
}

Id TokenParser::FunctionCall() {
  const bool is_lg = Peek().text == "lg";
  Function function = static_cast<Function>(Take().value);
  Id base = kNoId;
  Id power = kNoId;
  while (Is(Token::kUnderscore) || Is(Token::kCaret)) {
    const bool below = Take().type == Token::kUnderscore;
    Id* const into = below ? &base : &power;
    if (*into != kNoId) return Fail();
    const bool minus = !below && Accept(Token::kMinus);
    *into = Argument();
    if (failed_) return kNoId;
    if (minus) *into = Negated(*into);
  }
  if (base != kNoId && function != Function::kLog) return Fail();
  if (power != kNoId && arena_.Is(power, Op::kNumber) &&
      arena_.number(power) == Rational(-1) && InverseOf(function) != function) {
    function = InverseOf(function);
    power = kNoId;
  }
  std::vector<Id> arguments;
  if (Is(Token::kOpen) && Peek().value != 'f' && Peek().value != 'c') {
    const int bracket = Take().value;
    if (TakesMany(function) || function == Function::kBinomial ||
        function == Function::kLog) {
      arguments = Arguments(bracket);
    } else {
      ++bracket_depth_;
      const int bars = std::exchange(bar_depth_, 0);
      const Id inner = Statement();
      bar_depth_ = bars;
      --bracket_depth_;
      if (failed_ || !Accept(Token::kClose, bracket)) return Fail();
      if (arena_.Is(inner, Op::kList)) return Fail();
      arguments = {inner};
    }
  } else {
    if (TakesMany(function) || function == Function::kBinomial) return Fail();
    const bool minus = Accept(Token::kMinus);
    const Id argument = ImplicitProduct(/*argument=*/true);
    if (failed_) return kNoId;
    arguments = {minus ? Negated(argument) : Scalar(argument)};
  }
  if (failed_ || arguments.empty()) return Fail();
  for (Id& argument : arguments) argument = Scalar(argument);
  if ((function == Function::kBinomial || function == Function::kMod) &&
      arguments.size() != 2) {
    return Fail();
  }
  if (function == Function::kLog) {
    if (arguments.size() == 2 && base == kNoId) {
      base = arguments[1];
      arguments.pop_back();
    }
    if (arguments.size() != 1) return Fail();
    if (base != kNoId) {
      arguments.push_back(base);
    } else if (is_lg) {
      arguments.push_back(arena_.MakeNumber(10));
    }
  }
  Id call = arena_.MakeFunction(function, arguments);
  if (power != kNoId) call = arena_.Make(Op::kPow, {call, power});
  return call;
}

// _{k=1}^{n}, in either order.
bool TokenParser::Bounds(Id* variable, Id* from, Id* to) {
  while (Is(Token::kUnderscore) || Is(Token::kCaret)) {
    const bool below = Take().type == Token::kUnderscore;
    const Id bound = Is(Token::kOpen, '{') ? OptionalGroup()
                     : Is(Token::kLetter)  ? arena_.MakeSymbol(Take().text)
                                           : Primary();
    if (failed_) return false;
    if (bound == kNoId) continue;  // Empty braces.
    if (!below) {
      *to = bound;
    } else if (variable != nullptr && arena_.Is(bound, Op::kRelation) &&
               arena_.node(bound).count == 2) {
      *variable = arena_.child(bound, 0);
      *from = arena_.child(bound, 1);
    } else {
      *from = bound;
    }
  }
  return true;
}

Id TokenParser::OptionalGroup() {
  if (Peek(1).type == Token::kClose) {
    Take();
    Take();
    return kNoId;
  }
  return Group();
}

Id TokenParser::Series() {
  const Op op = Take().type == Token::kSum ? Op::kSum : Op::kProduct;
  Id variable = kNoId;
  Id from = kNoId;
  Id to = kNoId;
  if (!Bounds(&variable, &from, &to)) return Fail();
  if (variable == kNoId || from == kNoId || to == kNoId) return Fail();
  // i and e as indices are variables.
  const bool i_is_index = arena_.Is(variable, Op::kImaginary);
  if (i_is_index) variable = arena_.MakeSymbol("i");
  if (!arena_.Is(variable, Op::kSymbol)) return Fail();
  index_is_i_ += i_is_index ? 1 : 0;
  const Id body = Product();
  index_is_i_ -= i_is_index ? 1 : 0;
  if (failed_) return kNoId;
  return arena_.Make(op, {Scalar(body), variable, from, to});
}

Id TokenParser::Integral() {
  Take();
  Id from = kNoId;
  Id to = kNoId;
  if (!Bounds(nullptr, &from, &to)) return Fail();
  const bool outer_found = std::exchange(differential_found_, false);
  std::string outer = std::exchange(differential_, "");
  ++integral_depth_;
  const Id body = Additive();
  --integral_depth_;
  const bool found = std::exchange(differential_found_, outer_found);
  const std::string variable = std::exchange(differential_, std::move(outer));
  if (failed_ || !found) return Fail();
  const Id symbol = arena_.MakeSymbol(variable);
  if (from == kNoId || to == kNoId) {
    return arena_.Make(Op::kIntegral, {Scalar(body), symbol});
  }
  return arena_.Make(Op::kIntegral, {Scalar(body), symbol, from, to});
}

Id TokenParser::Limit() {
  Take();
  if (!Accept(Token::kUnderscore) || !Accept(Token::kOpen, '{')) return Fail();
  if (!Is(Token::kLetter)) return Fail();
  const Id variable = arena_.MakeSymbol(Take().text);
  if (!Accept(Token::kArrow)) return Fail();
  const Id point = Additive();
  if (failed_) return kNoId;
  if (Is(Token::kCaret)) return Fail();  // One-sided.
  if (!AcceptBrace()) return Fail();
  const Id body = Product();
  if (failed_) return kNoId;
  return arena_.Make(Op::kLimit, {Scalar(body), variable, point});
}

}  // namespace ponder::math
