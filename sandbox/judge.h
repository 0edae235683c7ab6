// Judges a program by tests, in sandboxes.
//
// The program's sandbox is given inputs, one test at a time, and returns
// output, values and exit statuses. Expected values and test code never enter
// it, and what comes out is data that is compared here: there is no verdict in
// there to forge. A test passes only if its own answer arrived, whole and
// right, and its process then ended by itself with status 0.
//
//   stdio   A fork of an interpreter that has not yet run anything runs the
//           program, as __main__, with the test's standard input.
//   call    The program is loaded once, as a module; each test calls the
//           function in a fork of it. Values of exact built-in types come back
//           (see python_value.h); anything else is a wrong answer.
//   assert  The test's code runs in a second sandbox. Names that it uses and
//           does not define are functions there that send their arguments to
//           the program's sandbox and return the value that comes back. If the
//           suite names a function and the code defines check(candidate), as
//           in HumanEval, that is called with the function. So the program
//           cannot touch the test, but the form has limits: only values cross,
//           hence a test that needs an object of the program's own class, or
//           an argument changed in place, fails; and a test that relies on a
//           helper of the program (HumanEval/32 uses its `poly`) believes that
//           helper.

#ifndef PONDER_SANDBOX_JUDGE_H_
#define PONDER_SANDBOX_JUDGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/reward.pb.h"
#include "sandbox/cancel_token.h"
#include "sandbox/run_limits.h"
#include "sandbox/session.h"

namespace ponder {

enum class RunVerdict {
  kAccepted,
  kWrongAnswer,
  kRuntimeError,
  kTimeLimit,
  kMemoryLimit,
  kOutputLimit,
  kNotRun,  // An earlier test failed.
};

// AC, WA, RE, TLE, MLE, OLE, or "-" for kNotRun.
absl::string_view VerdictName(RunVerdict verdict);

struct TestResult {
  RunVerdict verdict = RunVerdict::kNotRun;
  int exit_code = 0;  // Of the test's process.
  int signal = 0;     // That ended it. 0: it ended by itself.
  absl::Duration cpu;
  absl::Duration wall;
  std::string message;  // What went wrong, for a person.
};

struct JudgeReport {
  // Of the first test that failed, kAccepted if all passed.
  RunVerdict verdict = RunVerdict::kAccepted;
  std::string message;            // Of the same test.
  std::vector<TestResult> tests;  // Visible ones first, in their order.
  // Of the first test that failed, otherwise of the last.
  int exit_code = 0;
  int signal = 0;
  CapturedOutput output;
  absl::Duration cpu;   // Of everything, the interpreter's start included.
  absl::Duration wall;  // The same.
  int64_t peak_memory_bytes = 0;

  int num_passed() const;
};

struct JudgeOptions {
  bool stop_at_first_failure = true;
};

// What a program did with one input.
struct RunReport {
  RunVerdict verdict = RunVerdict::kAccepted;  // kAccepted: it ended with 0.
  int exit_code = 0;
  int signal = 0;
  CapturedOutput output;
  absl::Duration cpu;
  absl::Duration wall;
  int64_t peak_memory_bytes = 0;
  std::string message;
};

// One job in one or two cells, which nothing else uses meanwhile. Blocks.
// INVALID_ARGUMENT for tests that judge nothing, CANCELLED, and INTERNAL,
// UNAVAILABLE or RESOURCE_EXHAUSTED if the sandbox was lost: then nothing is
// known about the program.
absl::StatusOr<JudgeReport> JudgeInCells(
    const SandboxTools& tools, SandboxCell& program_cell,
    SandboxCell& checker_cell, absl::string_view program,
    const TestSuite& suite, const RunLimits& limits,
    const JudgeOptions& options, const CancelToken* cancel);

absl::StatusOr<RunReport> RunInCell(const SandboxTools& tools,
                                    SandboxCell& cell,
                                    absl::string_view program,
                                    absl::string_view standard_input,
                                    const RunLimits& limits,
                                    const CancelToken* cancel);

}  // namespace ponder

#endif  // PONDER_SANDBOX_JUDGE_H_
