// Cases in the form of the public suites: a gold answer, a response, how each
// is to be read, and the verdict that is expected.

#ifndef PONDER_REWARD_MATH_CASES_H_
#define PONDER_REWARD_MATH_CASES_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "reward/math/verify.h"

namespace ponder {

struct MathCase {
  std::string id;
  std::string gold;
  std::string response;
  MathOptions options;
  std::optional<bool> expected;  // Whether the answer is right.
  bool flagged = false;  // `expected` is a policy of its suite, not a truth.
};

// Reads one line of JSON:
//
//   id             text
//   kind           "verify" (the default), "parse_equal" or "parse_error";
//                  nothing is returned for other kinds
//   gold, pred     texts; for parse_equal `gold_latex` replaces `gold` where it
//                  is one. `pred_gen`, pairs of a text and how often it is
//                  repeated, stands for a `pred` that is long.
//   gold_config, pred_config   words: latex, latex50, expr, string (search the
//                  text), raw, latex_raw, sympy, literal (it is the answer);
//                  or an object {"type": "latex" | "string", ...} in the words
//                  of Math-Verify
//   params         {"float_rounding", "strict", "allow_set_relation_comp"} in
//                  Math-Verify's words, and "ordered_lists"; see MathOptions
//   expected       true or false
//   flag           any text
//
// INVALID_ARGUMENT if the line is no such object.
absl::StatusOr<std::optional<MathCase>> ParseMathCase(absl::string_view line);

}  // namespace ponder

#endif  // PONDER_REWARD_MATH_CASES_H_
