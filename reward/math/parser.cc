#include "reward/math/parser.h"

#include "reward/math/lexer.h"
#include "reward/math/limits.h"
#include "reward/math/token_parser.h"

namespace ponder::math {

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
  return TokenParser(lexed, reading, arena).Run();
}

}  // namespace ponder::math
