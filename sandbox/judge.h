// Judges a program by tests, in sandboxes.
//
// The program's sandbox is given inputs, one test at a time, and returns
// output, values and exit statuses. Expected values, checkers and test code
// never enter it, and what comes out is data that is compared here: there is no
// verdict in there to forge. A test passes only if its own answer arrived,
// whole and right, and its process then ended by itself with status 0.
//
//   stdio   A program that reads and prints: Python's in a fork of an
//           interpreter that has not yet run anything, the others' in a sandbox
//           of its own. Compared by lines, with a tolerance, or by a checker
//           program in a third sandbox.
//   call    Python. The program is loaded once, as a module; each test calls
//           the function in a fork of it. Values of exact built-in types come
//           back (see python_value.h); anything else is a wrong answer.
//   assert  Python. The test's code runs in a second sandbox. Names that it
//           uses and does not define are functions there that send their
//           arguments to the program's sandbox and return the value that comes
//           back. All calls of one test are made in one fork of the program.
//           See docs/sandbox.md for what this form cannot promise.

#ifndef PONDER_SANDBOX_JUDGE_H_
#define PONDER_SANDBOX_JUDGE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/sandbox.pb.h"
#include "sandbox/cancel_token.h"
#include "sandbox/compiler.h"
#include "sandbox/language.h"
#include "sandbox/sandbox_slot.h"
#include "sandbox/verdict.h"

namespace ponder {

// What a job runs with, all borrowed; nothing else uses the slot meanwhile.
struct JobContext {
  const Language& language;
  Compiler& compiler;
  SandboxSlot& slot;
  const RunLimits& limits;
  const CancelToken* cancel;  // May be null.
};

// Both block. INVALID_ARGUMENT for tests that judge nothing or that the
// language cannot meet, CANCELLED, FAILED_PRECONDITION if the language is not
// installed, and INTERNAL, UNAVAILABLE or RESOURCE_EXHAUSTED if the sandbox was
// lost: then nothing is known about the program.
absl::StatusOr<JudgeReport> JudgeInSlot(const JobContext& context,
                                        absl::string_view program,
                                        const TestSuite& suite,
                                        const JudgeOptions& options);

absl::StatusOr<RunReport> RunInSlot(const JobContext& context,
                                    absl::string_view program,
                                    absl::string_view standard_input);

// The cell that Python programs, and test code, run in.
CellKind PythonCell(const SandboxTools& tools);

}  // namespace ponder

#endif  // PONDER_SANDBOX_JUDGE_H_
