// A run of Python's runner: a program that is loaded once and then asked, or
// test code that asks.

#ifndef PONDER_SANDBOX_PYTHON_WORKER_H_
#define PONDER_SANDBOX_PYTHON_WORKER_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "sandbox/python_value.h"
#include "sandbox/verdict.h"

namespace ponder {

// How the process that answered a request ended, and what it had printed.
struct ProcessEnd {
  int wait_status = 0;
  absl::Duration cpu;
  int64_t peak_memory_bytes = 0;  // As it says itself.
  bool out_of_memory = false;
  CapturedOutput output;
};

// What one call of a function of the program gave: at most one of the three.
struct CallResult {
  std::optional<std::string> value;       // Body of the V message.
  std::optional<std::string> unsendable;  // Type's name, of U.
  std::optional<std::string> error;       // Body of E.

  bool answered() const {
    return value.has_value() || unsendable.has_value() || error.has_value();
  }
};

// Body of an E message: the error's type and text.
std::pair<std::string, std::string> ParseRunnerError(absl::string_view body);

std::string Marshal(const PythonValue& value);

// What all runs of a worker share; each outlives it.
struct WorkerContext {
  const SandboxTools& tools;
  SandboxCell& cell;
  const RunLimits& limits;
  const CancelToken* cancel;  // May be null.
};

// Not thread-safe. Statuses are lost infrastructure, or CANCELLED; what the
// program does wrong is in a TestResult.
class PythonWorker {
 public:
  explicit PythonWorker(const WorkerContext& context) : context_(context) {}

  // Starts a sandbox and loads the program, or for mode "test" nothing.
  // `failure` is set if the program itself cannot be loaded.
  absl::Status Load(absl::string_view mode, absl::string_view source,
                    absl::Time last_moment, TestResult* failure);

  bool is_running() const { return run_ != nullptr; }
  SandboxRun& run() { return *run_; }
  void set_cancel(const CancelToken* cancel);

  // Asks for what a fork of the runner does: kind I, C, M or T. `last`: nothing
  // comes afterwards, so that the process that has loaded the program may do it
  // itself (C and M), which saves a fork.
  void Request(char kind, absl::string_view body, bool last);

  // Waits until the process that answers has ended. What it answers before, at
  // most once, goes to `call` (may be null). False if the sandbox is over;
  // `result` then says how.
  absl::StatusOr<bool> AwaitEnd(CallResult* call, ProcessEnd* end,
                                TestResult* result);

  // Waits for one answer of a process that goes on, or the end of one that does
  // not, which sets `end`.
  absl::StatusOr<bool> AwaitAnswer(CallResult* call,
                                   std::optional<ProcessEnd>* end,
                                   TestResult* result);

  // Fills `result` from an event that ends the sandbox.
  absl::Status Fail(SandboxRun::Event event, TestResult* result);

  void ClassifyEnd(const ProcessEnd& end, TestResult* result) const;

  // Ends the sandbox, if there is one, and adds what it used to the report.
  absl::Status End(JudgeReport* report);

  // What the sandbox left on its streams when it ended.
  CapturedOutput TakeLastOutput() { return std::exchange(last_output_, {}); }

 private:
  absl::Status EndRun();
  bool TakeAnswer(RunnerMessage* message, CallResult* call);

  const WorkerContext context_;
  const CancelToken* cancel_ = context_.cancel;
  std::unique_ptr<SandboxRun> run_;
  bool answers_itself_ = false;  // The end of the run is that of an answer.
  RunEnd end_;
  absl::Duration cpu_;        // Of all that have ended.
  absl::Duration forks_cpu_;  // Of the forks of `run_` that have ended.
  int64_t peak_memory_bytes_ = 0;
  CapturedOutput last_output_;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_PYTHON_WORKER_H_
