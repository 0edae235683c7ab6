#include "reward/code_verifier.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

constexpr absl::string_view kFence = "```";

bool IsPythonTag(absl::string_view tag) {
  const std::string lower = absl::AsciiStrToLower(tag);
  return lower.empty() || lower == "python" || lower == "python3" ||
         lower == "py";
}

std::string LimitsText(const RunLimits& limits) {
  return absl::StrCat(
      absl::FormatDuration(limits.cpu), " ", absl::FormatDuration(limits.wall),
      " ", absl::FormatDuration(limits.suite_wall), " ", limits.memory_bytes,
      " ", limits.processes, " ", limits.output_bytes, " ", limits.file_bytes,
      " ", limits.disk_bytes);
}

// Only what would come out again on a machine with another load.
bool IsDeterministic(RunVerdict verdict) {
  return verdict == RunVerdict::kAccepted ||
         verdict == RunVerdict::kWrongAnswer ||
         verdict == RunVerdict::kRuntimeError;
}

std::string Reason(const JudgeReport& report) {
  if (report.verdict == RunVerdict::kAccepted) {
    return absl::StrCat("all ", report.tests.size(), " tests pass");
  }
  size_t failed = 0;
  while (failed + 1 < report.tests.size() &&
         report.tests[failed].verdict == RunVerdict::kAccepted) {
    ++failed;
  }
  return absl::StrCat(VerdictName(report.verdict), " in test ", failed + 1,
                      " of ", report.tests.size(), ": ", report.message);
}

}  // namespace

absl::string_view ExtractProgram(absl::string_view answer) {
  // Fences stand at the start of a line.
  std::optional<absl::string_view> program;
  bool inside = false;
  bool is_python = false;
  bool any_fence = false;
  size_t start = 0;  // Of the open block's first line.
  size_t line = 0;
  while (line <= answer.size()) {
    const size_t end = std::min(answer.find('\n', line), answer.size());
    absl::string_view text = answer.substr(line, end - line);
    text = absl::StripAsciiWhitespace(text);
    if (absl::ConsumePrefix(&text, kFence)) {
      any_fence = true;
      if (!inside) {
        is_python = IsPythonTag(absl::StripAsciiWhitespace(text));
        start = std::min(end + 1, answer.size());
        inside = true;
      } else if (absl::StripAsciiWhitespace(text).empty()) {
        if (is_python) program = answer.substr(start, line - start);
        inside = false;
      }
    }
    line = end + 1;
  }
  if (inside && is_python) program = answer.substr(start);
  if (program.has_value()) return *program;
  return any_fence ? absl::string_view() : answer;
}

absl::StatusOr<CodeResult> CodeVerifier::Verify(absl::string_view program,
                                                const TestSuite& tests,
                                                const CancelToken* cancel) {
  CodeResult result;
  if (absl::StripAsciiWhitespace(program).empty()) {
    result.reason = "there is no program in the answer";
    return result;
  }
  const VerdictCache::Key key = VerdictCache::MakeKey(
      program, tests.SerializeAsString(), LimitsText(options_.limits));
  if (std::optional<VerdictCache::Entry> entry = cache_.Find(key);
      entry.has_value()) {
    result.correct = entry->correct;
    result.reason = std::move(entry->reason);
    result.cached = true;
    return result;
  }
  PONDER_ASSIGN_OR_RETURN(
      const JudgeReport report,
      sandbox_->Judge({std::string(program)}, tests, options_.limits,
                      JudgeOptions(), cancel));
  result.correct = report.verdict == RunVerdict::kAccepted;
  result.timed_out = report.verdict == RunVerdict::kTimeLimit;
  result.reason = Reason(report);
  if (IsDeterministic(report.verdict)) {
    cache_.Insert(key, {result.correct, result.reason});
  }
  return result;
}

}  // namespace ponder
