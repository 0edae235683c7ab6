// Cuts an answer into tokens: LaTeX as models write it, plain expressions,
// Unicode's operators and digits, and words.

#ifndef PONDER_REWARD_MATH_LEXER_H_
#define PONDER_REWARD_MATH_LEXER_H_

#include <deque>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "reward/math/token.h"

namespace ponder::math {

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

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_LEXER_H_
