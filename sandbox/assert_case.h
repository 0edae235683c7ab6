// One test whose form is code: it runs in one sandbox, the program that it
// calls in another.

#ifndef PONDER_SANDBOX_ASSERT_CASE_H_
#define PONDER_SANDBOX_ASSERT_CASE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "sandbox/python_worker.h"

namespace ponder {

// One use. Not thread-safe.
class AssertCase {
 public:
  // All are running and outlive it; the program's in mode "call", the
  // checker's in mode "test" with this token as its source.
  AssertCase(PythonWorker& program, PythonWorker& checker,
             const std::string& token, const RunLimits& limits,
             absl::Time last_moment, bool is_last)
      : program_(program),
        checker_(checker),
        token_(token),
        limits_(limits),
        last_moment_(last_moment),
        is_last_(is_last) {}

  // Statuses: INVALID_ARGUMENT if the test, the suite's `index`th, judges
  // nothing; CANCELLED; lost infrastructure. The checker is ended unless
  // nothing of this test can meet the next.
  absl::Status Run(int index, absl::string_view function,
                   absl::string_view code, CapturedOutput* output,
                   TestResult* result);

 private:
  absl::Status RunTest(int index, absl::string_view function,
                       absl::string_view code, CapturedOutput* output,
                       TestResult* result);
  // Answers one call that the test code makes. False if there is no answer:
  // the program is over, and `result` says how.
  absl::StatusOr<bool> ForwardCall(absl::string_view body, TestResult* result);
  void SendError(absl::string_view type, absl::string_view text);
  // Ends the process that served the calls, if it still runs.
  absl::Status EndCalls(CapturedOutput* output);
  // `result` from what ended the checker before its test did.
  absl::Status FailChecker(SandboxRun::Event event, TestResult* result);
  absl::Status Conclude(int index, bool passed, const std::string& error,
                        TestResult* result);

  PythonWorker& program_;
  PythonWorker& checker_;
  const std::string& token_;
  const RunLimits& limits_;
  const absl::Time last_moment_;
  const bool is_last_;               // No other test of the suite follows.
  bool serving_ = false;             // A process of the program answers calls.
  bool error_from_program_ = false;  // A call raised.
  bool checker_is_clean_ = false;    // It may run further tests.
  int num_calls_ = 0;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_ASSERT_CASE_H_
