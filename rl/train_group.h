// From the samples of a step to what the learner takes.

#ifndef PONDER_RL_TRAIN_GROUP_H_
#define PONDER_RL_TRAIN_GROUP_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "proto/config.pb.h"
#include "rl/aggregation.h"
#include "rl/group_sampler.h"
#include "rl/importance.h"
#include "rl/packed_batch.h"
#include "rl/policy_loss.h"

namespace ponder {

// One prompt's samples. Those without a reward have no targets: neither
// gradient nor denominator.
struct TrainGroup {
  std::vector<TrainSequence> sequences;
  std::vector<std::optional<double>> rewards;
  bool zero_spread = false;  // No signal; of group-relative advantages only.
};

// A sample that hit the token limit has no reward with `mask_truncated`.
TrainGroup ToTrainGroup(const FinishedGroup& group, bool mask_truncated);

// The samples' rewards as a TrainGroup has them.
std::vector<std::optional<double>> RewardsOf(const FinishedGroup& group,
                                             bool mask_truncated);

// Whether at least two rewards count and not all are equal.
bool HasSpread(const std::vector<std::optional<double>>& rewards);

// How many samples there were, could be scored, and were right.
struct PassCount {
  int64_t samples = 0, scored = 0, correct = 0;

  void Add(const FinishedGroup& group);
  // correct / scored; none if none could be scored.
  std::optional<double> rate() const;
};

// Fills in the importance weights of a sequence with old_logprobs.
void AssignImportance(const ImportanceOptions& options,
                      TrainSequence* sequence);

// Fills in the advantages of all sequences, and the returns with GAE, by
// stage.advantage() and docs/algorithms.md. Reads the reference's
// log-probabilities with kl_in_reward, and the values with GAE.
//
// REVERSE_KL reads the reference's log-probabilities, which are the teacher's,
// and no reward; it is TeacherAdvantages() of token_advantage.h.
//
// KL in the reward: a token's reward is -kl_coef * kl_t, and the last token's
// is r beside that. A group-relative advantage is of the sum over the tokens.
void AssignAdvantages(const GrpoStage& stage, std::vector<TrainGroup>* groups);

// The mean over all tokens of the estimate of KL to the reference, for people;
// 0 without tokens.
double MeanKl(const GrpoStage& stage, const std::vector<TrainGroup>& groups);

// The mean over all tokens of log-probability of the policy that sampled -
// log-probability of the reference: an estimate of KL(policy || teacher) in
// nats a token. 0 without tokens.
double MeanReverseKl(const std::vector<TrainGroup>& groups);

// Whether the stage needs the reference's log-probabilities.
bool HasReference(const GrpoStage& stage);

// Whether the ratio is against the policy at the start of the step.
bool IsDecoupled(const GrpoStage& stage);
ImportanceOptions ImportanceOptionsOf(const GrpoStage& stage);
PolicyLossOptions PolicyLossOptionsOf(const GrpoStage& stage);

// The denominators of an update on `batch`.
LossScale LossScaleOf(const GrpoStage& stage, int64_t max_response_tokens,
                      const std::vector<TrainSequence>& batch);

}  // namespace ponder

#endif  // PONDER_RL_TRAIN_GROUP_H_
