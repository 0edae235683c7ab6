#include "reward/code_verifier.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "sandbox/language.h"

namespace ponder {
namespace {

constexpr absl::string_view kFence = "```";

// The language that a block's tag names, "" for a block without a tag; nothing
// for a tag that names none.
std::optional<std::string> LanguageOfTag(absl::string_view tag) {
  tag = tag.substr(0, tag.find_first_of(" \t{"));
  if (tag.empty()) return std::string();
  const absl::StatusOr<const Language*> language = FindLanguage(tag);
  if (!language.ok()) return std::nullopt;
  return (*language)->name;
}

std::string LimitsText(const RunLimits& limits) {
  return absl::StrCat(
      absl::FormatDuration(limits.cpu), " ", absl::FormatDuration(limits.wall),
      " ", absl::FormatDuration(limits.suite_wall), " ", limits.memory_bytes,
      " ", limits.processes, " ", limits.output_bytes, " ", limits.file_bytes,
      " ", limits.disk_bytes, " ", limits.inodes, " ", limits.open_files, " ",
      limits.stack_bytes);
}

// Only what would come out again on a machine with another load.
bool IsDeterministic(RunVerdict verdict) {
  return verdict == RunVerdict::kCompileError ||
         verdict == RunVerdict::kAccepted ||
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

ExtractedProgram ExtractProgram(absl::string_view answer,
                                absl::string_view language) {
  // Fences stand at the start of a line.
  std::optional<ExtractedProgram> program;
  std::optional<std::string> tag;  // Of the open block, if it counts.
  bool inside = false;
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
        tag = LanguageOfTag(absl::StripAsciiWhitespace(text));
        if (tag.has_value() && !language.empty() && !tag->empty() &&
            *tag != language) {
          tag = std::nullopt;
        }
        start = std::min(end + 1, answer.size());
        inside = true;
      } else if (absl::StripAsciiWhitespace(text).empty()) {
        if (tag.has_value()) {
          program = ExtractedProgram{answer.substr(start, line - start), *tag};
        }
        inside = false;
      }
    }
    line = end + 1;
  }
  if (inside && tag.has_value()) {
    program = ExtractedProgram{answer.substr(start), *tag};
  }
  if (program.has_value()) return *program;
  return any_fence ? ExtractedProgram() : ExtractedProgram{answer, ""};
}

absl::StatusOr<CodeResult> CodeVerifier::Verify(const ExtractedProgram& program,
                                                const TestSuite& tests,
                                                const CancelToken* cancel) {
  CodeResult result;
  if (absl::StripAsciiWhitespace(program.source).empty()) {
    result.reason = "there is no program in the answer";
    return result;
  }
  std::string language = program.language;
  if (language.empty()) language = tests.language();
  if (language.empty()) language = "python";
  // A share is a value that the cache of verdicts has no place for.
  const bool cacheable = !options_.partial_credit;
  const VerdictCache::Key key = VerdictCache::MakeKey(
      program.source, absl::StrCat(language, "\n", tests.SerializeAsString()),
      LimitsText(options_.limits));
  if (std::optional<VerdictCache::Entry> entry =
          cacheable ? cache_.Find(key) : std::nullopt;
      entry.has_value()) {
    result.correct = entry->correct;
    result.value = result.correct ? 1 : 0;
    result.reason = std::move(entry->reason);
    result.cached = true;
    return result;
  }
  JudgeOptions options;
  options.stop_at_first_failure = !options_.partial_credit;
  PONDER_ASSIGN_OR_RETURN(
      const JudgeReport report,
      sandbox_->Judge({std::string(program.source), language}, tests,
                      options_.limits, options, cancel));
  result.correct = report.verdict == RunVerdict::kAccepted;
  result.value = options_.partial_credit ? report.passed_share()
                                         : static_cast<double>(result.correct);
  result.timed_out = report.verdict == RunVerdict::kTimeLimit;
  result.reason = Reason(report);
  if (cacheable && IsDeterministic(report.verdict)) {
    cache_.Insert(key, {result.correct, result.reason});
  }
  return result;
}

}  // namespace ponder
