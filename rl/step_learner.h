// What a step of reinforcement learning does with its samples.

#ifndef PONDER_RL_STEP_LEARNER_H_
#define PONDER_RL_STEP_LEARNER_H_

#include <memory>
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
  struct Result {
    LearningStats learning;
    UpdateStats update;  // Means over the step's updates.
    CriticStats critic;
    LogprobMismatch mismatch;  // Of sampler and policy before the step.
    double reward_kl = 0;      // Mean over tokens; with kl_in_reward.
    double reverse_kl = 0;     // The same; with advantage REVERSE_KL.
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
  StepLearner(Run& run, const GrpoStage& stage) : run_(run), stage_(stage) {}

  absl::Status FreezeReference();
  absl::Status CreateCritic();
  absl::Status RestoreState();
  void PassOver(std::vector<TrainGroup>* groups, MismatchMeter* meter) const;
  void Update(const std::vector<TrainGroup>& groups, MismatchMeter* meter,
              Result* result);
  double RateOf(const OptimizerConfig& optimizer, size_t u) const;

  Run& run_;
  const GrpoStage& stage_;
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<Critic> critic_;  // Null without GAE.
};

}  // namespace ponder

#endif  // PONDER_RL_STEP_LEARNER_H_
