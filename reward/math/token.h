// What an answer is cut into.

#ifndef PONDER_REWARD_MATH_TOKEN_H_
#define PONDER_REWARD_MATH_TOKEN_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ponder::math {

struct Token {
  enum Type : uint8_t {
    kEnd,
    // Operands.
    kNumber,  // 12, 1.5, .5, 2.5E2; "0." before a repeating part.
    kLetter,  // A variable: x, alpha.
    kWord,    // A word or several, lower case; or points such as AB.
    kPi,
    kEuler,
    kImaginary,
    kInfinity,
    kNamedSet,  // text: "R", "Z", ...
    kEmptySet,
    kDots,
    // Operators.
    kPlus,
    kMinus,
    kPlusMinus,
    kMinusPlus,
    kTimes,
    kSlash,
    kOver,
    kCaret,
    kUnderscore,
    kBang,
    kPrime,
    kPercent,
    kDegree,
    kCurrency,  // text: the unit, such as "dollar".
    kMod,
    kParenthesisMod,
    // Commands with arguments.
    kFraction,
    kSqrt,  // value: the index, or 0 where none is named.
    kBinomial,
    kChoose,
    kFunction,  // value: Function.
    kSum,
    kProduct,
    kIntegral,
    kLimit,
    kAccent,  // \bar, \vec, ...; text: its name. \overline too.
    // Sets and statements.
    kUnion,
    kIntersection,
    kSetMinus,
    kSuchThat,
    kIn,
    kRelation,  // value: Relation.
    kApprox,
    kEquiv,
    kImplies,
    kArrow,
    // Brackets and what stands between items.
    kOpen,
    kClose,  // value: '(' '[' 'S' (a written brace) '{' 'f' 'c' '<'
    kBar,
    kNorm,
    kComma,
    kSemicolon,
    kColon,
    kThousands,  // {,}
    kAnd,        // and; or with value 2; \quad with 1, which may mean nothing.
    // Environments.
    kBegin,
    kEndEnvironment,  // text: the environment.
    kAmpersand,
    kRowEnd,

    kUnknown,  // A command or character without meaning here.
  };

  Type type = kEnd;
  bool space_before = false;
  int value = 0;
  absl::string_view text;
  size_t begin = 0;  // In LexedText::text.
  size_t end = 0;
};

// Of tokens that end with kEnd, which goes on for ever.
inline const Token& TokenAt(absl::Span<const Token> tokens, size_t k) {
  return tokens[std::min(k, tokens.size() - 1)];
}

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_TOKEN_H_
