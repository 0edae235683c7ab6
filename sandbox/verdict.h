// What became of a program.

#ifndef PONDER_SANDBOX_VERDICT_H_
#define PONDER_SANDBOX_VERDICT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "sandbox/sandbox_run.h"

namespace ponder {

enum class RunVerdict {
  kAccepted,
  kWrongAnswer,
  kRuntimeError,
  kTimeLimit,
  kMemoryLimit,
  kOutputLimit,
  kCompileError,
  kNotRun,  // An earlier test failed.
};

// AC, WA, RE, TLE, MLE, OLE, CE, or "-" for kNotRun.
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
  absl::Duration cpu;   // Of everything, the compiler included.
  absl::Duration wall;  // The same.
  int64_t peak_memory_bytes = 0;

  int num_passed() const;
  // Passed tests out of all.
  double passed_share() const;
};

struct JudgeOptions {
  bool stop_at_first_failure = true;
  // Not 0: tests run in an order that it decides. Results keep their places.
  uint64_t shuffle_seed = 0;
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

// How a process ended, from waitpid()'s status.
void SetExit(int wait_status, TestResult* result);

// Fills `result` of a process that ended by itself: kAccepted if with 0.
// `out_of_memory`: something was killed for want of memory.
void Classify(int wait_status, absl::Duration cpu, bool out_of_memory,
              const CapturedOutput& output, const RunLimits& limits,
              TestResult* result);

// Fills `result` of a run that was ended by `event`, which is none of kMessage,
// kEnded, kCancelled, kLost.
void ClassifyLimit(SandboxRun::Event event, bool out_of_memory,
                   const RunLimits& limits, TestResult* result);

// The last line of a text, which in a traceback names the error, cut short.
std::string LastLine(absl::string_view text);

}  // namespace ponder

#endif  // PONDER_SANDBOX_VERDICT_H_
