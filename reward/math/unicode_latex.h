// Unicode's mathematical characters, and LaTeX for them.

#ifndef PONDER_REWARD_MATH_UNICODE_LATEX_H_
#define PONDER_REWARD_MATH_UNICODE_LATEX_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace ponder::math {

// The text with operators, digits and punctuation of Unicode as LaTeX or ASCII.
// Greek and other letters stay.
std::string UnicodeToLatex(absl::string_view text);

// True if the text has characters that show nothing, such as U+200B.
bool HasInvisibleCharacters(absl::string_view text);

struct Character {
  char32_t code = 0;
  size_t size = 1;  // Bytes of UTF-8.
};

// The first character of the text, which is not empty. An invalid byte is
// U+FFFD of size 1.
Character DecodeCharacter(absl::string_view text);

// The name of a Greek letter, such as "alpha" or "Omega"; null for others.
const char* GreekOf(char32_t code);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_UNICODE_LATEX_H_
