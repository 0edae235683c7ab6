// What the stages of a run share.

#ifndef PONDER_RL_RUN_H_
#define PONDER_RL_RUN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "monitor/cost.h"
#include "monitor/metrics_log.h"
#include "monitor/progress.h"
#include "monitor/run_status.h"
#include "nlohmann/json.hpp"
#include "policy/checkpoint.h"
#include "policy/jinja/chat_template.h"
#include "policy/text/tokenizer.h"
#include "proto/config.pb.h"
#include "rl/data/data_set.h"
#include "rl/data/prompt_source.h"
#include "rl/fleet.h"
#include "rl/learner.h"
#include "rl/learner_pool.h"
#include "rl/prompt_renderer.h"
#include "rl/rejection.h"
#include "rl/run_folder.h"

namespace ponder {

// Where a run stands: what a checkpoint holds beside the weights.
struct RunState {
  int64_t stage = 0;       // Index of the stage to run next, or to go on with.
  int64_t stage_step = 0;  // Updates done in it.
  int64_t step = 0;        // Updates done in the run; steps of the metrics.
  int64_t drawn = 0;       // Prompts drawn in the stage.
  // What was stopped was the evaluation behind step `stage_step` of the stage,
  // or that behind the whole stage.
  bool evaluation_due = false;
  bool only_evaluation_due = false;
  int64_t optimizer_step = 0;
  int64_t critic_step = 0;  // Of the critic's optimizer, if there is one.
  // What the stage has seen of its problems: PassRates::ToJson().
  nlohmann::ordered_json curriculum = nlohmann::ordered_json::object();
  double stage_seconds = 0;  // Of training, evaluation aside.
  int64_t stage_tokens = 0;
  int64_t stage_samples = 0;
  double stage_core_seconds = 0;  // Of the phases together.
  PhaseSeconds stage_phases;
  // Held-out greedy accuracy, mean of the sets, of the stage's first policy.
  std::optional<double> stage_start_accuracy;
  nlohmann::ordered_json health = nlohmann::ordered_json::object();
  double run_seconds = 0;  // Wall time of the run, earlier parts included.
  // Of finished stages: its checkpoint's folder (relative to the run's), and
  // its entry of summary.json.
  std::map<std::string, std::string> stage_checkpoints;
  nlohmann::ordered_json summaries = nlohmann::ordered_json::array();

  nlohmann::ordered_json ToJson() const;
  static absl::StatusOr<RunState> FromJson(const nlohmann::ordered_json& json);
};

// The data sets that a stage draws from, and the order of its prompts.
struct StageData {
  std::vector<DataRows> sets;
  std::unique_ptr<PromptSource> source;

  const DataRow& Row(const Draw& draw) const {
    return sets[draw.data_set].rows[draw.row];
  }

  // Rows drawn so far, as a share of all that there are.
  double Epoch() const;
};

// Used by one thread, the main one.
struct Run {
  Run(RunConfig c, RunFolder f) : config(std::move(c)), folder(std::move(f)) {}

  RunConfig config;
  RunFolder folder;
  RunState state;

  // The policy. Weights are float32; a stage may change them.
  ModelConfig model;
  PolicyFiles files;
  TensorMap weights;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;  // Null if it has none.
  std::unique_ptr<PromptRenderer> renderer;

  std::unique_ptr<MetricsLog> metrics;
  std::unique_ptr<Progress> progress;
  std::unique_ptr<Fleet> fleet;           // Null until a stage samples.
  std::unique_ptr<LearnerPool> learners;  // Null: the trainer learns alone.

  // Core-seconds up to the last call of ChargeTime(), and the time when
  // run_seconds of the state was 0.
  RoleSeconds charged;
  absl::Time run_start;
  // Brings stage_phases and stage_core_seconds of the state up to date: what
  // was spent since the last call was spent on evaluating, or was not.
  void ChargeTime(bool evaluating);
  // The same, not on evaluating, and run_seconds.
  void UpdateClocks();
  // Core-seconds of the running stage so far, evaluations aside.
  double TrainingCoreSeconds();
  // The same of an earlier stage. FAILED_PRECONDITION if it has not run.
  absl::StatusOr<double> CoreSecondsOf(const std::string& stage) const;

  // Of the running stage so far, and of the whole run, the parts before a
  // resume included.
  Cost StageCost() const;
  Cost TotalCost() const;
  // Costs for the metrics: the run's, the stage's by phase, and its money for
  // each point of accuracy gained, if `accuracy` is more than at its start.
  Metrics CostMetrics(std::optional<double> accuracy) const;

  // Of the running stage, if it keeps samples.
  std::optional<RejectionCounts> kept;

  // What `ponder status` says. Stages fill in note and warnings.
  RunStatus status;
  // Writes it with `progress` and the processes of now. A status that cannot
  // be written ends no run.
  void WriteStatus();

  at::ScalarType dtype() const;
  // Where `weights` are; made ready before they are loaded.
  at::Device device = at::kCPU;
  // Prompt and response together.
  int64_t max_tokens() const;
  int32_t end_id() const;

  // Starts the fleet where it is not up yet.
  absl::Status NeedFleet();
  // A learner of `weights`, with as many processes as the configuration says.
  absl::StatusOr<std::unique_ptr<Learner>> CreateLearner(
      const OptimizerConfig& optimizer);
  // Model FLOPs utilisation (arXiv:2204.02311, appendix B) of `flops`
  // operations done in `seconds` by all learner processes, against a large
  // product here.
  double Utilisation(double flops, double seconds) const;
  // Times that product, once; Utilisation() needs it.
  void MeasurePeak();
  // What checkpoints took since the last step that was logged.
  void AddSaveTime(Metrics* step_metrics);
  // Publishes `weights` (of any type) to the workers; returns the version.
  int64_t PublishWeights(const TensorMap& source);

  // Loads the data sets `names` (all of config.data if empty); `limit` checks
  // the rows of each, and may leave some out.
  absl::StatusOr<StageData> LoadStageData(
      const google::protobuf::RepeatedPtrField<std::string>& names,
      const std::string& stage_name,
      absl::Status (*limit)(Run& run, DataRows* rows));

  // Adds what the state counts of the running stage and writes a checkpoint.
  // `learner` may be null: no optimizer state then. `more` are further tensors
  // of the trainer's, float32. Returns its folder.
  absl::StatusOr<std::string> SaveCheckpoint(Learner* learner,
                                             const TensorMap& more = {});
  // The policy `policy` as it is before any training; random weights are the
  // same each time.
  absl::StatusOr<Checkpoint> PolicyOf(const PolicyConfig& policy) const;
  // What the running stage started from.
  absl::StatusOr<Checkpoint> StageStart() const;
  // The trainer's tensors of the checkpoint that the run was resumed from.
  absl::StatusOr<TensorMap> LoadTrainerTensors() const;
  // Moments and step of the optimizer, where the run was resumed in this stage.
  absl::Status RestoreOptimizer(Learner* learner) const;

  // Folder of the checkpoint whose policy was evaluated last, with the metrics;
  // empty if none was.
  std::string evaluated_folder;
  Metrics evaluated_metrics;
  double evaluation_seconds = 0;  // Within the running stage.
  double save_seconds = 0;        // See AddSaveTime().
  double peak_flops = 0;          // A second; 0: not measured yet.

  // Folder of the checkpoint that the run was resumed from; empty if new.
  std::string resumed_from;
  // Folder of the checkpoint that the running stage started from; empty if it
  // was stage_start_policy.
  std::string stage_start_folder;
  PolicyConfig stage_start_policy;  // Of the run, or of the stage.
};

// One lease for a prompt: ids, problem, limits, all but samples and ids.
absl::StatusOr<Lease> MakeLease(const Run& run, const DataRow& row,
                                const std::string& purpose,
                                const std::string& stage, int64_t step);

// What prompt.overlong says of prompts that are longer than
// prompt.max_prompt_tokens: the error that counts them, or they are left out
// of `rows` and a line counts them. None is ever cut.
absl::Status ApplyPromptLimit(Run& run, DataRows* rows);

// The same of examples that are longer than a prompt and its response may be;
// an error names a row that is no example.
absl::Status ApplyExampleLimit(Run& run, DataRows* rows);

}  // namespace ponder

#endif  // PONDER_RL_RUN_H_
