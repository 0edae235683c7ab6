// What LaTeX's commands and plain words mean in an answer.

#ifndef PONDER_REWARD_MATH_COMMANDS_H_
#define PONDER_REWARD_MATH_COMMANDS_H_

#include "absl/strings/string_view.h"
#include "reward/math/token.h"

namespace ponder::math {

// The token that stands for a command or a word.
struct Meaning {
  Token::Type type = Token::kUnknown;
  int value = 0;
  const char* text = "";
};

// Commands are named without the backslash. Null if it has no meaning.
const Meaning* MeaningOfCommand(absl::string_view name);

// Of a word in plain text: "sqrt", "infinity", "and". Null if it has none.
const Meaning* MeaningOfWord(absl::string_view word);

// Commands that show nothing, or only how to show what follows.
bool IsSilentCommand(absl::string_view name);

// Commands whose braces hold text.
bool IsTextCommand(absl::string_view name);

// Commands whose first braces hold what is not shown.
bool TakesHiddenGroup(absl::string_view name);

// True for all of these, and for what the lexer reads itself: "begin", "not".
bool IsCommand(absl::string_view name);

// Not abcd, mnpq or xyzw, which are products of variables.
bool LooksLikeWord(absl::string_view letters);

// Short words that are no products.
bool IsShortWord(absl::string_view letters);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_COMMANDS_H_
