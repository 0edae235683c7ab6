// From tokens to a tree.

#ifndef PONDER_POLICY_JINJA_PARSER_H_
#define PONDER_POLICY_JINJA_PARSER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "policy/jinja/syntax_tree.h"

namespace ponder::jinja {

// Jinja's grammar, as far as it is supported. INVALID_ARGUMENT names `where`,
// the line and what is wrong or not supported there; filters and tests that do
// not exist are found here, too.
absl::StatusOr<Block> Parse(absl::string_view source, absl::string_view where);

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_PARSER_H_
