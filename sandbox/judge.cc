#include "sandbox/judge.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "sandbox/output_match.h"
#include "sandbox/python_value.h"

namespace ponder {
namespace {

using Event = SandboxSession::Event;

// From the start of bubblewrap to the runner's first message; 20 ms on an idle
// machine.
constexpr absl::Duration kStartTimeout = absl::Seconds(30);
constexpr size_t kMessageBytes = 500;  // Of a text for a person.

std::string Marshal(const PythonValue& value) {
  std::string bytes;
  AppendMarshal(value, &bytes);
  return bytes;
}

PythonValue EmptyDict() {
  PythonValue value;
  value.kind = PythonValue::Kind::kDict;
  return value;
}

// The last line of a traceback, which names the error.
std::string LastLine(absl::string_view text) {
  text = absl::StripTrailingAsciiWhitespace(text);
  const size_t newline = text.rfind('\n');
  if (newline != absl::string_view::npos) text.remove_prefix(newline + 1);
  return std::string(text.substr(0, kMessageBytes));
}

struct ProcessEnd {
  int wait_status = 0;
  absl::Duration cpu;
};

// Body of an X message.
std::optional<ProcessEnd> ParseProcessEnd(absl::string_view body) {
  const absl::StatusOr<PythonValue> value = ParseMarshal(body);
  if (!value.ok() || value->kind != PythonValue::Kind::kTuple ||
      value->items.size() != 3) {
    return std::nullopt;
  }
  for (const PythonValue& item : value->items) {
    if (item.kind != PythonValue::Kind::kInt || item.int_value < 0) {
      return std::nullopt;
    }
  }
  return ProcessEnd{static_cast<int>(value->items[0].int_value & 0xffff),
                    absl::Microseconds(value->items[1].int_value)};
}

// Body of an E message: the error's type and text.
std::pair<std::string, std::string> ParseError(absl::string_view body) {
  const absl::StatusOr<PythonValue> value = ParseMarshal(body);
  if (!value.ok() || value->items.size() != 2 ||
      value->items[0].kind != PythonValue::Kind::kString ||
      value->items[1].kind != PythonValue::Kind::kString) {
    return {"RuntimeError", "an error that could not be read"};
  }
  return {value->items[0].text, value->items[1].text};
}

// A sandbox that runs one program, or test code, in one of the runner's modes.
class Worker {
 public:
  Worker(const SandboxTools& tools, SandboxCell& cell, const RunLimits& limits,
         const CancelToken* cancel)
      : tools_(tools), cell_(cell), limits_(limits), cancel_(cancel) {}

  // OK, or lost infrastructure. `failure` is set if the program itself cannot
  // be loaded.
  absl::Status Load(absl::string_view mode, absl::string_view source,
                    absl::Time last_moment, TestResult* failure);

  SandboxSession& session() { return *session_; }
  bool is_running() const { return session_ != nullptr; }

  // Fills `result` from an event that is not a message of the test's: the
  // sandbox is over. CANCELLED or a lost sandbox is a status.
  absl::Status Fail(Event event, TestResult* result);

  // Fills the verdict of a process that ended, kAccepted if by itself with 0.
  void Classify(const ProcessEnd& end, const CapturedOutput& output,
                TestResult* result);

  // Ends the sandbox, if there is one, and adds what it used to the report.
  absl::Status End(JudgeReport* report);

  // What the sandbox left on standard error when it ended.
  const SessionEnd& session_end() const { return session_end_; }

 private:
  absl::Status EndSession();

  const SandboxTools& tools_;
  SandboxCell& cell_;
  const RunLimits& limits_;
  const CancelToken* const cancel_;
  std::unique_ptr<SandboxSession> session_;
  SessionEnd session_end_;
  CapturedOutput last_output_;  // Of a sandbox that ended by itself.

 public:
  CapturedOutput TakeLastOutput() { return std::exchange(last_output_, {}); }
};

absl::Status Worker::EndSession() {
  if (session_ == nullptr) return absl::OkStatus();
  last_output_ = session_->TakeOutput();
  absl::StatusOr<SessionEnd> end = session_->End();
  session_ = nullptr;
  if (!end.ok()) return end.status();
  session_end_ = *std::move(end);
  last_output_.stderr_bytes += session_end_.stderr_bytes;
  return absl::OkStatus();
}

absl::Status Worker::End(JudgeReport* report) {
  PONDER_RETURN_IF_ERROR(EndSession());
  report->cpu += session_end_.cpu;
  report->peak_memory_bytes =
      std::max(report->peak_memory_bytes, session_end_.peak_memory_bytes);
  return absl::OkStatus();
}

absl::Status Worker::Load(absl::string_view mode, absl::string_view source,
                          absl::Time last_moment, TestResult* failure) {
  PONDER_ASSIGN_OR_RETURN(
      session_, SandboxSession::Start(tools_, cell_, limits_, cancel_));
  session_->StartClock(kStartTimeout, absl::InfiniteFuture());
  RunnerMessage message;
  const Event hello = session_->Next(&message);
  if (hello == Event::kCancelled) return absl::CancelledError("cancelled");
  if (hello != Event::kMessage || message.kind != 'H') {
    PONDER_RETURN_IF_ERROR(EndSession());
    return absl::UnavailableError(absl::StrCat(
        "the sandbox did not start: ",
        hello == Event::kWallLimit ? "no sign of life in 30 seconds"
                                   : LastLine(last_output_.stderr_bytes)));
  }

  session_->StartClock(limits_.wall, last_moment);
  session_->Send(
      'S', Marshal(PythonTuple({PythonString(mode), PythonBytes(source)})));
  const Event loaded = session_->Next(&message);
  if (loaded != Event::kMessage) return Fail(loaded, failure);
  if (message.kind == 'L') return absl::OkStatus();
  failure->verdict = RunVerdict::kRuntimeError;
  if (message.kind == 'E') {
    const auto [type, text] = ParseError(message.body);
    failure->message = absl::StrCat(type, ": ", text);
    // MemoryError is what a limit on data looks like from inside.
    if (type == "MemoryError") failure->verdict = RunVerdict::kMemoryLimit;
  } else {
    failure->message = "the program wrote to the runner's channel";
  }
  failure->exit_code = 1;
  return EndSession();
}

absl::Status Worker::Fail(Event event, TestResult* result) {
  const bool out_of_memory = session_->OomKills() > 0;
  PONDER_RETURN_IF_ERROR(EndSession());
  switch (event) {
    case Event::kCancelled:
      return absl::CancelledError("cancelled");
    case Event::kOutputLimit:
      result->verdict = RunVerdict::kOutputLimit;
      result->message = absl::StrCat("more output than ", limits_.output_bytes,
                                     " bytes, or a value beyond ",
                                     kMaxMessageBytes, " bytes");
      break;
    case Event::kWallLimit:
      result->verdict = RunVerdict::kTimeLimit;
      result->message = "wall time limit";
      break;
    case Event::kCpuLimit:
      result->verdict = RunVerdict::kTimeLimit;
      result->message = "CPU time limit";
      break;
    case Event::kMessage:
      result->verdict = RunVerdict::kRuntimeError;
      result->message = "the program wrote to the runner's channel";
      break;
    case Event::kEnded: {
      // The init ends with the runner's status, or 128 + signal.
      const int status = session_end_.wait_status;
      result->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
      if (result->exit_code > 128) {
        result->signal = result->exit_code - 128;
        result->exit_code = 0;
      }
      result->verdict = RunVerdict::kRuntimeError;
      result->message = "the program ended the whole sandbox";
      if (result->signal == SIGXCPU) {
        result->verdict = RunVerdict::kTimeLimit;
        result->message = "CPU time limit";
      }
      break;
    }
  }
  if (out_of_memory || session_end_.oom_kills > 0) {
    result->verdict = RunVerdict::kMemoryLimit;
    result->message = "memory limit";
  }
  return absl::OkStatus();
}

void Worker::Classify(const ProcessEnd& end, const CapturedOutput& output,
                      TestResult* result) {
  result->cpu = end.cpu;
  if (WIFSIGNALED(end.wait_status)) {
    result->signal = WTERMSIG(end.wait_status);
  } else {
    result->exit_code = WEXITSTATUS(end.wait_status);
  }
  const bool failed = result->signal != 0 || result->exit_code != 0;
  if (end.cpu > limits_.cpu || result->signal == SIGXCPU) {
    result->verdict = RunVerdict::kTimeLimit;
    result->message = "CPU time limit";
  } else if (failed && session_->OomKills() > 0) {
    result->verdict = RunVerdict::kMemoryLimit;
    result->message = "memory limit";
  } else if (failed) {
    result->verdict = RunVerdict::kRuntimeError;
    result->message = LastLine(output.stderr_bytes);
    if (result->message.empty()) {
      result->message = result->signal != 0
                            ? absl::StrCat("ended by signal ", result->signal)
                            : absl::StrCat("exit code ", result->exit_code);
    }
    if (result->message == "MemoryError") {
      result->verdict = RunVerdict::kMemoryLimit;
    }
  } else {
    result->verdict = RunVerdict::kAccepted;
  }
}

// One job. The functions that run a test return a status for lost
// infrastructure alone.
class Job {
 public:
  Job(const SandboxTools& tools, SandboxCell& program_cell,
      SandboxCell& checker_cell, const TestSuite& suite,
      const RunLimits& limits, std::optional<double> tolerance,
      const CancelToken* cancel)
      : suite_(suite),
        limits_(limits),
        tolerance_(tolerance),
        started_(absl::Now()),
        last_moment_(started_ + limits.suite_wall),
        program_(tools, program_cell, limits, cancel),
        checker_(tools, checker_cell, limits, cancel) {}

  absl::StatusOr<JudgeReport> Run(absl::string_view source,
                                  const JudgeOptions& options);

 private:
  // What one call of a function of the program gave.
  struct CallResult {
    std::optional<std::string> value;       // Body of the V message.
    std::optional<std::string> unsendable;  // Type's name, of U.
    std::optional<std::string> error;       // Body of E.
    ProcessEnd end;
    CapturedOutput output;
  };

  const TestCase& Case(int index) const {
    return index < suite_.visible_size()
               ? suite_.visible(index)
               : suite_.hidden(index - suite_.visible_size());
  }

  absl::Status RunTest(int index, TestResult* result);
  absl::Status RunStdio(const TestCase& test, TestResult* result);
  absl::Status RunCall(const TestCase& test, TestResult* result);
  absl::Status RunAssert(int index, const TestCase& test, TestResult* result);

  // Calls a function of the program: a tuple of name, args, kwargs. False if
  // the sandbox ended over it and `result` says how.
  absl::StatusOr<bool> Call(const PythonValue& request, CallResult* call,
                            TestResult* result);
  // Answers one call that the test code makes. The same.
  absl::StatusOr<bool> ForwardCall(absl::string_view body, TestResult* result);

  const TestSuite& suite_;
  const RunLimits& limits_;
  const std::optional<double> tolerance_;
  const absl::Time started_;
  const absl::Time last_moment_;
  Worker program_;
  Worker checker_;                   // For assert alone.
  CapturedOutput output_;            // Of the running test.
  bool error_from_program_ = false;  // A call of the running test raised.
  int num_calls_ = 0;                // That the running test's code made.
};

absl::StatusOr<JudgeReport> Job::Run(absl::string_view source,
                                     const JudgeOptions& options) {
  JudgeReport report;
  report.tests.resize(suite_.visible_size() + suite_.hidden_size());
  TestResult load;
  PONDER_RETURN_IF_ERROR(
      program_.Load(suite_.kind() == "stdio" ? "stdio" : "call", source,
                    last_moment_, &load));
  if (load.verdict == RunVerdict::kNotRun && suite_.kind() == "assert") {
    TestResult checker_failure;
    PONDER_RETURN_IF_ERROR(
        checker_.Load("test", "", absl::InfiniteFuture(), &checker_failure));
    if (checker_failure.verdict != RunVerdict::kNotRun) {
      return absl::UnavailableError("the sandbox of the tests did not start");
    }
  }
  const bool loaded = load.verdict == RunVerdict::kNotRun;
  if (!loaded) {
    output_ = program_.TakeLastOutput();
    if (load.message.empty()) load.message = LastLine(output_.stderr_bytes);
  }
  for (size_t i = 0; i < report.tests.size(); ++i) {
    TestResult& result = report.tests[i];
    if (loaded) {
      const absl::Time start = absl::Now();
      PONDER_RETURN_IF_ERROR(RunTest(static_cast<int>(i), &result));
      result.wall = absl::Now() - start;
    } else {
      result = load;
    }
    const bool first_failure = report.verdict == RunVerdict::kAccepted &&
                               result.verdict != RunVerdict::kAccepted;
    if (first_failure || report.verdict == RunVerdict::kAccepted) {
      report.verdict = result.verdict;
      report.message = result.message;
      report.exit_code = result.exit_code;
      report.signal = result.signal;
      report.output = std::exchange(output_, {});
    }
    // Nothing runs in a sandbox that has ended.
    if (!program_.is_running() ||
        (suite_.kind() == "assert" && !checker_.is_running()) ||
        (first_failure && options.stop_at_first_failure)) {
      break;
    }
  }
  PONDER_RETURN_IF_ERROR(program_.End(&report));
  PONDER_RETURN_IF_ERROR(checker_.End(&report));
  report.wall = absl::Now() - started_;
  return report;
}

absl::Status Job::RunTest(int index, TestResult* result) {
  const TestCase& test = Case(index);
  absl::Status status;
  if (suite_.kind() == "stdio") {
    status = RunStdio(test, result);
  } else if (suite_.kind() == "call") {
    status = RunCall(test, result);
  } else {
    status = RunAssert(index, test, result);
  }
  if (!program_.is_running()) {
    CapturedOutput rest = program_.TakeLastOutput();
    if (output_.stdout_bytes.empty()) output_ = std::move(rest);
  }
  return status;
}

absl::Status Job::RunStdio(const TestCase& test, TestResult* result) {
  SandboxSession& session = program_.session();
  session.StartClock(limits_.wall, last_moment_);
  session.Send('I', test.stdin());
  RunnerMessage message;
  const Event event = session.Next(&message);
  if (event != Event::kMessage || message.kind != 'X') {
    return program_.Fail(event, result);
  }
  const std::optional<ProcessEnd> end = ParseProcessEnd(message.body);
  if (!end.has_value()) return program_.Fail(event, result);
  output_ = session.TakeOutput();
  program_.Classify(*end, output_, result);
  if (result->verdict == RunVerdict::kAccepted &&
      !OutputMatches(test.stdout(), output_.stdout_bytes, tolerance_)) {
    result->verdict = RunVerdict::kWrongAnswer;
    result->message = "the output differs from the expected one";
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Job::Call(const PythonValue& request, CallResult* call,
                               TestResult* result) {
  SandboxSession& session = program_.session();
  session.Send('C', Marshal(request));
  while (true) {
    RunnerMessage message;
    const Event event = session.Next(&message);
    const bool answered = call->value.has_value() ||
                          call->unsendable.has_value() ||
                          call->error.has_value();
    if (event == Event::kMessage && !answered && message.kind == 'V') {
      call->value = std::move(message.body);
    } else if (event == Event::kMessage && !answered && message.kind == 'U') {
      call->unsendable = message.body.substr(0, 100);
    } else if (event == Event::kMessage && !answered && message.kind == 'E') {
      call->error = std::move(message.body);
    } else {
      std::optional<ProcessEnd> end;
      if (event == Event::kMessage && message.kind == 'X') {
        end = ParseProcessEnd(message.body);
      }
      if (!end.has_value()) {
        PONDER_RETURN_IF_ERROR(program_.Fail(event, result));
        return false;
      }
      call->end = *end;
      call->output = session.TakeOutput();
      return true;
    }
  }
}

absl::Status Job::RunCall(const TestCase& test, TestResult* result) {
  program_.session().StartClock(limits_.wall, last_moment_);
  std::vector<PythonValue> args;
  for (const Value& arg : test.args().values()) {
    args.push_back(PythonFromValue(arg));
  }
  CallResult call;
  PONDER_ASSIGN_OR_RETURN(
      const bool answered,
      Call(PythonTuple({PythonString(suite_.fn()), PythonTuple(std::move(args)),
                        EmptyDict()}),
           &call, result));
  if (!answered) return absl::OkStatus();
  output_ = std::move(call.output);
  program_.Classify(call.end, output_, result);
  if (result->verdict != RunVerdict::kAccepted) return absl::OkStatus();
  if (call.unsendable.has_value()) {
    result->verdict = RunVerdict::kWrongAnswer;
    result->message = absl::StrCat("returned a ", *call.unsendable,
                                   ", or a container with an object that is "
                                   "not of a built-in type");
    return absl::OkStatus();
  }
  if (!call.value.has_value()) {
    result->verdict = RunVerdict::kRuntimeError;
    result->message = "the function's process ended without an answer";
    return absl::OkStatus();
  }
  const absl::StatusOr<PythonValue> value = ParseMarshal(*call.value);
  if (!value.ok()) {
    result->verdict = RunVerdict::kWrongAnswer;
    result->message = absl::StrCat("returned ", value.status().message());
  } else if (!MatchesExpected(test.expected(), *value, tolerance_)) {
    result->verdict = RunVerdict::kWrongAnswer;
    result->message =
        absl::StrCat("returned ", Describe(*value, kMessageBytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Job::ForwardCall(absl::string_view body,
                                      TestResult* result) {
  const absl::StatusOr<PythonValue> request = ParseMarshal(body);
  if (!request.ok() || request->items.size() != 3) {
    return absl::InvalidArgumentError(
        "tests: the test code sends a call that is too large");
  }
  ++num_calls_;
  CallResult call;
  PONDER_ASSIGN_OR_RETURN(const bool answered, Call(*request, &call, result));
  if (!answered) return false;
  output_ = std::move(call.output);
  TestResult end;
  program_.Classify(call.end, output_, &end);
  if (call.error.has_value()) {
    // Type and text of what the function raised: the test may expect it.
    const auto [type, text] = ParseError(*call.error);
    error_from_program_ = true;
    checker_.session().Send(
        'E', Marshal(PythonTuple({PythonString(type), PythonString(text)})));
    return true;
  }
  if (end.verdict != RunVerdict::kAccepted) {
    *result = end;
    return false;
  }
  std::string problem = "the function's process ended without an answer";
  if (call.unsendable.has_value()) {
    problem = absl::StrCat("the function returned a ", *call.unsendable);
  } else if (call.value.has_value()) {
    // Read and written again: no byte of the program's own reaches the test.
    absl::StatusOr<PythonValue> value = ParseMarshal(*call.value);
    if (value.ok()) {
      checker_.session().Send('V', Marshal(*value));
      return true;
    }
    problem = absl::StrCat("the function returned ", value.status().message());
  } else {
    error_from_program_ = true;
  }
  checker_.session().Send(
      'E',
      Marshal(PythonTuple({PythonString("TypeError"), PythonString(problem)})));
  return true;
}

absl::Status Job::RunAssert(int index, const TestCase& test,
                            TestResult* result) {
  program_.session().StartClock(limits_.wall, last_moment_);
  SandboxSession& checker = checker_.session();
  checker.StartClock(limits_.wall, last_moment_);
  checker.Send('T', Marshal(PythonTuple({PythonString(suite_.fn()),
                                         PythonString(test.code())})));
  num_calls_ = 0;
  error_from_program_ = false;
  bool passed = false;
  std::string error;
  while (true) {
    RunnerMessage message;
    const Event event = checker.Next(&message);
    if (event != Event::kMessage) return checker_.Fail(event, result);
    if (message.kind == 'C') {
      PONDER_ASSIGN_OR_RETURN(const bool answered,
                              ForwardCall(message.body, result));
      if (!answered) {
        // The test code waits for an answer that will not come.
        JudgeReport ignored;
        return checker_.End(&ignored);
      }
    } else if (message.kind == 'P') {
      passed = true;
    } else if (message.kind == 'E') {
      const auto [type, text] = ParseError(message.body);
      error = text.empty() ? type : absl::StrCat(type, ": ", text);
    } else if (message.kind == 'X') {
      break;
    } else {
      return absl::InternalError("the sandbox of the tests sent nonsense");
    }
  }
  checker.TakeOutput();
  if (passed && num_calls_ == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tests: test ", index, " passes without calling the program"));
  }
  if (passed) {
    result->verdict = RunVerdict::kAccepted;
  } else {
    const bool assertion = error.rfind("AssertionError", 0) == 0;
    result->verdict = error_from_program_ && !assertion
                          ? RunVerdict::kRuntimeError
                          : RunVerdict::kWrongAnswer;
    result->message = error.empty() ? "the test ended early" : error;
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view VerdictName(RunVerdict verdict) {
  switch (verdict) {
    case RunVerdict::kAccepted:
      return "AC";
    case RunVerdict::kWrongAnswer:
      return "WA";
    case RunVerdict::kRuntimeError:
      return "RE";
    case RunVerdict::kTimeLimit:
      return "TLE";
    case RunVerdict::kMemoryLimit:
      return "MLE";
    case RunVerdict::kOutputLimit:
      return "OLE";
    case RunVerdict::kNotRun:
      break;
  }
  return "-";
}

int JudgeReport::num_passed() const {
  return static_cast<int>(
      std::count_if(tests.begin(), tests.end(), [](const TestResult& test) {
        return test.verdict == RunVerdict::kAccepted;
      }));
}

absl::StatusOr<JudgeReport> JudgeInCells(
    const SandboxTools& tools, SandboxCell& program_cell,
    SandboxCell& checker_cell, absl::string_view program,
    const TestSuite& suite, const RunLimits& limits,
    const JudgeOptions& options, const CancelToken* cancel) {
  if (suite.kind() != "stdio" && suite.kind() != "call" &&
      suite.kind() != "assert") {
    return absl::InvalidArgumentError(
        absl::StrCat("tests.kind: got \"", suite.kind(),
                     "\", wanted stdio, call or assert"));
  }
  // Passing no test is no proof of anything.
  if (suite.visible().empty() && suite.hidden().empty()) {
    return absl::InvalidArgumentError("tests: there are none");
  }
  PONDER_ASSIGN_OR_RETURN(const std::optional<double> tolerance,
                          ParseChecker(suite.checker()));
  // The runner holds a test's input in a file, which the limit on files must
  // let it write.
  RunLimits own_limits = limits;
  for (const auto* cases : {&suite.visible(), &suite.hidden()}) {
    for (const TestCase& test : *cases) {
      own_limits.file_bytes = std::max<int64_t>(
          own_limits.file_bytes, static_cast<int64_t>(test.stdin().size()));
    }
  }
  Job job(tools, program_cell, checker_cell, suite, own_limits, tolerance,
          cancel);
  return job.Run(program, options);
}

absl::StatusOr<RunReport> RunInCell(const SandboxTools& tools,
                                    SandboxCell& cell,
                                    absl::string_view program,
                                    absl::string_view standard_input,
                                    const RunLimits& limits,
                                    const CancelToken* cancel) {
  TestSuite suite;
  suite.set_kind("stdio");
  suite.add_visible()->set_stdin(std::string(standard_input));
  PONDER_ASSIGN_OR_RETURN(JudgeReport judged,
                          JudgeInCells(tools, cell, cell, program, suite,
                                       limits, JudgeOptions(), cancel));
  RunReport report;
  const TestResult& test = judged.tests[0];
  report.exit_code = test.exit_code;
  report.signal = test.signal;
  // There was nothing to compare with.
  report.verdict = judged.verdict == RunVerdict::kWrongAnswer
                       ? RunVerdict::kAccepted
                       : judged.verdict;
  if (report.verdict != RunVerdict::kAccepted) report.message = test.message;
  report.output = std::move(judged.output);
  report.cpu = judged.cpu;
  report.wall = judged.wall;
  report.peak_memory_bytes = judged.peak_memory_bytes;
  return report;
}

}  // namespace ponder
