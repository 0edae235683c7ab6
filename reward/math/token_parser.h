// Reads tokens into a tree, by recursive descent.

#ifndef PONDER_REWARD_MATH_TOKEN_PARSER_H_
#define PONDER_REWARD_MATH_TOKEN_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "reward/math/expr.h"
#include "reward/math/lexer.h"
#include "reward/math/limits.h"
#include "reward/math/parser.h"
#include "reward/math/token.h"

namespace ponder::math {

// Parses one text. A member that reads something takes its tokens and returns
// its node; after a failure, which is for good, kNoId. Members are in four
// files, in the order of the sections below. Not thread-safe.
class TokenParser {
 public:
  // Nothing is owned; everything outlives the parser.
  TokenParser(const LexedText& lexed, const Reading& reading, Arena* arena)
      : lexed_(lexed),
        tokens_(lexed.tokens),
        reading_(reading),
        arena_(*arena) {
    DropAlignment();
  }

  Parsed Run();

 private:
  static constexpr int kCallsPerLevel = 8;  // From a bracket to the next in it.

  // One level deeper, until it goes out of scope.
  class Deeper {
   public:
    explicit Deeper(TokenParser* parser) : parser_(*parser) {
      if (++parser_.depth_ > kCallsPerLevel * kMaxDepth ||
          parser_.arena_.num_nodes() > kMaxNodes) {
        parser_.Beyond();
      }
    }
    ~Deeper() { --parser_.depth_; }

   private:
    TokenParser& parser_;
  };

  const Token& Peek(size_t ahead = 0) const {
    return TokenAt(tokens_, pos_ + ahead);
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
  // The tokens from here on.
  absl::Span<const Token> Rest() const {
    return absl::MakeConstSpan(tokens_).subspan(pos_);
  }
  Id Fail() {
    failed_ = true;
    return kNoId;
  }
  // Fails because of a limit.
  Id Beyond() {
    beyond_ = true;
    return Fail();
  }

  // --- token_parser.cc: statements, brackets, environments -------------------

  void DropAlignment();
  bool AtStatementEnd() const;
  bool Separator();
  Id Statement();
  Id Clause();
  Id Chain();
  Id SetExpression();
  Id RatioExpression();
  Id FrenchInterval();
  Id Group();
  Id Brackets(int open);
  Id Set();
  Id Bars(Token::Type bar, int* depth, Function function);
  Id Environment();

  // --- token_parser_expressions.cc: sums, products, powers, units ------------

  Id Additive();
  Id Negated(Id a);
  Id Scalar(Id a) const;
  Id SignedFactor();
  bool StartsFactor() const;
  Id Product();
  bool IsUnionLetter() const;
  Id SignedImplicit();
  Id ImplicitProduct(bool argument = false);
  Id Multiply(Id left, Id right);
  Id Divide(Id left, Id right);
  bool IsLiteral(Id id) const;
  bool IsPoints(const Token& token) const;
  bool AtUnit(Id left) const;
  Id WithUnit(Id left);
  Id Factor();
  Id Degrees(Id base);
  Id Power(Id base);
  bool IsTransposition() const;
  Id Subscript(Id base);

  // --- token_parser_operands.cc: numbers, letters, words ---------------------

  std::string RawText(size_t from) const;
  bool SkipGroup();
  Id Primary();
  Id CountedThings(absl::string_view words);
  Id NamedSet();
  std::string TakeDigits();
  Id Repeating(const std::string& digits, const std::string& repeating);
  Id NumberOf(const std::string& digits, uint8_t flag);
  Id PlainNumber();
  Id NumberWithMixed();
  bool IsApplied(absl::string_view letter) const;
  Id Letter();
  bool SkipProbability();
  Id Applied(const std::string& name);
  std::vector<Id> Arguments(int bracket);
  Id Accent();

  // --- token_parser_commands.cc: fractions, roots, functions, sums -----------

  Id Argument(bool one_digit = true);
  Id Fraction();
  Id Root();
  Id FunctionCall();
  bool Bounds(Id* variable, Id* from, Id* to);
  Id OptionalGroup();
  Id Series();
  Id Integral();
  Id Limit();

  const LexedText& lexed_;
  std::vector<Token> tokens_;  // A copy: \frac13 cuts a number in two.
  const Reading& reading_;
  Arena& arena_;
  size_t pos_ = 0;
  size_t stop_at_ = 0;  // No factor begins at this token, unless it is 0.
  bool failed_ = false;
  bool beyond_ = false;      // A limit.
  int depth_ = 0;            // Of calls, see Deeper.
  int bracket_depth_ = 0;    // Inside of brackets a comma separates items.
  int bar_depth_ = 0;        // Inside of bars a bar closes them.
  int norm_depth_ = 0;       // The same of double bars.
  int builder_ = 0;          // Before the bar of a set such as {x | x > 3}.
  int environment_ = 0;      // Inside of these \\ ends a row.
  uint8_t connectives_ = 0;  // Flags of this list.
  int integral_depth_ = 0;   // Inside of an integral dx ends it.
  int index_is_i_ = 0;       // Inside of a sum over i.
  bool differential_found_ = false;
  std::string differential_;  // The x of dx.
  std::string last_number_;   // The digits of the last number, as written.
  std::string last_numeral_;  // And of the one before.
};

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_TOKEN_PARSER_H_
