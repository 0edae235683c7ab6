// A checker: a trusted program that says whether an output is right.

#ifndef PONDER_SANDBOX_CHECKER_PROGRAM_H_
#define PONDER_SANDBOX_CHECKER_PROGRAM_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/sandbox.pb.h"
#include "sandbox/judge.h"

namespace ponder {

// Runs TestSuite.checker_code in a sandbox of its own. INVALID_ARGUMENT if the
// checker itself fails or prints no number: then it judges nothing.
absl::StatusOr<bool> RunCheckerProgram(const JobContext& context,
                                       absl::string_view checker,
                                       const TestCase& test,
                                       absl::string_view output);

}  // namespace ponder

#endif  // PONDER_SANDBOX_CHECKER_PROGRAM_H_
