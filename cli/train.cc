// ponder train, and the same for one stage alone: ponder sft, grpo, eval,
// sample.

#include <memory>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "cli/command.h"
#include "proto/text_config.h"
#include "rl/trainer.h"

namespace ponder {
namespace {

struct TrainFlags {
  std::string config;
  std::vector<std::string> settings;
  std::string resume;
};

absl::Status RunTraining(const TrainFlags& flags) {
  TrainOptions options;
  options.resume = flags.resume;
  if (flags.resume.empty() == flags.config.empty()) {
    return absl::InvalidArgumentError(
        "give either --config FILE for a new run or --resume RUN for one that "
        "exists");
  }
  RunConfig config;
  if (!flags.resume.empty()) {
    if (!flags.settings.empty()) {
      return absl::InvalidArgumentError(
          "--resume goes on with the run's own configuration; --set belongs to "
          "a new run");
    }
    PONDER_ASSIGN_OR_RETURN(config, ConfigOfRun(flags.resume));
  } else {
    PONDER_ASSIGN_OR_RETURN(config,
                            LoadRunConfig(flags.config, flags.settings));
  }
  return Train(config, options);
}

}  // namespace

void AddTrainCommand(CLI::App& app, Command* chosen) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command =
      app.add_subcommand("train", "Run the stages of a configuration.");
  command->add_option("--config", flags->config, "Protobuf text; see configs/");
  command
      ->add_option("--set", flags->settings,
                   "key.path=value, over the configuration; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--resume", flags->resume,
                      "Go on with the run in this folder");
  command->callback(
      [flags, chosen] { *chosen = [flags] { return RunTraining(*flags); }; });
}

}  // namespace ponder
