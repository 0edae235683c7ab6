// ponder eval --compare: is one policy better than another on the same
// problems?

#ifndef PONDER_CLI_COMPARE_EVALUATIONS_H_
#define PONDER_CLI_COMPARE_EVALUATIONS_H_

#include <string>

#include "absl/status/status.h"

namespace ponder {

// Prints a table of the differences B - A, paired by problem; with `json` the
// same as JSON. A and B are runs, whose last evaluation counts, or files
// RUN/eval/NAME.jsonl.
absl::Status CompareEvaluations(const std::string& a, const std::string& b,
                                bool json);

}  // namespace ponder

#endif  // PONDER_CLI_COMPARE_EVALUATIONS_H_
