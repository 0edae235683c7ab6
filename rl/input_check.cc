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
#include "rl/prompt_renderer.h"

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

bool AnyEvaluates(const RunConfig& config) {
  return std::any_of(
      config.stage().begin(), config.stage().end(), [&](const Stage& stage) {
        return stage.has_grpo() || EvaluatesPolicy(stage, config);
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
    for (const DataSet& set : config.data()) {
      if (!ReadsData(stage, set)) continue;
      PONDER_RETURN_IF_ERROR(CheckMade(
          set, absl::StrCat("stage ", StageName(stage), " reads data"), made));
    }
    if (!stage.has_sample()) continue;
    made.insert({stage.sample().path(), stage.sample().keep().path()});
  }
  if (!AnyEvaluates(config)) return absl::OkStatus();
  for (const DataSet& set : config.eval_data()) {
    PONDER_RETURN_IF_ERROR(CheckMade(set, "eval_data", made));
  }
  return absl::OkStatus();
}

// Whether the reward looks at a gold answer or at tests of the row.
bool NeedsAnswers(const RewardConfig& reward) {
  if (!reward.verifier().empty() || reward.has_address()) return false;
  return reward.component().empty() ||
         std::any_of(reward.component().begin(), reward.component().end(),
                     [](const RewardComponent& c) {
                       return c.name() == "accuracy" || c.name() == "math" ||
                              c.name() == "code" || c.name() == "countdown";
                     });
}

// Rows that are sampled from have a prompt, and some of them an answer.
absl::Status CheckProblems(const RewardConfig& reward, const DataSet& set,
                           const DataRows& rows) {
  bool any_answer = false;
  for (const DataRow& row : rows.rows) {
    if (row.prompt.empty() && row.messages.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          set.path(), ":", row.line,
          ": has no prompt to sample from; wanted a column prompt, question, "
          "problem or messages, or data.prompt_field"));
    }
    any_answer |= !row.answer.empty() || !row.tests.kind().empty();
  }
  if (any_answer || !NeedsAnswers(reward)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      set.path(), ": none of its ", rows.rows.size(),
      " rows has an answer or tests, so no response could be scored; wanted a "
      "column answer, ground_truth, solution or tests, or data.answer_field"));
}

// Rows that are learned from as they are have something to learn.
absl::Status CheckExamples(const DataSet& set, const DataRows& rows) {
  for (const DataRow& row : rows.rows) {
    const bool has_turn =
        std::any_of(row.messages.begin(), row.messages.end(),
                    [](const ChatMessage& m) { return m.role == "assistant"; });
    if (!row.response.empty() || !row.text.empty() || has_turn) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(set.path(), ":", row.line, ": ", kNothingToLearn));
  }
  return absl::OkStatus();
}

// A data set, for all stages that read it.
absl::Status CheckRows(const RunConfig& config, const DataSet& set,
                       const DataRows& rows) {
  bool is_learned = false, is_sampled = false;
  for (const Stage& stage : config.stage()) {
    if (!ReadsData(stage, set)) continue;
    (SupervisedOf(stage) != nullptr ? is_learned : is_sampled) = true;
  }
  if (is_learned) PONDER_RETURN_IF_ERROR(CheckExamples(set, rows));
  if (is_sampled) {
    PONDER_RETURN_IF_ERROR(CheckProblems(config.reward(), set, rows));
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
  for (const DataSet& set : config.data()) {
    if (absl::StartsWith(set.path(), "$RUN")) continue;
    PONDER_ASSIGN_OR_RETURN(const DataRows rows, LoadDataRows(set, ""));
    PONDER_RETURN_IF_ERROR(CheckRows(config, set, rows));
  }
  for (const DataSet& set : config.eval_data()) {
    if (absl::StartsWith(set.path(), "$RUN")) continue;
    PONDER_ASSIGN_OR_RETURN(const DataRows rows, LoadDataRows(set, ""));
    PONDER_RETURN_IF_ERROR(CheckProblems(config.reward(), set, rows));
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
  if (!AnyEvaluates(run.config) ||
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
