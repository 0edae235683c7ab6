// Cuts a template into tokens.

#ifndef PONDER_POLICY_JINJA_LEXER_H_
#define PONDER_POLICY_JINJA_LEXER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "policy/jinja/value.h"

namespace ponder::jinja {

struct Token {
  enum class Kind {
    kText,           // value: the text outside of tags
    kVariableBegin,  // {{
    kVariableEnd,
    kBlockBegin,  // {%
    kBlockEnd,
    kName,      // spelling
    kOperator,  // spelling
    kString,    // value, escapes resolved; spelling as written
    kNumber,    // value: int64_t or double; spelling as written
    kEnd,
  };
  Kind kind = Kind::kEnd;
  int line = 1;
  std::string spelling;
  Value value;
};

// The tokens of `source`, kEnd last, comments left out. White space outside of
// tags goes as in transformers' environment: trim_blocks (the line end after a
// block or comment), lstrip_blocks (the blanks in front of one that begins its
// line), what a minus in a tag takes away and a plus keeps, and one line end at
// the end of the template. INVALID_ARGUMENT names `where` and the line.
absl::StatusOr<std::vector<Token>> Tokenize(absl::string_view source,
                                            absl::string_view where);

// "WHERE:LINE: MESSAGE", as all errors about templates are.
absl::Status ErrorAt(absl::string_view where, int line,
                     absl::string_view message);

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_LEXER_H_
