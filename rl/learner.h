// The part that updates the policy.

#ifndef PONDER_RL_LEARNER_H_
#define PONDER_RL_LEARNER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/decoder.h"
#include "policy/expert_balance.h"
#include "proto/config.pb.h"
#include "rl/adamw.h"
#include "rl/aggregation.h"
#include "rl/collective.h"
#include "rl/packed_batch.h"
#include "rl/policy_loss.h"

namespace ponder {

// Means are over the counted tokens of one update.
struct UpdateStats {
  double loss = 0;
  double grad_norm = 0;  // Before clipping.
  double learning_rate = 0;
  double entropy = 0;    // Nats.
  bool applied = false;  // False: the gradient was not finite, or all zero.
  int64_t tokens = 0;    // Tokens of the forward passes, prompts included.
  double flops = 0;      // Of forward and backward passes.
  // GRPO only.
  double clip_fraction = 0;
  double dual_clip_fraction = 0;
  double masked_fraction = 0;  // By off_policy_mask.
  double approx_kl = 0;
  double reference_kl = 0;
  // Of the targets of each sequence, before the update; empty for those that
  // were left out.
  std::vector<std::vector<float>> logprobs;
  // Of a mixture of experts; else undefined and 0.
  at::Tensor expert_tokens;  // [layers, E] int64, as in ExpertBalance.
  double expert_balance_loss = 0;
};

// An update, for those who take part in it.
struct LearnerCall {
  bool supervised = false;
  const std::vector<TrainSequence>* batch = nullptr;
  // Of a policy update.
  LossScale scale = {};
  double temperature = 1;
  PolicyLossOptions options = {};
  double learning_rate = 0;
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
    // Null: alone. Else all its processes call the updates with the same
    // arguments, and each takes its share of the sequences. Process 0 steps and
    // hands its weights to the others; only there are the results those of the
    // whole update. Not owned; outlives the learner.
    Collective* collective = nullptr;
    // Called by process 0 before an update, so that the others begin it too.
    std::function<void(const LearnerCall&)> announce;
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

  // With PolicyGradientLoss(); `scale` counts the whole update. Sequences whose
  // advantages are all 0 have no gradient and are left out unless KL or entropy
  // need them. `temperature` is the one of sampling.
  UpdateStats PolicyUpdate(const std::vector<TrainSequence>& batch,
                           const LossScale& scale, double temperature,
                           const PolicyLossOptions& options,
                           double learning_rate);

  // Log-probabilities of the targets, for each sequence; in this process alone.
  std::vector<std::vector<float>> Logprobs(
      const std::vector<TrainSequence>& batch, double temperature) const;
  // The same of the reference policy.
  std::vector<std::vector<float>> ReferenceLogprobs(
      const std::vector<TrainSequence>& batch, double temperature) const;

  // Takes a copy of `weights`, as `dtype`, as the reference policy: of this
  // policy's shape, or of another's with the same vocabulary.
  void FreezeReference(const TensorMap& weights);
  absl::Status FreezeReference(const ModelConfig& config,
                               const TensorMap& weights);

  const TensorMap& weights() const { return decoder_->weights(); }
  // Of the reference policy, as dtype; there must be one.
  const TensorMap& reference_weights() const { return reference_->weights(); }
  AdamW& optimizer() { return optimizer_; }

 private:
  Learner(std::shared_ptr<const Decoder> decoder, const Options& options)
      : options_(options),
        decoder_(std::move(decoder)),
        optimizer_(options.optimizer, decoder_->weights()) {}

  TokenLogprobs Logprobs(const Decoder& decoder, const PackedBatch& packed,
                         double temperature, bool want_entropy,
                         ExpertBalance* balance) const;
  std::vector<std::vector<float>> Logprobs(
      const Decoder& decoder, const std::vector<TrainSequence>& batch,
      double temperature) const;
  // Micro-batches of this process's share of the sequences `chosen`.
  std::vector<PackedBatch> PackShare(const std::vector<TrainSequence>& batch,
                                     const std::vector<int64_t>& chosen) const;
  // What to collect over an update from so many sequences; none of a dense
  // policy.
  std::optional<ExpertBalance> NewBalance(size_t num_sequences) const;
  // Adds up the gradients of all processes and steps.
  void ApplyUpdate(double learning_rate,
                   const std::optional<ExpertBalance>& balance,
                   UpdateStats* stats);
  // Gives all processes the weights of process 0.
  void TakeWeights();
  void Announce(const LearnerCall& call) const;
  // Adds up values of all processes in place.
  void SumOverProcesses(const std::vector<double*>& values) const;
  void ShareLogprobs(const std::vector<TrainSequence>& batch,
                     std::vector<std::vector<float>>* logprobs) const;

  const Options options_;
  const std::shared_ptr<const Decoder> decoder_;
  std::shared_ptr<const Decoder> reference_;
  AdamW optimizer_;
};

}  // namespace ponder

#endif  // PONDER_RL_LEARNER_H_
