#include "sandbox/judge.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "sandbox/assert_case.h"
#include "sandbox/checker_program.h"
#include "sandbox/output_match.h"
#include "sandbox/program_runner.h"
#include "sandbox/python_value.h"
#include "sandbox/python_worker.h"

namespace ponder {
namespace {

constexpr size_t kMessageBytes = 500;  // Of a text for a person.

// Whether a right answer can be given at all.
absl::Status CheckCase(const TestSuite& suite, const TestCase& test,
                       const RunLimits& limits) {
  if (suite.kind() == "stdio" && suite.checker_code().empty() &&
      static_cast<int64_t>(test.stdout().size()) > limits.output_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("tests: ", test.stdout().size(),
                     " bytes of output are expected, output_bytes allows ",
                     limits.output_bytes));
  }
  if (suite.kind() != "call") return absl::OkStatus();
  if (!test.has_expected()) {
    return absl::InvalidArgumentError(
        "tests: a test of kind call has no expected value");
  }
  for (const Value& arg : test.args().values()) {
    PONDER_RETURN_IF_ERROR(CheckPassable(arg));
  }
  for (const Value& other : test.also_expected()) {
    PONDER_RETURN_IF_ERROR(CheckPassable(other));
  }
  return CheckPassable(test.expected());
}

absl::Status CheckSuite(const TestSuite& suite, const Language& language,
                        const RunLimits& limits) {
  if (suite.kind() != "stdio" && suite.kind() != "call" &&
      suite.kind() != "assert") {
    return absl::InvalidArgumentError(
        absl::StrCat("tests.kind: got \"", suite.kind(),
                     "\", wanted stdio, call or assert"));
  }
  if (suite.kind() != "stdio" && !language.is_python) {
    return absl::InvalidArgumentError(
        absl::StrCat("tests.kind: tests of kind ", suite.kind(),
                     " need a program in python, got ", language.name));
  }
  if (suite.kind() != "stdio" && !suite.checker_code().empty()) {
    return absl::InvalidArgumentError(
        "tests.checker_code: only tests of kind stdio have a checker program");
  }
  // Passing no test is no proof of anything.
  if (suite.visible().empty() && suite.hidden().empty()) {
    return absl::InvalidArgumentError("tests: there are none");
  }
  for (const auto* cases : {&suite.visible(), &suite.hidden()}) {
    for (const TestCase& test : *cases) {
      PONDER_RETURN_IF_ERROR(CheckCase(suite, test, limits));
    }
  }
  return absl::OkStatus();
}

// The program behind the preamble. Python wants imports from __future__ before
// all else, and no byte order mark in the middle.
std::string WithPreamble(absl::string_view preamble,
                         absl::string_view program) {
  absl::ConsumePrefix(&program, "\xEF\xBB\xBF");
  std::string first;
  std::string rest;
  for (const absl::string_view line : absl::StrSplit(program, '\n')) {
    const bool is_future = absl::StartsWith(line, "from __future__ import");
    absl::StrAppend(is_future ? &first : &rest, line, "\n");
  }
  return absl::StrCat(first, preamble, "\n", rest);
}

// The order in which tests run.
std::vector<int> TestOrder(int num_tests, uint64_t seed) {
  std::vector<int> order(num_tests);
  std::iota(order.begin(), order.end(), 0);
  if (seed == 0) return order;
  // Not std::shuffle, whose result is each library's own.
  std::mt19937_64 random(seed);
  for (int i = num_tests - 1; i > 0; --i) {
    std::swap(order[i], order[random() % static_cast<uint64_t>(i + 1)]);
  }
  return order;
}

// One job. The functions that run a test return a status for lost
// infrastructure alone.
class Job {
 public:
  Job(const JobContext& context, SandboxCell* python_cell,
      const TestSuite& suite, std::optional<double> tolerance)
      : context_(context),
        suite_(suite),
        tolerance_(tolerance),
        started_(absl::Now()),
        last_moment_(started_ + context.limits.suite_wall),
        runner_(context.language, context.compiler, context.slot,
                context.limits, context.cancel) {
    if (python_cell != nullptr) {
      worker_.emplace(WorkerContext{context.slot.tools(), *python_cell,
                                    context.limits, context.cancel});
    }
  }

  absl::StatusOr<JudgeReport> Run(absl::string_view source,
                                  const JudgeOptions& options);

 private:
  const TestCase& Case(int index) const {
    return index < suite_.visible_size()
               ? suite_.visible(index)
               : suite_.hidden(index - suite_.visible_size());
  }

  absl::Status Load(absl::string_view source, TestResult* failure);
  bool MustLoad() const {
    return worker_.has_value() && !worker_->is_running();
  }
  absl::Status RunTest(int index, TestResult* result);
  absl::Status RunStdio(const TestCase& test, TestResult* result);
  absl::Status CompareOutput(const TestCase& test, TestResult* result);
  absl::Status RunCall(const TestCase& test, TestResult* result);
  bool IsRight(const TestCase& test, const PythonValue& value) const;
  void Record(const TestResult& result);

  const JobContext& context_;
  const TestSuite& suite_;
  const std::optional<double> tolerance_;
  const absl::Time started_;
  const absl::Time last_moment_;
  ProgramRunner runner_;
  std::optional<PythonWorker> worker_;  // Of Python programs.
  bool is_last_ = false;                // The running test is the last one.
  CapturedOutput output_;               // Of the running test.
  JudgeReport report_;
};

absl::Status Job::Load(absl::string_view source, TestResult* failure) {
  if (!worker_.has_value()) {
    return runner_.Load(source, failure, &output_, &report_);
  }
  PONDER_RETURN_IF_ERROR(
      worker_->Load(suite_.kind() == "stdio" ? "stdio" : "call", source,
                    last_moment_, failure));
  if (failure->verdict != RunVerdict::kNotRun) {
    output_ = worker_->TakeLastOutput();
    if (failure->message.empty()) {
      failure->message = LastLine(output_.stderr_bytes);
    }
  }
  return absl::OkStatus();
}

// The report is that of the first failure, or else of the last test.
void Job::Record(const TestResult& result) {
  if (report_.verdict != RunVerdict::kAccepted) return;
  report_.verdict = result.verdict;
  report_.message = result.message;
  report_.exit_code = result.exit_code;
  report_.signal = result.signal;
  report_.output = std::exchange(output_, {});
}

absl::StatusOr<JudgeReport> Job::Run(absl::string_view source,
                                     const JudgeOptions& options) {
  const int num_tests = suite_.visible_size() + suite_.hidden_size();
  report_.tests.resize(num_tests);
  TestResult load;
  bool loaded = false;
  int num_begun = 0;
  for (const int index : TestOrder(num_tests, options.shuffle_seed)) {
    is_last_ = ++num_begun == num_tests;
    TestResult& result = report_.tests[index];
    // Also anew, if a test before took the sandbox with it.
    if (!loaded || MustLoad()) {
      PONDER_RETURN_IF_ERROR(Load(source, &load));
      loaded = true;
    }
    if (load.verdict == RunVerdict::kNotRun) {
      const absl::Time start = absl::Now();
      PONDER_RETURN_IF_ERROR(RunTest(index, &result));
      result.wall = absl::Now() - start;
    } else {
      result = load;
    }
    Record(result);
    if (load.verdict != RunVerdict::kNotRun ||
        (result.verdict != RunVerdict::kAccepted &&
         options.stop_at_first_failure)) {
      break;
    }
  }
  if (worker_.has_value()) PONDER_RETURN_IF_ERROR(worker_->End(&report_));
  report_.wall = absl::Now() - started_;
  return std::move(report_);
}

absl::Status Job::RunTest(int index, TestResult* result) {
  const TestCase& test = Case(index);
  output_ = CapturedOutput();
  if (suite_.kind() == "stdio") {
    PONDER_RETURN_IF_ERROR(RunStdio(test, result));
  } else if (suite_.kind() == "call") {
    PONDER_RETURN_IF_ERROR(RunCall(test, result));
  } else {
    PONDER_ASSIGN_OR_RETURN(
        PythonWorker * checker,
        context_.slot.Checker(PythonCell(context_.slot.tools()),
                              context_.cancel));
    AssertCase assert_case(*worker_, *checker, context_.slot.checker_token(),
                           context_.limits, last_moment_, is_last_);
    PONDER_RETURN_IF_ERROR(
        assert_case.Run(index, suite_.fn(), test.code(), &output_, result));
  }
  if (worker_.has_value() && !worker_->is_running()) {
    CapturedOutput rest = worker_->TakeLastOutput();
    if (output_.stdout_bytes.empty()) output_ = std::move(rest);
  }
  return absl::OkStatus();
}

absl::Status Job::RunStdio(const TestCase& test, TestResult* result) {
  if (!worker_.has_value()) {
    PONDER_RETURN_IF_ERROR(
        runner_.Run(test.stdin(), last_moment_, result, &output_, &report_));
    return CompareOutput(test, result);
  }
  worker_->run().StartClock(context_.limits.wall, last_moment_);
  worker_->Request('I', test.stdin(), is_last_);
  ProcessEnd end;
  PONDER_ASSIGN_OR_RETURN(const bool ended,
                          worker_->AwaitEnd(/*call=*/nullptr, &end, result));
  if (!ended) return absl::OkStatus();
  worker_->ClassifyEnd(end, result);
  output_ = std::move(end.output);
  return CompareOutput(test, result);
}

absl::Status Job::CompareOutput(const TestCase& test, TestResult* result) {
  if (result->verdict != RunVerdict::kAccepted) return absl::OkStatus();
  bool right = false;
  std::string why = "the output differs from the expected one";
  if (suite_.checker_code().empty()) {
    right = OutputMatches(test.stdout(), output_.stdout_bytes, tolerance_);
  } else {
    PONDER_ASSIGN_OR_RETURN(
        right, RunCheckerProgram(context_, suite_.checker_code(), test,
                                 output_.stdout_bytes));
    why = "the checker does not accept the output";
  }
  if (!right) {
    result->verdict = RunVerdict::kWrongAnswer;
    result->message = std::move(why);
  }
  return absl::OkStatus();
}

bool Job::IsRight(const TestCase& test, const PythonValue& value) const {
  if (MatchesExpected(test.expected(), value, tolerance_)) return true;
  for (const Value& other : test.also_expected()) {
    if (MatchesExpected(other, value, tolerance_)) return true;
  }
  return false;
}

absl::Status Job::RunCall(const TestCase& test, TestResult* result) {
  worker_->run().StartClock(context_.limits.wall, last_moment_);
  std::vector<PythonValue> args;
  for (const Value& arg : test.args().values()) {
    args.push_back(PythonFromValue(arg));
  }
  worker_->Request(
      'C',
      Marshal(PythonTuple({PythonString(suite_.fn()),
                           PythonTuple(std::move(args)), PythonDict()})),
      is_last_);
  CallResult call;
  ProcessEnd end;
  PONDER_ASSIGN_OR_RETURN(const bool ended,
                          worker_->AwaitEnd(&call, &end, result));
  if (!ended) return absl::OkStatus();
  worker_->ClassifyEnd(end, result);
  output_ = std::move(end.output);
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
  } else if (!IsRight(test, *value)) {
    result->verdict = RunVerdict::kWrongAnswer;
    result->message =
        absl::StrCat("returned ", Describe(*value, kMessageBytes));
  }
  return absl::OkStatus();
}

}  // namespace

CellKind PythonCell(const SandboxTools& tools) {
  CellKind kind;
  const Language language = PythonLanguage();
  kind.name = language.name;
  kind.is_python = true;
  kind.paths = language.run_paths;
  kind.paths.push_back(tools.python);
  return kind;
}

absl::StatusOr<JudgeReport> JudgeInSlot(const JobContext& context,
                                        absl::string_view program,
                                        const TestSuite& suite,
                                        const JudgeOptions& options) {
  PONDER_RETURN_IF_ERROR(CheckSuite(suite, context.language, context.limits));
  PONDER_ASSIGN_OR_RETURN(const std::optional<double> tolerance,
                          ParseChecker(suite.checker()));
  // A test's input may be held in a file, which the limit on files must allow.
  RunLimits limits = context.limits;
  for (const auto* cases : {&suite.visible(), &suite.hidden()}) {
    for (const TestCase& test : *cases) {
      limits.file_bytes = std::max<int64_t>(
          limits.file_bytes, static_cast<int64_t>(test.stdin().size()));
    }
  }
  const JobContext own = {context.language, context.compiler, context.slot,
                          limits, context.cancel};
  SandboxCell* python_cell = nullptr;
  if (context.language.is_python) {
    PONDER_ASSIGN_OR_RETURN(python_cell,
                            context.slot.Cell(PythonCell(context.slot.tools()),
                                              SandboxSlot::User::kProgram));
  }
  Job job(own, python_cell, suite, tolerance);
  if (suite.preamble().empty() || !context.language.is_python) {
    return job.Run(program, options);
  }
  return job.Run(WithPreamble(suite.preamble(), program), options);
}

absl::StatusOr<RunReport> RunInSlot(const JobContext& context,
                                    absl::string_view program,
                                    absl::string_view standard_input) {
  TestSuite suite;
  suite.set_kind("stdio");
  suite.add_visible()->set_stdin(std::string(standard_input));
  PONDER_ASSIGN_OR_RETURN(JudgeReport judged,
                          JudgeInSlot(context, program, suite, JudgeOptions()));
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
