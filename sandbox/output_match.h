// Compares what a program printed with what it should have printed.

#ifndef PONDER_SANDBOX_OUTPUT_MATCH_H_
#define PONDER_SANDBOX_OUTPUT_MATCH_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder {

// Reads TestSuite.checker: "" is exact, "float T" is a tolerance.
absl::StatusOr<std::optional<double>> ParseChecker(absl::string_view checker);

// True if both have the same lines, byte by byte, once white space at the end
// of lines and empty lines at the end are taken off. With `tolerance` the
// lines are compared word by word, and two words that are finite numbers may
// differ by that much, absolutely or relative to `expected`.
bool OutputMatches(absl::string_view expected, absl::string_view got,
                   std::optional<double> tolerance);

}  // namespace ponder

#endif  // PONDER_SANDBOX_OUTPUT_MATCH_H_
