// ponder verify code: the code verifier by hand.

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/limit_flags.h"
#include "nlohmann/json.hpp"
#include "proto/code_rows.h"
#include "proto/value_codec.h"
#include "reward/builtin_verifiers.h"
#include "reward/scorer.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

struct VerifyFlags {
  std::string response;
  std::string problem;
  SandboxLimits limits;
};

absl::Status RunVerifyCode(const VerifyFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(flags.problem));
  PONDER_ASSIGN_OR_RETURN(const Json row, ParseJson(text, flags.problem));
  PONDER_ASSIGN_OR_RETURN(const std::string response, ReadFile(flags.response));
  Problem problem;
  problem.set_id(flags.problem);
  problem.set_verifier("code");
  // A row of any form that is known, or else the tests alone.
  absl::StatusOr<std::optional<TestSuite>> tests = TestSuiteFromRow(row);
  if (tests.ok() && !tests->has_value()) tests = TestSuiteFromJson(row);
  if (!tests.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.problem, ": ", tests.status().message()));
  }
  *problem.mutable_tests() = **std::move(tests);

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
