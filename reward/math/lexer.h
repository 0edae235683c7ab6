// Cuts an answer into tokens: LaTeX as models write it, plain expressions,
// Unicode's operators and digits, and words.

#ifndef PONDER_REWARD_MATH_LEXER_H_
#define PONDER_REWARD_MATH_LEXER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::math {

enum class T : uint8_t {
  kEnd,
  kNumber,  // 12, 1.5, .5, 2.5E2; "0." before a repeating part.
  kLetter,  // A variable: x, alpha.
  kWord,    // A word or several, lower case; or points such as AB.
  kPlus,
  kMinus,
  kTimes,
  kSlash,
  kCaret,
  kUnderscore,
  kBang,
  kPrime,
  kPercent,
  kDegree,
  kCurrency,  // text: the unit, such as "dollar".
  kComma,
  kSemicolon,
  kColon,
  kBar,
  kNorm,
  kRelation,  // value: Relation.
  kApprox,
  kImplies,
  kEquiv,
  kIn,
  kNotIn,
  kOpen,
  kClose,  // value: '(' '[' 'S' (a written brace) '{' 'f' 'c' '<'
  kFraction,
  kSqrt,
  kBinomial,
  kChoose,
  kOver,
  kFunction,  // value: Function.
  kPi,
  kEuler,
  kImaginary,
  kInfinity,
  kSum,
  kProduct,
  kIntegral,
  kLimit,
  kArrow,
  kPlusMinus,
  kMinusPlus,
  kMod,
  kParenthesisMod,
  kUnion,
  kIntersection,
  kSetMinus,
  kNamedSet,
  kEmptySet,
  kSuchThat,
  kAccent,  // \bar, \vec, ...; text: its name. \overline too.
  kAnd,     // and; or with value 2; \quad with 1, which may mean nothing.
  kAmpersand,
  kRowEnd,
  kBegin,
  kEndEnvironment,  // text: the environment.
  kThousands,       // {,}
  kDots,
  kUnknown,  // A command or character without meaning here.
};

struct Token {
  T type = T::kEnd;
  bool space_before = false;
  int value = 0;
  absl::string_view text;
  size_t begin = 0;  // In LexedText::text.
  size_t end = 0;
};

// Owns the text that the tokens are views of. Not copied.
struct LexedText {
  LexedText() = default;
  LexedText(const LexedText&) = delete;
  LexedText& operator=(const LexedText&) = delete;

  std::string text;               // Unicode's mathematical characters as LaTeX.
  std::deque<std::string> owned;  // What tokens view that isn't in `text`.
  std::vector<Token> tokens;      // Ends with kEnd.
};

// False if `text` has more tokens or longer numbers than the limits allow.
bool Lex(absl::string_view text, LexedText* lexed);

// True if the text has characters that show nothing, such as U+200B.
bool HasInvisibleCharacters(absl::string_view text);

// The text with Unicode's mathematical characters as LaTeX or ASCII.
std::string UnicodeToLatex(absl::string_view text);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_LEXER_H_
