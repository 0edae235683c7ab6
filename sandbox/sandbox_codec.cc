#include "sandbox/sandbox_codec.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

constexpr RunVerdict kVerdicts[] = {
    RunVerdict::kAccepted,     RunVerdict::kWrongAnswer,
    RunVerdict::kRuntimeError, RunVerdict::kTimeLimit,
    RunVerdict::kMemoryLimit,  RunVerdict::kOutputLimit,
    RunVerdict::kCompileError, RunVerdict::kNotRun};

absl::StatusOr<RunVerdict> VerdictFrom(absl::string_view name) {
  for (const RunVerdict verdict : kVerdicts) {
    if (VerdictName(verdict) == name) return verdict;
  }
  return absl::InternalError(
      absl::StrCat("a sandbox server sent the verdict \"", name, "\""));
}

// The fields that the reports have in common.
template <typename Report>
void FillCommon(const Report& report, SandboxResult* result) {
  SandboxTestResult* outcome = result->mutable_outcome();
  outcome->set_verdict(std::string(VerdictName(report.verdict)));
  outcome->set_exit_code(report.exit_code);
  outcome->set_signal(report.signal);
  outcome->set_message(report.message);
  result->set_stdout(report.output.stdout_bytes);
  result->set_stderr(report.output.stderr_bytes);
  result->set_stdout_truncated(report.output.stdout_truncated);
  result->set_stderr_truncated(report.output.stderr_truncated);
  result->set_cpu_micros(absl::ToInt64Microseconds(report.cpu));
  result->set_wall_micros(absl::ToInt64Microseconds(report.wall));
  result->set_peak_memory_bytes(report.peak_memory_bytes);
}

template <typename Report>
absl::StatusOr<Report> CommonFrom(const SandboxResult& result) {
  if (result.code() != 0) {
    return absl::Status(static_cast<absl::StatusCode>(result.code()),
                        result.error());
  }
  Report report;
  PONDER_ASSIGN_OR_RETURN(report.verdict,
                          VerdictFrom(result.outcome().verdict()));
  report.exit_code = result.outcome().exit_code();
  report.signal = result.outcome().signal();
  report.message = result.outcome().message();
  report.output.stdout_bytes = result.stdout();
  report.output.stderr_bytes = result.stderr();
  report.output.stdout_truncated = result.stdout_truncated();
  report.output.stderr_truncated = result.stderr_truncated();
  report.cpu = absl::Microseconds(result.cpu_micros());
  report.wall = absl::Microseconds(result.wall_micros());
  report.peak_memory_bytes = result.peak_memory_bytes();
  return report;
}

}  // namespace

void FillResult(const absl::Status& status, SandboxResult* result) {
  result->set_code(static_cast<int>(status.code()));
  result->set_error(std::string(status.message()));
}

void FillResult(const JudgeReport& report, SandboxResult* result) {
  FillCommon(report, result);
  for (const TestResult& test : report.tests) {
    SandboxTestResult* out = result->add_tests();
    out->set_verdict(std::string(VerdictName(test.verdict)));
    out->set_exit_code(test.exit_code);
    out->set_signal(test.signal);
    out->set_message(test.message);
    out->set_cpu_micros(absl::ToInt64Microseconds(test.cpu));
    out->set_wall_micros(absl::ToInt64Microseconds(test.wall));
  }
}

void FillResult(const RunReport& report, SandboxResult* result) {
  FillCommon(report, result);
}

absl::StatusOr<JudgeReport> JudgeReportFrom(const SandboxResult& result) {
  PONDER_ASSIGN_OR_RETURN(JudgeReport report, CommonFrom<JudgeReport>(result));
  for (const SandboxTestResult& test : result.tests()) {
    TestResult out;
    PONDER_ASSIGN_OR_RETURN(out.verdict, VerdictFrom(test.verdict()));
    out.exit_code = test.exit_code();
    out.signal = test.signal();
    out.message = test.message();
    out.cpu = absl::Microseconds(test.cpu_micros());
    out.wall = absl::Microseconds(test.wall_micros());
    report.tests.push_back(std::move(out));
  }
  return report;
}

absl::StatusOr<RunReport> RunReportFrom(const SandboxResult& result) {
  return CommonFrom<RunReport>(result);
}

}  // namespace ponder
