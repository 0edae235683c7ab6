// What a step of reinforcement learning does with its samples.

#ifndef PONDER_RL_STEP_LEARNER_H_
#define PONDER_RL_STEP_LEARNER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rl/critic.h"
#include "rl/grpo_metrics.h"
#include "rl/learner.h"
#include "rl/mismatch.h"
#include "rl/run.h"
#include "rl/train_group.h"

namespace ponder {

// The learner of a GRPO stage with its reference policy and its critic. Used by
// one thread.
class StepLearner {
 public:
  // Of the parts of a step; 0 for those that it does not have.
  struct Seconds {
    double reference = 0, values = 0, old_logprobs = 0;  // Passes.
    double advantages = 0;
    double update_critic = 0, update_policy = 0;
  };

  struct Result {
    Seconds seconds;
    double pass_flops = 0;  // Of the pass for old_logprobs.
    LearningStats learning;
    UpdateStats update;  // Means over the step's updates.
    CriticStats critic;
    LogprobMismatch mismatch;  // Of sampler and policy before the step.
    // Its mean_abs over what that very policy sampled; none: all was older.
    std::optional<double> fresh_abs_diff;
    double reward_kl = 0;   // Mean over tokens; with kl_in_reward.
    double reverse_kl = 0;  // The same; with advantage REVERSE_KL.
  };

  // From run.weights; where the stage goes on, with what Save() saved. `run`
  // and `stage` outlive this object.
  static absl::StatusOr<std::unique_ptr<StepLearner>> Create(
      Run& run, const GrpoStage& stage);

  // Passes, advantages and all updates of step run.state.stage_step + 1.
  Result Learn(std::vector<TrainGroup> groups);

  // The mismatch before anything is learnt.
  LogprobMismatch CompareWithSampler(
      const std::vector<TrainGroup>& groups) const;

  // Writes a checkpoint of the run with all that Create() needs.
  absl::StatusOr<std::string> Save();

  const TensorMap& weights() const { return learner_->weights(); }

 private:
  // Of all samples; of those that are not stale only the sum of |difference|.
  struct MismatchMeters {
    MismatchMeter all;
    double fresh_abs = 0;
    int64_t fresh_tokens = 0;

    // `logprobs` of the policy; sequences without any are left out.
    void Add(const std::vector<TrainSequence>& batch,
             const std::vector<std::vector<float>>& logprobs);
  };

  StepLearner(Run& run, const GrpoStage& stage) : run_(run), stage_(stage) {}

  absl::Status FreezeReference();
  absl::Status CreateCritic();
  absl::Status RestoreState();
  void PassOver(std::vector<TrainGroup>* groups, MismatchMeters* meters,
                Result* result) const;
  void Update(const std::vector<TrainGroup>& groups, MismatchMeters* meters,
              Result* result);
  double RateOf(const OptimizerConfig& optimizer, size_t u) const;

  Run& run_;
  const GrpoStage& stage_;
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<Critic> critic_;  // Null without GAE.
};

}  // namespace ponder

#endif  // PONDER_RL_STEP_LEARNER_H_
