// ponder verify data: do the gold answers of data sets score 1?

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "grpcpp/create_channel.h"
#include "proto/text_config.h"
#include "reward/plugin/load_plugins.h"
#include "reward/reward_server.h"
#include "rl/gold_check.h"

namespace ponder {
namespace {

struct VerifyDataFlags {
  std::string config;
  std::vector<std::string> settings;
  std::string path;
  std::string verifier;
};

absl::StatusOr<RunConfig> ConfigOf(const VerifyDataFlags& flags) {
  if (flags.config.empty() == flags.path.empty()) {
    return absl::InvalidArgumentError(
        "give either FILE, a JSONL file with rows, or --config FILE, whose "
        "data "
        "sets are checked");
  }
  if (!flags.config.empty()) {
    if (!flags.verifier.empty()) {
      return absl::InvalidArgumentError(
          "--verifier belongs to a file; of a configuration use --set "
          "data.verifier=");
    }
    return LoadRunConfig(flags.config, flags.settings);
  }
  RunConfig config;
  DataSet* set = config.add_data();
  set->set_path(flags.path);
  if (!flags.verifier.empty()) set->set_verifier(flags.verifier);
  return config;
}

absl::Status RunVerifyData(const VerifyDataFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const RunConfig config, ConfigOf(flags));
  std::vector<DataSet> sets(config.data().begin(), config.data().end());
  sets.insert(sets.end(), config.eval_data().begin(), config.eval_data().end());
  if (sets.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        flags.config, ": names no data; add `--set data.path=FILE`"));
  }
  RewardServer::Options options;
  options.sandbox_slots = config.reward().sandbox_slots();
  options.sandbox_address = config.reward().sandbox_address();
  options.code.limits = RunLimitsFromConfig(config.reward().sandbox());
  PONDER_ASSIGN_OR_RETURN(options.plugins,
                          LoadPlugins(config.reward().verifier()));
  PONDER_ASSIGN_OR_RETURN(const std::unique_ptr<RewardServer> server,
                          RewardServer::Start(std::move(options)));
  const auto rewards = RewardService::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", server->port()),
                          grpc::InsecureChannelCredentials()));
  int num_failed_sets = 0;
  std::string failures;
  for (const DataSet& set : sets) {
    PONDER_ASSIGN_OR_RETURN(
        const DataRows rows,
        LoadDataRows(set, absl::StrCat(config.runs_dir(), "/", config.name())));
    PONDER_ASSIGN_OR_RETURN(
        const GoldCheck check,
        CheckGoldAnswers(rewards.get(), rows, /*run_solutions=*/true));
    std::printf("%s\n", check.Line(rows.name).c_str());
    std::fflush(stdout);
    if (check.status.ok()) continue;
    for (const std::string& failure : check.failures) {
      std::printf("%s: %s\n", set.path().c_str(), failure.c_str());
    }
    ++num_failed_sets;
    absl::StrAppend(&failures, num_failed_sets > 1 ? "\n" : "",
                    std::string(check.status.message()));
  }
  if (num_failed_sets > 0) return absl::InvalidArgumentError(failures);
  return absl::OkStatus();
}

}  // namespace

void AddVerifyDataCommand(CLI::App& app, Command* chosen) {
  auto flags = std::make_shared<VerifyDataFlags>();
  CLI::App* command = app.get_subcommand("verify")->add_subcommand(
      "data", "Scores the gold answers of data sets as if they were responses");
  CLI::Option* config = command->add_option(
      "--config", flags->config, "Check the data sets of this configuration");
  command
      ->add_option("--set", flags->settings,
                   "key.path=value, over the configuration; may be repeated")
      ->allow_extra_args(false)
      ->needs(config);
  command->add_option("file", flags->path, "Check the rows of this JSONL file")
      ->excludes(config);
  command->add_option("--verifier", flags->verifier,
                      "math or code; default: the row's");
  command->callback(
      [flags, chosen] { *chosen = [flags] { return RunVerifyData(*flags); }; });
}

}  // namespace ponder
