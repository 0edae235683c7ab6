// PPO's critic: what a response is expected to be worth from each token on.

#ifndef PONDER_RL_CRITIC_H_
#define PONDER_RL_CRITIC_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/decoder.h"
#include "proto/config.pb.h"
#include "rl/adamw.h"
#include "rl/aggregation.h"
#include "rl/packed_batch.h"

namespace ponder {

// Means are over the counted tokens of one update.
struct CriticStats {
  double loss = 0;
  double clip_fraction = 0;
  double grad_norm = 0;  // Before clipping.
  int64_t tokens = 0;    // Of the forward passes, prompts included.
};

// The policy's architecture with weights of its own and a linear head without
// bias, whose value of a hidden state is V = w . h. Not thread-safe.
class Critic {
 public:
  struct Options {
    LearnerConfig learner;
    CriticConfig critic;
    at::ScalarType dtype = at::kFloat;  // Of the activations.
    int64_t max_tokens = 0;             // Of one sequence.
  };

  // Starts from a copy of the policy's weights, with a head of zeros.
  static absl::StatusOr<std::unique_ptr<Critic>> Create(
      const ModelConfig& config, const TensorMap& policy,
      const Options& options);
  ~Critic();

  Critic(const Critic&) = delete;
  Critic& operator=(const Critic&) = delete;

  // The value before each target was drawn, for each sequence.
  std::vector<std::vector<float>> Values(
      const std::vector<TrainSequence>& batch) const;

  // One step on ClippedValueLoss() of the sequences' values and returns.
  CriticStats Update(const std::vector<TrainSequence>& batch,
                     const LossScale& scale, double learning_rate);

  // Weights and moments by names that begin with "critic.", for a checkpoint;
  // they share memory.
  TensorMap State() const;
  // Takes over what State() gave, among other tensors, after `step` updates.
  absl::Status SetState(const TensorMap& state, int64_t step);
  int64_t step() const { return optimizer_.step(); }

 private:
  Critic(std::shared_ptr<const Decoder> decoder, TensorMap weights,
         const Options& options)
      : options_(options),
        decoder_(std::move(decoder)),
        weights_(std::move(weights)),
        optimizer_(options.critic.optimizer(), weights_) {}

  at::Tensor PackedValues(const PackedBatch& pack) const;  // [N] float32.

  const Options options_;
  const std::shared_ptr<const Decoder> decoder_;
  const TensorMap weights_;  // The decoder's and the head's; float32.
  AdamW optimizer_;
};

}  // namespace ponder

#endif  // PONDER_RL_CRITIC_H_
