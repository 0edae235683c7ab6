#include "sandbox/verdict.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace ponder {
namespace {

constexpr size_t kLineBytes = 500;

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
    case RunVerdict::kCompileError:
      return "CE";
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

double JudgeReport::passed_share() const {
  return tests.empty() ? 0
                       : static_cast<double>(num_passed()) /
                             static_cast<double>(tests.size());
}

void SetExit(int wait_status, TestResult* result) {
  result->signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  result->exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 0;
}

void Classify(int wait_status, absl::Duration cpu, bool out_of_memory,
              const CapturedOutput& output, const RunLimits& limits,
              TestResult* result) {
  result->cpu = cpu;
  SetExit(wait_status, result);
  const bool failed = result->signal != 0 || result->exit_code != 0;
  if (cpu > limits.cpu || result->signal == SIGXCPU) {
    result->verdict = RunVerdict::kTimeLimit;
    result->message = "CPU time limit";
  } else if (failed && out_of_memory) {
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
    // What a limit on data looks like from inside.
    if (result->message == "MemoryError") {
      result->verdict = RunVerdict::kMemoryLimit;
    }
  } else {
    result->verdict = RunVerdict::kAccepted;
  }
}

void ClassifyLimit(SandboxRun::Event event, bool out_of_memory,
                   const RunLimits& limits, TestResult* result) {
  switch (event) {
    case SandboxRun::Event::kOutputLimit:
      result->verdict = RunVerdict::kOutputLimit;
      result->message = absl::StrCat("more output than ", limits.output_bytes,
                                     " bytes, or a value beyond ",
                                     kMaxMessageBytes, " bytes");
      break;
    case SandboxRun::Event::kWallLimit:
      result->verdict = RunVerdict::kTimeLimit;
      result->message = "wall time limit";
      break;
    default:
      result->verdict = RunVerdict::kTimeLimit;
      result->message = "CPU time limit";
      break;
  }
  if (out_of_memory) {
    result->verdict = RunVerdict::kMemoryLimit;
    result->message = "memory limit";
  }
}

std::string LastLine(absl::string_view text) {
  text = absl::StripTrailingAsciiWhitespace(text);
  const size_t newline = text.rfind('\n');
  if (newline != absl::string_view::npos) text.remove_prefix(newline + 1);
  return std::string(text.substr(0, kLineBytes));
}

}  // namespace ponder
