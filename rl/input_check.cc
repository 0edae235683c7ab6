#include "rl/input_check.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "policy/checkpoint.h"
#include "proto/text_config.h"
#include "rl/architecture.h"

namespace ponder {
namespace {

// The shape of a policy, which has to fit the prompts.
absl::StatusOr<ModelConfig> CheckPolicy(const RunConfig& config,
                                        const PolicyConfig& policy) {
  ModelConfig model;
  if (policy.init() == PolicyConfig::RANDOM) {
    model = ModelConfigOf(policy.architecture());
  } else {
    PONDER_ASSIGN_OR_RETURN(const PolicyFiles files,
                            ReadPolicyFiles(policy.path()));
    PONDER_ASSIGN_OR_RETURN(model, ConfigOfFiles(files, policy.path()));
  }
  const PromptConfig& prompt = config.prompt();
  const int64_t tokens =
      int64_t{prompt.max_prompt_tokens()} + prompt.max_response_tokens();
  if (tokens > model.max_position_embeddings) {
    return absl::InvalidArgumentError(absl::StrCat(
        "prompt.max_prompt_tokens and prompt.max_response_tokens are ", tokens,
        " together, ",
        policy.init() == PolicyConfig::RANDOM ? "the policy" : policy.path(),
        "'s max_position_embeddings is ", model.max_position_embeddings,
        "; lower them with --set prompt.max_prompt_tokens=N and --set "
        "prompt.max_response_tokens=N"));
  }
  return model;
}

// Whether a stage evaluates the policy; grpo does when it begins.
bool Evaluates(const RunConfig& config) {
  return std::any_of(config.stage().begin(), config.stage().end(),
                     [](const Stage& stage) {
                       return stage.has_eval() || stage.has_grpo() ||
                              (TrainsPolicy(stage) && stage.evaluate());
                     });
}

// `who` reads a file that the run makes itself, if it makes it.
absl::Status CheckMade(const DataSet& set, const std::string& who,
                       const std::set<std::string>& made) {
  if (!absl::StartsWith(set.path(), "$RUN") || made.contains(set.path())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      who, " ", DataSetName(set), ": ", set.path(),
      " is in the run's folder, but no earlier stage writes it; give a file "
      "with --set"));
}

absl::Status CheckMadeData(const RunConfig& config) {
  std::set<std::string> made;
  for (const Stage& stage : config.stage()) {
    for (const GeneratedSet& set : stage.data().set()) {
      made.insert({set.path(), set.held_out_path()});
    }
    const auto* const names = DataNamesOf(stage);
    for (const DataSet& set : config.data()) {
      const bool is_read =
          names != nullptr &&
          (names->empty() ||
           std::count(names->begin(), names->end(), DataSetName(set)) > 0);
      if (!is_read) continue;
      PONDER_RETURN_IF_ERROR(CheckMade(
          set, absl::StrCat("stage ", StageName(stage), " reads data"), made));
    }
    if (!stage.has_sample()) continue;
    made.insert({stage.sample().path(), stage.sample().keep().path()});
  }
  if (!Evaluates(config)) return absl::OkStatus();
  for (const DataSet& set : config.eval_data()) {
    PONDER_RETURN_IF_ERROR(CheckMade(set, "eval_data", made));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ModelConfig>> CheckInputs(const RunConfig& config) {
  std::vector<ModelConfig> models(1);
  PONDER_ASSIGN_OR_RETURN(models[0], CheckPolicy(config, config.policy()));
  for (const Stage& stage : config.stage()) {
    if (!stage.has_policy()) continue;
    PONDER_ASSIGN_OR_RETURN(ModelConfig model,
                            CheckPolicy(config, stage.policy()));
    models.push_back(std::move(model));
  }
  for (const Stage& stage : config.stage()) {
    if (!stage.grpo().has_teacher_path()) continue;
    PolicyConfig teacher;
    teacher.set_path(stage.grpo().teacher_path());
    PONDER_RETURN_IF_ERROR(CheckPolicy(config, teacher).status());
  }
  PONDER_RETURN_IF_ERROR(CheckMadeData(config));
  for (const auto* sets : {&config.data(), &config.eval_data()}) {
    for (const DataSet& set : *sets) {
      if (absl::StartsWith(set.path(), "$RUN")) continue;
      PONDER_RETURN_IF_ERROR(LoadDataRows(set, "").status());
    }
  }
  return models;
}

absl::Status CheckDisk(const Run& run) {
  const int64_t weights = 4 * run.model.NumParameters();
  const int64_t stages = run.config.stage_size();
  const int64_t kept = std::max(1, run.config.checkpoint().keep_last()) + 1;
  const int64_t needed = weights * (3 * kept + stages + 1) + (64 << 20);
  PONDER_ASSIGN_OR_RETURN(const int64_t available,
                          FreeDiskBytes(run.folder.path()));
  if (needed <= available) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      run.folder.path(), ": checkpoints of this run may need ", needed >> 20,
      " MiB, the disk has ", available >> 20,
      " MiB free; free some, lower checkpoint.keep_last, or give another disk "
      "with --set runs_dir="));
}

absl::Status CheckEvalPrompts(Run& run) {
  if (!Evaluates(run.config) ||
      run.config.prompt().overlong() != PromptConfig::REFUSE) {
    return absl::OkStatus();
  }
  for (const DataSet& set : run.config.eval_data()) {
    if (absl::StartsWith(set.path(), "$RUN")) continue;
    PONDER_ASSIGN_OR_RETURN(DataRows rows,
                            LoadDataRows(set, run.folder.path()));
    PONDER_RETURN_IF_ERROR(ApplyPromptLimit(run, &rows));
  }
  return absl::OkStatus();
}

}  // namespace ponder
