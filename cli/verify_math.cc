// ponder verify math: the maths verifier by hand, and on files of cases.

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "nlohmann/json.hpp"
#include "proto/value_codec.h"
#include "reward/math/cases.h"
#include "reward/math/limits.h"
#include "reward/math/verify.h"

namespace ponder {
namespace {

struct VerifyMathFlags {
  std::string gold;
  std::string answer;
  std::string cases;
};

const char* Name(MathVerdict verdict) {
  switch (verdict) {
    case MathVerdict::kCorrect:
      return "correct";
    case MathVerdict::kWrong:
      return "wrong";
    case MathVerdict::kUnscorable:
      break;
  }
  return "unscorable";
}

// The verdict as the case's options have it, and the verdicts of the strict and
// the flexible search of the same response.
std::string CaseLine(const MathCase& test, const MathResult& result) {
  MathOptions strict = test.options;
  if (strict.find == MathOptions::Find::kAny) {
    strict.find = MathOptions::Find::kDeclared;
  }
  const MathResult declared =
      strict.find == test.options.find
          ? result
          : VerifyMath(test.gold, test.response, strict);
  nlohmann::ordered_json out;
  out["id"] = test.id;
  out["verdict"] = Name(result.verdict);
  out["strict"] = declared.verdict == MathVerdict::kCorrect;
  out["flexible"] = result.verdict == MathVerdict::kCorrect ||
                    result.flexible_correct || declared.flexible_correct;
  out["reason"] = result.reason;
  return DumpJson(out);
}

// One line a case, and how many agree with what was expected.
absl::Status VerifyMathCases(const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  int line_number = 0;
  int num_cases = 0;
  int num_expected = 0;
  int num_agree = 0;
  int num_false_positives = 0;
  int num_flagged = 0;  // Of those that disagree.
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    if (line.empty()) continue;
    absl::StatusOr<std::optional<MathCase>> parsed = ParseMathCase(line);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ":", line_number, ": ", parsed.status().message()));
    }
    if (!parsed->has_value()) continue;
    MathCase& test = **parsed;
    if (test.id.empty()) test.id = absl::StrCat(line_number);
    const MathResult result =
        VerifyMath(test.gold, test.response, test.options);
    std::printf("%s\n", CaseLine(test, result).c_str());
    ++num_cases;
    if (!test.expected.has_value()) continue;
    ++num_expected;
    const bool correct = result.verdict == MathVerdict::kCorrect;
    if (correct == *test.expected) {
      ++num_agree;
      continue;
    }
    num_false_positives += correct;
    num_flagged += test.flagged;
  }
  std::fprintf(stderr,
               "%d cases, %d of %d as expected, %d wrongly accepted; %d of "
               "those that differ have a flag\n",
               num_cases, num_agree, num_expected, num_false_positives,
               num_flagged);
  return absl::OkStatus();
}

absl::Status RunVerifyMath(const VerifyMathFlags& flags) {
  if (!flags.cases.empty()) return VerifyMathCases(flags.cases);
  MathOptions options;
  options.explain = true;
  MathResult result = VerifyMath(flags.gold, flags.answer, options);
  if (!math::AnswerFinder(flags.answer).Declared().has_value()) {
    // No response, only an answer.
    options.find = MathOptions::Find::kWhole;
    result = VerifyMath(flags.gold, flags.answer, options);
    result.flexible_correct = result.verdict == MathVerdict::kCorrect;
  }
  // Without a verdict on what is declared there is none on the rest.
  const MathVerdict flexible = result.flexible_correct ? MathVerdict::kCorrect
                               : result.verdict == MathVerdict::kUnscorable
                                   ? MathVerdict::kUnscorable
                                   : MathVerdict::kWrong;
  const auto or_text = [](const std::string& read) {
    return read.empty() ? "text" : read.c_str();
  };
  std::printf(
      "verdict      %s\n"
      "flexible     %s\n"
      "gold         %s\n"
      "  read as    %s\n"
      "answer       %s\n"
      "  found in   %s\n"
      "  read as    %s\n"
      "reason       %s\n"
      "steps        %lld of %lld\n",
      Name(result.verdict), Name(flexible), result.gold.c_str(),
      or_text(result.gold_read), result.extracted.c_str(), result.rule.c_str(),
      or_text(result.answer_read), result.reason.c_str(),
      static_cast<long long>(result.steps),
      static_cast<long long>(math::kMaxSteps));
  return absl::OkStatus();
}

}  // namespace

void AddVerifyMathCommand(CLI::App& app, Command* chosen) {
  auto flags = std::make_shared<VerifyMathFlags>();
  CLI::App* command = app.get_subcommand("verify")->add_subcommand(
      "math", "Compares an answer with the gold answer and explains itself");
  CLI::Option* gold =
      command->add_option("--gold", flags->gold, "The gold answer");
  CLI::Option* answer = command->add_option(
      "--answer", flags->answer, "An answer, alone or in a response");
  CLI::Option* cases = command->add_option(
      "--cases", flags->cases,
      "JSONL file of {\"id\", \"gold\", \"pred\", ...} instead; one line of "
      "JSON for each");
  gold->needs(answer)->excludes(cases);
  answer->needs(gold)->excludes(cases);
  command->require_option(1, 2);
  command->callback(
      [flags, chosen] { *chosen = [flags] { return RunVerifyMath(*flags); }; });
}

}  // namespace ponder
