// The part that updates the policy.

#ifndef PONDER_RL_LEARNER_H_
#define PONDER_RL_LEARNER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/decoder.h"
#include "policy/expert_balance.h"
#include "proto/config.pb.h"
#include "rl/adamw.h"
#include "rl/policy_loss.h"

namespace ponder {

// One sequence to learn from.
struct TrainSequence {
  std::vector<int32_t> ids;  // Prompt and response.
  // Places in `ids` of the tokens that the loss counts, ascending, none 0.
  std::vector<int32_t> targets;
  // GRPO: log-probability of each target when it was sampled, and the
  // advantage of the whole response.
  std::vector<float> behavior_logprobs;
  double advantage = 0;
};

// Means are over the counted tokens of one update.
struct UpdateStats {
  double loss = 0;
  double grad_norm = 0;  // Before clipping.
  double learning_rate = 0;
  double entropy = 0;    // Nats.
  bool applied = false;  // False: the gradient was not finite, or all zero.
  int64_t tokens = 0;    // Tokens of the forward passes, prompts included.
  // GRPO only.
  double clip_fraction = 0;
  double dual_clip_fraction = 0;
  double approx_kl = 0;
  double reference_kl = 0;
  // Of a mixture of experts; else undefined and 0.
  at::Tensor expert_tokens;  // [layers, E] int64, as in ExpertBalance.
  double expert_balance_loss = 0;
};

// How far the sampler's log-probabilities are from the learner's.
struct LogprobMismatch {
  double max_abs = 0;
  double mean_abs = 0;
  double mean_kl = 0;  // mean(sampler - learner): k1 of KL.
  double mean_k3 = 0;
  double max_prob_diff = 0;  // Of probabilities instead of logarithms.
  double mean_prob_diff = 0;
  int64_t tokens = 0;
};

// Copies of all tensors on `device` as `dtype`, without gradients.
TensorMap CopyTensors(const TensorMap& tensors, at::ScalarType dtype,
                      at::Device device);

// Holds float32 master weights, their gradients and an optimizer. Not
// thread-safe.
class Learner {
 public:
  struct Options {
    LearnerConfig learner;
    OptimizerConfig optimizer;
    at::ScalarType dtype = at::kFloat;  // Of the activations.
    int64_t max_tokens = 0;             // Of one sequence.
  };

  // `weights` are float32. They are shared and changed in place; gradients are
  // on as long as the learner lives. INVALID_ARGUMENT names an option of
  // mixtures of experts that this policy cannot follow.
  static absl::StatusOr<std::unique_ptr<Learner>> Create(
      const ModelConfig& config, TensorMap weights, const Options& options);

  ~Learner();

  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;

  // Supervised: loss = -sum logprob / (number of targets).
  UpdateStats SupervisedUpdate(const std::vector<TrainSequence>& batch,
                               double learning_rate);

  // GRPO with ClippedPolicyLoss(). token_count as there. Sequences with
  // advantage 0 have no gradient and are left out unless a KL term needs them.
  // `temperature` is the one of sampling. `mismatch`, if not null, receives
  // the comparison with behavior_logprobs before the update.
  UpdateStats PolicyUpdate(const std::vector<TrainSequence>& batch,
                           int64_t token_count, double temperature,
                           const PolicyLossOptions& options,
                           double learning_rate, LogprobMismatch* mismatch);

  // Compares without learning.
  LogprobMismatch CompareLogprobs(const std::vector<TrainSequence>& batch,
                                  double temperature) const;

  // Takes a copy of `weights`, as `dtype`, as the reference policy of the KL
  // term.
  void FreezeReference(const TensorMap& weights);

  const TensorMap& weights() const { return decoder_->weights(); }
  AdamW& optimizer() { return optimizer_; }

 private:
  // One micro-batch, packed.
  struct Packed;

  Learner(std::shared_ptr<const Decoder> decoder, const Options& options)
      : options_(options),
        decoder_(std::move(decoder)),
        optimizer_(options.optimizer, decoder_->weights()) {}

  std::vector<Packed> Pack(const std::vector<TrainSequence>& batch,
                           const std::vector<int64_t>& chosen) const;
  TokenLogprobs Logprobs(const Decoder& decoder, const Packed& packed,
                         double temperature, bool want_entropy,
                         ExpertBalance* balance) const;
  // What to collect over an update from so many sequences; none of a dense
  // policy.
  std::optional<ExpertBalance> NewBalance(size_t num_sequences) const;
  void ApplyUpdate(double learning_rate,
                   const std::optional<ExpertBalance>& balance,
                   UpdateStats* stats);

  const Options options_;
  const std::shared_ptr<const Decoder> decoder_;
  std::shared_ptr<const Decoder> reference_;
  AdamW optimizer_;
};

}  // namespace ponder

#endif  // PONDER_RL_LEARNER_H_
