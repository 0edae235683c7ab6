#include "reward/math/parser.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "reward/math/lexer.h"
#include "reward/math/limits.h"
#include "reward/math/matrices.h"
#include "reward/math/number_text.h"
#include "reward/math/plain_text.h"
#include "reward/math/token.h"
#include "reward/math/unit_text.h"
#include "reward/math/units.h"

namespace ponder::math {
namespace {

constexpr int kCallsPerLevel = 8;  // From a bracket to the next one in it.

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

class Parser {
 public:
  Parser(const LexedText& lexed, const Reading& reading, Arena* arena)
      : lexed_(lexed),
        tokens_(lexed.tokens),
        reading_(reading),
        arena_(*arena) {
    DropAlignment();
  }

  Parsed Run() {
    const size_t last = tokens_.size() - 2;
    // ]a, b[ and [a, b[ and (a, b[
    const bool ends_open = tokens_.size() > 3 &&
                           tokens_[last].type == Token::kOpen &&
                           tokens_[last].value == '[';
    // ]a, b]
    const bool ends_closed =
        tokens_.size() > 3 && tokens_[0].type == Token::kClose &&
        tokens_[last].type == Token::kClose && tokens_[last].value == '[';
    const bool french =
        (ends_open || ends_closed) &&
        ((tokens_[0].type == Token::kClose && tokens_[0].value == '[') ||
         (tokens_[0].type == Token::kOpen && tokens_[0].value != '{'));
    Id root = french ? FrenchInterval() : Statement();
    // A closing brace too many at the end of the text.
    while (!failed_ && Is(Token::kClose, '{')) Take();
    if (!failed_ && !Is(Token::kEnd)) root = kNoId;
    if (failed_) root = kNoId;
    return {root, beyond_};
  }

 private:
  // The & of rows below each other, which are no matrix.
  void DropAlignment() {
    std::vector<bool> is_matrix;
    std::vector<Token> kept;
    for (const Token& token : tokens_) {
      if (token.type == Token::kBegin) {
        is_matrix.push_back(token.text == "array" ||
                            absl::EndsWith(token.text, "matrix"));
      } else if (token.type == Token::kEndEnvironment && !is_matrix.empty()) {
        is_matrix.pop_back();
      }
      const bool alignment = token.type == Token::kAmpersand &&
                             (is_matrix.empty() || !is_matrix.back());
      if (!alignment) kept.push_back(token);
    }
    if (kept.size() < tokens_.size()) tokens_ = std::move(kept);
  }

  // One level deeper, until it goes out of scope.
  class Deeper {
   public:
    explicit Deeper(Parser* parser) : parser_(*parser) {
      if (++parser_.depth_ > kCallsPerLevel * kMaxDepth ||
          parser_.arena_.num_nodes() > kMaxNodes) {
        parser_.Beyond();
      }
    }
    ~Deeper() { --parser_.depth_; }

   private:
    Parser& parser_;
  };

  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(pos_ + ahead, tokens_.size() - 1)];
  }
  bool Is(Token::Type type) const { return Peek().type == type; }
  bool Is(Token::Type type, int value) const {
    return Peek().type == type && Peek().value == value;
  }
  const Token& Take() {
    const Token& token = Peek();
    if (pos_ + 1 < tokens_.size()) ++pos_;
    return token;
  }
  bool Accept(Token::Type type) {
    if (!Is(type)) return false;
    Take();
    return true;
  }
  bool Accept(Token::Type type, int value) {
    if (!Is(type, value)) return false;
    Take();
    return true;
  }
  // A closing brace, which may be missing at the end of the text.
  bool AcceptBrace() { return Accept(Token::kClose, '{') || Is(Token::kEnd); }
  absl::Span<const Token> Rest() const {
    return absl::MakeConstSpan(tokens_).subspan(pos_);
  }
  Id Fail() {
    failed_ = true;
    return kNoId;
  }
  Id Beyond() {
    beyond_ = true;
    return Fail();
  }

  // --- Statements -----------------------------------------------------------

  bool AtStatementEnd() const {
    return Is(Token::kEnd) || Is(Token::kClose) || Is(Token::kEndEnvironment) ||
           Is(Token::kAmpersand);
  }

  // Consumes what stands between items. True if there was something.
  bool Separator() {
    bool any = false;
    while (Is(Token::kComma) || Is(Token::kSemicolon) || Is(Token::kAnd) ||
           (Is(Token::kRowEnd) && environment_ == 0)) {
      if (Is(Token::kAnd, 2)) connectives_ |= kAlternatives;
      if (Is(Token::kAnd, 0)) connectives_ |= kConjunction;
      Take();
      any = true;
    }
    return any;
  }

  Id Statement() {
    const Deeper deeper(this);
    if (failed_) return kNoId;
    while (Is(Token::kImplies) || (Is(Token::kAnd) && Peek().value == 1) ||
           (Is(Token::kRowEnd) && environment_ == 0) || Is(Token::kColon)) {
      Take();
    }
    const uint8_t outer = std::exchange(connectives_, uint8_t{0});
    std::vector<Id> items;
    while (!AtStatementEnd() && !(environment_ > 0 && Is(Token::kRowEnd))) {
      const Id item = Clause();
      if (failed_) return kNoId;
      items.push_back(item);
      if (items.size() > kMaxItems) {
        return Beyond();
      }
      if (!Separator()) break;
    }
    const uint8_t flag = std::exchange(connectives_, outer);
    if (items.empty()) return Fail();
    if (items.size() == 1) return items[0];
    return arena_.Make(Op::kList, items, 0, flag);
  }

  // The last of statements that follow from each other.
  Id Clause() {
    // "= 9" and "Answer: 9"
    if (Is(Token::kRelation, static_cast<int>(Relation::kEq))) Take();
    if (Is(Token::kWord) &&
        (Peek().text == "answer" || Peek().text == "the answer is" ||
         Peek().text == "final answer" || Peek().text == "solution") &&
        Peek(1).type != Token::kRelation && Peek(1).type != Token::kEnd) {
      Take();
    }
    Id clause = Chain();
    while (!failed_ && Is(Token::kImplies)) {
      // A number before the sign is no statement.
      if (!arena_.Is(clause, Op::kRelation) &&
          !arena_.Is(clause, Op::kMember)) {
        return Fail();
      }
      Take();
      clause = Chain();
    }
    return failed_ ? kNoId : clause;
  }

  Id Chain() {
    const Deeper deeper(this);
    if (failed_) return kNoId;
    std::vector<Id> sides = {SetExpression()};
    std::vector<Relation> relations;
    bool approximate = false;  // The first relation.
    while (!failed_) {
      if (Is(Token::kRelation)) {
        relations.push_back(static_cast<Relation>(Take().value));
        sides.push_back(SetExpression());
      } else if (Accept(Token::kApprox)) {
        const Id side = SetExpression();
        if (failed_) return kNoId;
        if (!relations.empty()) continue;  // x = 1/3 \approx 0.33
        approximate = true;
        relations.push_back(Relation::kEq);
        sides.push_back(side);
      } else if (Accept(Token::kIn)) {
        const Id set = SetExpression();
        if (failed_ || !relations.empty()) return Fail();
        return arena_.Make(Op::kMember, {sides[0], set});
      } else if (Accept(Token::kEquiv)) {
        const Id right = SetExpression();
        if (failed_) return kNoId;
        if (Is(Token::kParenthesisMod) || Is(Token::kMod)) {
          Take();
          const Id modulus = Primary();
          if (failed_ || sides.size() != 1) return Fail();
          return arena_.Make(Op::kCongruence, {sides[0], right, modulus});
        }
        if (arena_.Is(right, Function::kMod)) {
          return arena_.Make(Op::kCongruence, {sides[0], arena_.child(right, 0),
                                               arena_.child(right, 1)});
        }
        relations.push_back(Relation::kEq);
        sides.push_back(right);
      } else {
        break;
      }
    }
    if (failed_) return kNoId;
    // 3 \pmod 7
    if (relations.empty() && Accept(Token::kParenthesisMod)) {
      Primary();
      if (failed_) return kNoId;
    }
    if (relations.empty()) return sides[0];
    constexpr size_t kMaxRelations = 10;
    while (relations.size() > kMaxRelations) {
      if (std::any_of(relations.begin(), relations.end(),
                      [](Relation r) { return r != Relation::kEq; })) {
        return Beyond();
      }
      relations.erase(relations.begin());
      sides.erase(sides.begin() + 1);
    }
    int32_t packed = 0;
    for (size_t k = 0; k < relations.size(); ++k) {
      packed |= static_cast<int32_t>(relations[k]) << (3 * k);
    }
    return arena_.Make(Op::kRelation, sides, packed,
                       approximate && sides.size() == 2 ? kApproximate : 0);
  }

  Id SetExpression() {
    Id left = RatioExpression();
    while (!failed_) {
      Op op;
      if (Is(Token::kUnion)) {
        op = Op::kUnion;
      } else if (Is(Token::kIntersection)) {
        op = Op::kIntersection;
      } else if (Is(Token::kSetMinus)) {
        op = Op::kSetMinus;
      } else {
        break;
      }
      Take();
      const Id right = RatioExpression();
      if (failed_) return kNoId;
      left = arena_.Make(op, {left, right});
    }
    return left;
  }

  Id RatioExpression() {
    std::vector<Id> parts = {Additive()};
    while (!failed_ && Is(Token::kColon) && builder_ == 0) {
      Take();
      parts.push_back(Additive());
    }
    if (failed_) return kNoId;
    return parts.size() == 1 ? parts[0] : arena_.Make(Op::kRatio, parts);
  }

  // --- Expressions ----------------------------------------------------------

  Id Additive() {
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
      const bool degrees =
          std::all_of(terms.begin(), terms.end(),
                      [&](Id term) { return arena_.Is(term, Op::kDegree); });
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
  Id Negated(Id a) {
    if (arena_.Is(a, Op::kUnit) || arena_.Is(a, Op::kPercent) ||
        arena_.Is(a, Op::kDegree)) {
      return arena_.Make(arena_.op(a), {Negated(arena_.child(a, 0))},
                         arena_.node(a).value);
    }
    if (arena_.Is(a, Op::kNumber)) {
      Rational value = arena_.number(a);
      fmpq_neg(value.get(), value.get());
      return arena_.MakeNumber(std::move(value),
                               arena_.node(a).flag & kDecimal);
    }
    return arena_.MakeNeg(Scalar(a));
  }

  // {x} between operators is a group.
  Id Scalar(Id a) const {
    if (arena_.Is(a, Op::kSet) && arena_.node(a).count == 1)
      return arena_.child(a, 0);
    return a;
  }

  Id SignedFactor() {
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

  bool StartsFactor() const {
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

  Id Product() {
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
        left =
            arena_.MakeFunction(Function::kMod, {Scalar(left), Scalar(right)});
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
  bool IsUnionLetter() const {
    return Is(Token::kLetter) && Peek().text == "U" && pos_ > 0 &&
           tokens_[pos_ - 1].type == Token::kClose &&
           Peek(1).type == Token::kOpen;
  }

  Id SignedImplicit() {
    if (Accept(Token::kMinus)) {
      const Id product = SignedImplicit();
      return failed_ ? kNoId : Negated(product);
    }
    Accept(Token::kPlus);
    return ImplicitProduct();
  }

  // Factors without a sign between them: the 2x of 1/2x, the argument of sin.
  Id ImplicitProduct(bool argument = false) {
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

  Id Multiply(Id left, Id right) {
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

  Id Divide(Id left, Id right) {
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

  bool IsLiteral(Id id) const {
    return arena_.Is(id, Op::kNumber) &&
           (arena_.node(id).flag & kAutoNumber) != 0;
  }

  // --- Units ----------------------------------------------------------------

  bool IsPoints(const Token& token) const {
    return token.type == Token::kWord && token.text[0] >= 'A' &&
           token.text[0] <= 'Z';
  }

  bool AtUnit(Id left) const {
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

  Id WithUnit(Id left) {
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

  // --- Factors --------------------------------------------------------------

  Id Factor() {
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
  Id Degrees(Id base) {
    if (Is(Token::kLetter) && (Peek().text == "C" || Peek().text == "F")) {
      return arena_.Make(Op::kUnit, {Scalar(base)},
                         arena_.Name(absl::StrCat("degree ", Take().text)));
    }
    return arena_.Make(Op::kDegree, {Scalar(base)});
  }

  Id Power(Id base) {
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

  bool IsTransposition() const {
    return (Is(Token::kLetter) && Peek().text == "T") ||
           (Is(Token::kWord) && Peek().text == "T");
  }

  // What is written from token `from` to here, without space and braces.
  std::string RawText(size_t from) const {
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
  bool SkipGroup() {
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

  Id Subscript(Id base) {
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

  Id Primary() {
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
  Id CountedThings(absl::string_view words) {
    for (size_t cut = words.rfind(' '); cut != absl::string_view::npos;
         cut = cut == 0 ? absl::string_view::npos : words.rfind(' ', cut - 1)) {
      const std::optional<Rational> number =
          NumberInWords(words.substr(0, cut));
      if (!number.has_value()) continue;
      if (!MayBeUnit(words.substr(cut + 1))) return kNoId;
      return arena_.Make(Op::kUnit, {arena_.MakeNumber(*number)},
                         arena_.Name(words.substr(cut + 1)));
    }
    return kNoId;
  }

  Id NamedSet() {
    std::string name(Take().text);
    if (Is(Token::kCaret)) {
      Take();
      const size_t from = pos_;
      if (!SkipGroup()) return Fail();
      absl::StrAppend(&name, "^", RawText(from));
    }
    return arena_.Make(Op::kNamedSet, {}, arena_.Name(name));
  }

  // --- Numbers --------------------------------------------------------------

  // The digits of a number from here on, with its groups of thousands.
  std::string TakeDigits() {
    CommaMeaning comma;
    comma.decimal = bracket_depth_ == 0 && reading_.comma_is_decimal;
    comma.thousands = !reading_.comma_is_list &&
                      (bracket_depth_ == 0 || reading_.brackets_thousands);
    TakenDigits taken = DigitsAt(Rest(), comma);
    pos_ += taken.num_tokens;
    return std::move(taken.digits);
  }

  Id Repeating(const std::string& digits, const std::string& repeating) {
    std::optional<Rational> value = RepeatingDecimal(digits, repeating);
    return value.has_value() ? arena_.MakeNumber(*std::move(value)) : Beyond();
  }

  Id NumberOf(const std::string& digits, uint8_t flag) {
    std::optional<WrittenNumber> written = ParseNumber(digits);
    if (!written.has_value()) return Beyond();
    last_numeral_ = last_number_;
    last_number_ = digits;
    const Id number = arena_.MakeNumber(std::move(written->value), flag);
    if (written->exponent == 0) return number;
    const Id power = arena_.Make(
        Op::kPow,
        {arena_.MakeNumber(10), arena_.MakeNumber(written->exponent)});
    return arena_.Make(Op::kMul, {number, power});
  }

  // Without the fraction that may stand behind it.
  Id PlainNumber() {
    const std::string digits(Take().text);
    if (digits.back() == '.') return Fail();
    return NumberOf(digits, IsDigits(digits) ? kAutoNumber : kDecimal);
  }

  Id NumberWithMixed() {
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
    const Id number = NumberOf(
        digits, absl::StrContains(digits, ".") ? kDecimal : kAutoNumber);
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

  // --- Letters --------------------------------------------------------------

  // Letters that name functions where brackets follow.
  bool IsApplied(absl::string_view letter) const {
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

  Id Letter() {
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
    if (name == "C" && Is(Token::kOpen, '(') &&
        Peek(1).type == Token::kNumber && Peek(2).type == Token::kComma &&
        Peek(3).type == Token::kNumber && Peek(4).type == Token::kClose) {
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
    if ((letter == "f" || letter == "g" || letter == "h") &&
        Is(Token::kCaret) && Peek(1).type == Token::kOpen &&
        Peek(2).type == Token::kMinus && Peek(3).text == "1" &&
        Peek(4).type == Token::kClose && Peek(5).type == Token::kOpen &&
        Peek(5).value == '(') {
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
  bool SkipProbability() {
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

  Id Applied(const std::string& name) {
    const bool braces = Accept(Token::kOpen, '{');
    Take();
    const std::vector<Id> arguments = Arguments('(');
    if (failed_ || (braces && !AcceptBrace())) return Fail();
    return arena_.Make(Op::kApply, arguments, arena_.Name(name));
  }

  // Behind an opening bracket, up to the closing one.
  std::vector<Id> Arguments(int bracket) {
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

  Id Accent() {
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

  // --- Brackets -------------------------------------------------------------

  Id FrenchInterval() {
    const Token& open = Take();
    const bool closed = open.type == Token::kOpen && open.value == '[';
    ++bracket_depth_;
    std::vector<Id> ends;
    ends.push_back(Chain());
    if (failed_ || !Separator()) return Fail();
    // The last token opens a bracket: it must not start a factor.
    const size_t last = tokens_.size() - 2;
    stop_at_ = last;
    ends.push_back(Chain());
    if (failed_ || pos_ != last) return Fail();
    const bool end_closed = Take().type == Token::kClose;
    uint8_t flag = kOpenReal;
    if (closed) flag |= kOpenClosed;
    if (end_closed) flag |= kCloseClosed;
    return arena_.Make(Op::kTuple, ends, 0, flag);
  }

  Id Group() {
    const int open = Peek().value;
    Take();
    switch (open) {
      case '{': {
        const int bars = std::exchange(bar_depth_, 0);
        const Id inner = Statement();
        bar_depth_ = bars;
        if (failed_ || !AcceptBrace()) return Fail();
        if (!arena_.Is(inner, Op::kList)) return inner;
        return arena_.Make(Op::kSet, arena_.children(inner));
      }
      case 'S':
        return Set();
      case 'f':
      case 'c': {
        const int bars = std::exchange(bar_depth_, 0);
        const Id inner = Additive();
        bar_depth_ = bars;
        if (failed_ || !Accept(Token::kClose, open)) return Fail();
        return arena_.MakeFunction(
            open == 'f' ? Function::kFloor : Function::kCeil, {Scalar(inner)});
      }
      default:
        return Brackets(open);
    }
  }

  Id Brackets(int open) {
    ++bracket_depth_;
    const int bars = std::exchange(bar_depth_, 0);
    const int builder = std::exchange(builder_, 0);
    const Id inner = Statement();
    builder_ = builder;
    bar_depth_ = bars;
    --bracket_depth_;
    if (failed_ || !Is(Token::kClose)) return Fail();
    const int close = Peek().value;
    const bool matching = close == open || (open != '<' && close != '<' &&
                                            (close == '(' || close == '['));
    if (!matching) return Fail();
    Take();
    if (!arena_.Is(inner, Op::kList)) return close == open ? inner : Fail();
    uint8_t flag = 0;
    if (open == '[') flag |= kOpenClosed;
    if (close == '[') flag |= kCloseClosed;
    return arena_.Make(Op::kTuple, arena_.children(inner), 0, flag);
  }

  Id Set() {
    if (Accept(Token::kClose, 'S')) return arena_.Make(Op::kSet);
    ++bracket_depth_;
    const int bars = std::exchange(bar_depth_, 0);
    ++builder_;
    Id first = Clause();
    --builder_;
    Id set = kNoId;
    if (!failed_ &&
        (Is(Token::kSuchThat) || Is(Token::kBar) || Is(Token::kColon))) {
      Take();
      const Id condition = Statement();
      if (!failed_) set = arena_.Make(Op::kSetBuilder, {first, condition});
    } else if (!failed_) {
      std::vector<Id> items = {first};
      while (!failed_ && Separator() && !AtStatementEnd()) {
        items.push_back(Clause());
        if (items.size() > kMaxItems) {
          Beyond();
        }
      }
      if (!failed_) set = arena_.Make(Op::kSet, items);
    }
    bar_depth_ = bars;
    --bracket_depth_;
    if (failed_ || !Accept(Token::kClose, 'S')) return Fail();
    return set;
  }

  Id Bars(Token::Type bar, int* depth, Function function) {
    Take();
    // ||x||: a bar right behind a bar opens once more.
    ++*depth;
    const Id inner = Additive();
    --*depth;
    if (failed_ || !Accept(bar)) return Fail();
    return arena_.MakeFunction(function, {Scalar(inner)});
  }

  // --- Commands -------------------------------------------------------------

  // The argument of \frac and \sqrt: a group or one token; of a number one
  // digit, if `one_digit`.
  Id Argument(bool one_digit = true) {
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

  Id Fraction() {
    Take();
    const Id above = Argument();
    if (failed_) return kNoId;
    const Id below = Argument();
    if (failed_) return kNoId;
    return Divide(above, below);
  }

  Id Root() {
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

  Id FunctionCall() {
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
        arena_.number(power) == Rational(-1) &&
        InverseOf(function) != function) {
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
  bool Bounds(Id* variable, Id* from, Id* to) {
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

  Id OptionalGroup() {
    if (Peek(1).type == Token::kClose) {
      Take();
      Take();
      return kNoId;
    }
    return Group();
  }

  Id Series() {
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

  Id Integral() {
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

  Id Limit() {
    Take();
    if (!Accept(Token::kUnderscore) || !Accept(Token::kOpen, '{'))
      return Fail();
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

  // --- Environments ---------------------------------------------------------

  Id Environment() {
    const std::string name(Take().text);
    const bool matrix = name == "array" || absl::EndsWith(name, "matrix");
    ++environment_;
    const int bars = std::exchange(bar_depth_, 0);
    std::vector<std::vector<Id>> rows(1);
    size_t cells = 0;
    while (!failed_ && !Is(Token::kEndEnvironment)) {
      if (Is(Token::kEnd)) {
        Fail();
      } else if (Accept(Token::kRowEnd)) {
        if (!rows.back().empty()) rows.emplace_back();
      } else if (Accept(Token::kAmpersand)) {
        continue;
      } else if (Is(Token::kComma) || Is(Token::kSemicolon)) {
        Take();
      } else {
        rows.back().push_back(Statement());
        if (++cells > kMaxItems) {
          Beyond();
        }
      }
    }
    bar_depth_ = bars;
    --environment_;
    if (failed_) return kNoId;
    Take();
    while (!rows.empty() && rows.back().empty()) rows.pop_back();
    if (rows.empty()) return Fail();
    std::vector<Id> all;
    for (const std::vector<Id>& row : rows) {
      if (matrix && row.size() != rows[0].size()) return Fail();
      all.insert(all.end(), row.begin(), row.end());
    }
    if (!matrix) {
      // Equations below each other.
      if (name == "cases") return arena_.Make(Op::kList, all);
      return all.size() == 1 ? all[0] : arena_.Make(Op::kList, all);
    }
    const Id result =
        arena_.Make(Op::kMatrix, all, static_cast<int32_t>(rows[0].size()));
    if (name == "vmatrix") return arena_.MakeFunction(Function::kDet, {result});
    return result;
  }

  const LexedText& lexed_;
  std::vector<Token> tokens_;  // A copy: \frac13 cuts a number in two.
  const Reading& reading_;
  Arena& arena_;
  size_t pos_ = 0;
  size_t stop_at_ = 0;
  bool failed_ = false;
  bool beyond_ = false;
  int depth_ = 0;
  int bracket_depth_ = 0;  // Inside of brackets a comma separates items.
  int bar_depth_ = 0;
  int norm_depth_ = 0;
  int builder_ = 0;  // Before the bar of a set such as {x | x > 3}.
  int environment_ = 0;
  uint8_t connectives_ = 0;  // Flags of this list.
  int integral_depth_ = 0;
  int index_is_i_ = 0;  // Inside of a sum over i.
  bool differential_found_ = false;
  std::string differential_;
  std::string last_number_;   // The digits of the last number, as written.
  std::string last_numeral_;  // And of the one before.
};

}  // namespace

Parsed Parse(absl::string_view text, const Reading& reading, Arena* arena) {
  Parsed parsed;
  if (text.size() > kMaxAnswerBytes) {
    parsed.beyond_limits = true;
    return parsed;
  }
  LexedText lexed;
  if (!Lex(text, &lexed)) {
    parsed.beyond_limits = true;
    return parsed;
  }
  return Parser(lexed, reading, arena).Run();
}

}  // namespace ponder::math
