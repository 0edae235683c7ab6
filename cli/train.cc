// ponder train, and the same for stages of one kind: ponder pretrain, sft,
// grpo, distill, eval, sample.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/compare_evaluations.h"
#include "cli/policy_folder.h"
#include "policy/checkpoint.h"
#include "proto/text_config.h"
#include "rl/trainer.h"

namespace ponder {
namespace {

struct TrainFlags {
  std::string config;
  std::vector<std::string> settings;
  std::string resume;
  bool dry_run = false;
  std::string policy;  // Not of `train`.
  // Of `eval` only.
  std::vector<std::string> data;
  std::vector<std::string> compare;
  bool json = false;
  std::string kind;   // Of the stages to run; empty: all.
  std::string stage;  // The only one of this kind; empty: all.
};

// Whether the command `kind` runs the stage. `ponder distill` is on-policy
// distillation, a kind of grpo.
bool IsOfKind(const Stage& stage, const std::string& kind) {
  if (kind == "distill") {
    return stage.grpo().advantage() == GrpoStage::REVERSE_KL;
  }
  return StageKind(stage) == kind;
}

// What a stage goes on from: an earlier one that trains, by its name. Empty:
// its own policy, or the configuration's.
std::string SourceOf(const Stage& stage, const std::string& newest_trained) {
  if (stage.has_policy()) return "";
  return stage.has_init_from() ? stage.init_from() : newest_trained;
}

// Makes `stage` start from what it started from in the whole configuration,
// where `kept` has that, and else from the configuration's policy. That may not
// be one of random weights in place of one that was trained.
absl::Status KeepStart(const std::string& source, const std::string& kind,
                       const RunConfig& kept, Stage* stage) {
  if (stage->has_policy()) return absl::OkStatus();
  bool source_is_kept = false, trains_before = false;
  for (const Stage& earlier : kept.stage()) {
    source_is_kept |= StageName(earlier) == source;
    trains_before |= TrainsPolicy(earlier);
  }
  if (source_is_kept) {
    stage->set_init_from(source);
    return absl::OkStatus();
  }
  if (!source.empty() && kept.policy().init() == PolicyConfig::RANDOM) {
    return absl::InvalidArgumentError(absl::StrCat(
        "stage ", StageName(*stage), " goes on from stage ", source,
        ", which `ponder ", kind,
        "` does not run; give the policy that it starts from with --policy "
        "FOLDER"));
  }
  stage->clear_init_from();
  if (trains_before) *stage->mutable_policy() = kept.policy();
  return absl::OkStatus();
}

// A stage of that kind with defaults.
absl::StatusOr<Stage> DefaultStage(const std::string& kind) {
  if (kind == "distill") {
    return absl::InvalidArgumentError(
        "the configuration has no stage with grpo { advantage: REVERSE_KL }, "
        "which on-policy distillation is; to learn from a teacher's samples "
        "use `ponder sample` and `ponder sft`");
  }
  Stage stage;
  if (kind == "pretrain") stage.mutable_pretrain();
  if (kind == "sft") stage.mutable_sft();
  if (kind == "grpo") stage.mutable_grpo();
  if (kind == "eval") stage.mutable_eval();
  if (kind == "sample") stage.mutable_sample();
  return stage;
}

// Leaves the stages of one kind, or the one called `name`, and those that make
// data, which are run first. A configuration that has none gets one with
// defaults behind all others.
absl::Status KeepStages(const std::string& kind, const std::string& name,
                        RunConfig* config) {
  RunConfig kept = *config;
  kept.clear_stage();
  std::vector<std::string> names;
  for (const Stage& stage : config->stage()) {
    if (stage.has_data()) *kept.add_stage() = stage;
    if (IsOfKind(stage, kind)) names.push_back(StageName(stage));
  }
  if (!name.empty() && std::count(names.begin(), names.end(), name) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--stage: the configuration has no ", kind,
                     " stage named \"", name, "\"", NameHint(name, names)));
  }
  std::string newest_trained;
  for (Stage stage : config->stage()) {
    const std::string own_name = StageName(stage);
    const bool trains = TrainsPolicy(stage);
    if (IsOfKind(stage, kind) && (name.empty() || name == own_name)) {
      PONDER_RETURN_IF_ERROR(
          KeepStart(SourceOf(stage, newest_trained), kind, kept, &stage));
      *kept.add_stage() = std::move(stage);
    }
    if (trains) newest_trained = own_name;
  }
  if (names.empty()) {
    PONDER_ASSIGN_OR_RETURN(Stage stage, DefaultStage(kind));
    PONDER_RETURN_IF_ERROR(KeepStart(newest_trained, kind, kept, &stage));
    *kept.add_stage() = std::move(stage);
  }
  *config = std::move(kept);
  return absl::OkStatus();
}

// Without a configuration a prompt and its response get what the policy has
// room for, if that is less than the defaults.
absl::Status FitPrompt(const std::string& folder, PromptConfig* prompt) {
  if (prompt->has_max_prompt_tokens() || prompt->has_max_response_tokens()) {
    return absl::OkStatus();
  }
  PONDER_ASSIGN_OR_RETURN(const PolicyFiles files, ReadPolicyFiles(folder));
  PONDER_ASSIGN_OR_RETURN(const ModelConfig model,
                          ConfigOfFiles(files, folder));
  const int64_t positions = model.max_position_embeddings;
  if (positions >=
      int64_t{prompt->max_prompt_tokens()} + prompt->max_response_tokens()) {
    return absl::OkStatus();
  }
  prompt->set_max_prompt_tokens(static_cast<int32_t>(positions / 2));
  prompt->set_max_response_tokens(
      static_cast<int32_t>(positions - positions / 2));
  return absl::OkStatus();
}

// An earlier result is kept: "eval", "eval-2", ...
std::string FreeRunName(const RunConfig& config) {
  std::string name = config.name();
  for (int i = 2;
       std::filesystem::exists(absl::StrCat(config.runs_dir(), "/", name));
       ++i) {
    name = absl::StrCat(config.name(), "-", i);
  }
  return name;
}

// `valid`, with what to do about a stage that names one that is not run.
absl::Status ExplainReference(const TrainFlags& flags,
                              const absl::Status& valid) {
  if (!absl::StrContains(valid.message(), "the name of an earlier stage")) {
    return valid;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      valid.message(), " (`ponder ", flags.kind,
      "` runs the stages of its kind alone; ",
      absl::StrContains(valid.message(), ".teacher:")
          ? "give the teacher with --set stage[NAME].grpo.teacher_path=FOLDER)"
          : "leave it out with an empty value, as in --set "
            "stage[NAME].grpo.core_seconds_of_stages=)"));
}

// The configuration and the settings, with what the flags of `eval` stand for.
absl::StatusOr<RunConfig> ConfigOf(const TrainFlags& flags) {
  std::vector<std::string> settings = flags.settings;
  std::string policy;  // A folder, also where a run was given.
  if (!flags.policy.empty()) {
    PONDER_ASSIGN_OR_RETURN(policy, FindPolicyFolder(flags.policy));
    settings.push_back(absl::StrCat("policy.path=", policy));
    settings.push_back("policy.init=PRETRAINED");
    if (flags.config.empty()) settings.insert(settings.begin(), "name=eval");
  }
  PONDER_ASSIGN_OR_RETURN(RunConfig config,
                          LoadRunConfig(flags.config, settings));
  if (!flags.data.empty()) config.clear_eval_data();
  for (const std::string& path : flags.data) {
    config.add_eval_data()->set_path(path);
  }
  if (flags.config.empty()) {
    PONDER_RETURN_IF_ERROR(FitPrompt(policy, config.mutable_prompt()));
    config.set_name(FreeRunName(config));
  }
  if (!flags.kind.empty()) {
    PONDER_RETURN_IF_ERROR(KeepStages(flags.kind, flags.stage, &config));
    PONDER_RETURN_IF_ERROR(ExplainReference(flags, ValidateRunConfig(config)));
  }
  return config;
}

absl::Status RunTraining(const TrainFlags& flags) {
  CatchStopSignals();
  if (!flags.compare.empty()) {
    return CompareEvaluations(flags.compare[0], flags.compare[1], flags.json);
  }
  TrainOptions options;
  options.resume = flags.resume;
  const bool has_input =
      !flags.config.empty() || (flags.kind == "eval" && !flags.policy.empty());
  if (flags.resume.empty() != has_input) {
    return absl::InvalidArgumentError(
        flags.kind == "eval"
            ? "give --policy FOLDER with --data FILE, --config FILE, --resume "
              "RUN for an evaluation that was interrupted, or --compare A B"
            : "give either --config FILE for a new run or --resume RUN for one "
              "that exists");
  }
  RunConfig config;
  if (!flags.resume.empty()) {
    if (!flags.settings.empty() || !flags.policy.empty() ||
        !flags.stage.empty() || !flags.data.empty()) {
      return absl::InvalidArgumentError(
          "--resume goes on with the run's own configuration; --set, --policy, "
          "--stage and --data belong to a new run");
    }
    PONDER_ASSIGN_OR_RETURN(config, ConfigOfRun(flags.resume));
  } else {
    PONDER_ASSIGN_OR_RETURN(config, ConfigOf(flags));
  }
  if (config.stage().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.config,
                     ": has no stage, so there is nothing to run; add "
                     "`stage { grpo {} }`"));
  }
  if (flags.dry_run) {
    PONDER_ASSIGN_OR_RETURN(const std::string text, DryRun(config));
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  return Train(config, options);
}

void AddEvalOptions(CLI::App* command, TrainFlags* flags) {
  command->add_option("--data", flags->data,
                      "JSONL files with problems, instead of eval_data");
  command
      ->add_option("--compare", flags->compare,
                   "Two runs, or files RUN/eval/NAME.jsonl: the differences of "
                   "the second to the first, paired by problem")
      ->expected(2);
  command->add_flag("--json", flags->json, "Of --compare: JSON, no table");
}

}  // namespace

void AddTrainCommand(CLI::App& app, Command* chosen) {
  const auto add = [&](const std::string& name, const std::string& what) {
    auto flags = std::make_shared<TrainFlags>();
    if (name != "train") flags->kind = name;
    CLI::App* command = app.add_subcommand(name, what);
    command->add_option("--config", flags->config,
                        "Protobuf text; see configs/");
    command
        ->add_option("--set", flags->settings,
                     "key.path=value, over the configuration; may be repeated")
        ->allow_extra_args(false);
    command->add_option("--resume", flags->resume,
                        "Go on with the run in this folder");
    command->add_flag("--dry-run", flags->dry_run,
                      "Print the resolved configuration, the memory plan and "
                      "the expected step time, and stop");
    if (name != "train") {
      command->add_option(
          "--policy", flags->policy,
          name == "eval"
              ? "A Hugging Face folder, or a run; then --config may be "
                "left out"
              : "A Hugging Face folder, or a run: what the first stage starts "
                "from, in "
                "place of the configuration's policy");
      command->add_option("--stage", flags->stage,
                          "Run this one only, by its name; the others of its "
                          "kind are left out");
    }
    if (name == "eval") AddEvalOptions(command, flags.get());
    command->callback(
        [flags, chosen] { *chosen = [flags] { return RunTraining(*flags); }; });
  };
  add("train", "Run the stages of a configuration.");
  add("pretrain", "Run only the pre-training stages of a configuration.");
  add("sft", "Run only the fine-tuning stages of a configuration.");
  add("grpo", "Run only the GRPO stages of a configuration.");
  add("distill",
      "Run only on-policy distillation: the grpo stages with a teacher in "
      "place "
      "of rewards.");
  add("eval", "Evaluate the configuration's policy on its eval_data.");
  add("sample", "Write scored samples of the configuration's policy.");
}

}  // namespace ponder
