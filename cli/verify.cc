// ponder verify: the verifiers by hand.

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/limit_flags.h"
#include "nlohmann/json.hpp"
#include "proto/value_codec.h"
#include "reward/builtin_verifiers.h"
#include "reward/math/verify.h"
#include "reward/scorer.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

struct VerifyFlags {
  std::string gold;
  std::string response;
  std::string cases;
  std::string problem;
  SandboxLimits limits;
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

std::string TextOf(const Json& json) {
  return json.is_string() ? json.get<std::string>() : DumpJson(json);
}

// Settings under which a case's answer is bare and stands for a boxed one.
bool IsBare(const Json& test) {
  const auto config = test.find("pred_config");
  if (config == test.end() || !config->is_array()) return false;
  for (const Json& word : *config) {
    if (word == "raw" || word == "latex_raw" || word == "sympy") return true;
  }
  return false;
}

// One line a case, and how many agree with what was expected.
absl::Status VerifyMathCases(const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  int line_number = 0;
  int num_cases = 0;
  int num_expected = 0;
  int num_agree = 0;
  int num_false_positives = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    if (line.empty()) continue;
    PONDER_ASSIGN_OR_RETURN(
        const Json test, ParseJson(line, absl::StrCat(path, ":", line_number)));
    if (!test.is_object() || !test.contains("gold") || !test.contains("pred")) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ":", line_number, ": a case needs \"gold\" and \"pred\""));
    }
    if (test.contains("kind") && test["kind"] != "verify") continue;
    std::string response = TextOf(test["pred"]);
    if (IsBare(test)) response = absl::StrCat("\\boxed{", response, "}");
    const MathResult result = VerifyMath(TextOf(test["gold"]), response);
    const bool correct = result.verdict == MathVerdict::kCorrect;
    Json out;
    out["id"] = test.contains("id") ? test["id"] : Json(line_number);
    out["verdict"] = Name(result.verdict);
    out["strict"] = correct;
    out["flexible"] = result.flexible_correct;
    out["reason"] = result.reason;
    std::printf("%s\n", DumpJson(out).c_str());
    ++num_cases;
    if (test.contains("expected") && test["expected"].is_boolean()) {
      const bool expected = test["expected"].get<bool>();
      ++num_expected;
      num_agree += expected == correct;
      num_false_positives += correct && !expected;
    }
  }
  std::fprintf(stderr, "%d cases, %d of %d as expected, %d wrongly accepted\n",
               num_cases, num_agree, num_expected, num_false_positives);
  return absl::OkStatus();
}

absl::Status RunVerifyMath(const VerifyFlags& flags) {
  if (!flags.cases.empty()) return VerifyMathCases(flags.cases);
  const MathResult result = VerifyMath(flags.gold, flags.response);
  std::printf(
      "verdict    %s\nflexible   %s\nextracted  %s\nrule       %s\n"
      "reason     %s\n",
      Name(result.verdict), result.flexible_correct ? "correct" : "wrong",
      result.extracted.c_str(), result.rule.c_str(), result.reason.c_str());
  return absl::OkStatus();
}

absl::Status RunVerifyCode(const VerifyFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(flags.problem));
  PONDER_ASSIGN_OR_RETURN(const Json row, ParseJson(text, flags.problem));
  PONDER_ASSIGN_OR_RETURN(const std::string response, ReadFile(flags.response));
  const bool is_row = row.is_object() && row.contains("tests");
  Problem problem;
  problem.set_id(flags.problem);
  problem.set_verifier("code");
  absl::StatusOr<TestSuite> tests =
      TestSuiteFromJson(is_row ? row["tests"] : row);
  if (!tests.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.problem, ": ", tests.status().message()));
  }
  *problem.mutable_tests() = *std::move(tests);

  PONDER_ASSIGN_OR_RETURN(const auto pool, SandboxPool::Create(1));
  CodeVerifier::Options options;
  options.limits = RunLimitsFromConfig(flags.limits);
  const Scorer scorer(BuiltInVerifiers(pool.get(), options, ""));
  ResponseToScore to_score;
  to_score.set_text(response);
  PONDER_ASSIGN_OR_RETURN(const ScoredResponse scored,
                          scorer.Score(problem, to_score, /*cancel=*/nullptr));
  std::printf("verdict    %s\nreason     %s\nseconds    %.3f\n\n%s\n",
              scored.verdict() == CORRECT ? "correct"
              : scored.verdict() == WRONG ? "wrong"
                                          : "unscorable",
              scored.reason().c_str(), scored.seconds(),
              scored.extracted().c_str());
  return absl::OkStatus();
}

}  // namespace

void AddVerifyCommand(CLI::App& app, Command* chosen) {
  CLI::App* verify =
      app.add_subcommand("verify", "Runs a verifier on answers by hand");
  verify->require_subcommand(1);
  auto flags = std::make_shared<VerifyFlags>();

  CLI::App* math = verify->add_subcommand(
      "math", "Compares a response's final answer with the gold answer");
  CLI::Option* gold = math->add_option("--gold", flags->gold, "Gold answer");
  CLI::Option* response =
      math->add_option("--response", flags->response, "The response's text");
  CLI::Option* cases = math->add_option(
      "--cases", flags->cases,
      "JSONL file of {\"id\", \"gold\", \"pred\", \"expected\"} instead");
  gold->needs(response)->excludes(cases);
  response->needs(gold)->excludes(cases);
  math->require_option(1, 2);
  math->callback(
      [flags, chosen] { *chosen = [flags] { return RunVerifyMath(*flags); }; });

  CLI::App* code = verify->add_subcommand(
      "code", "Runs the program of a response against a problem's tests");
  code->add_option("--problem", flags->problem,
                   "JSON file: a data row with \"tests\", or the tests alone")
      ->required();
  code->add_option("--response", flags->response,
                   "File with the response's text")
      ->required();
  AddLimitFlags(*code, &flags->limits);
  code->callback(
      [flags, chosen] { *chosen = [flags] { return RunVerifyCode(*flags); }; });
}

}  // namespace ponder
