// AdamW with decoupled weight decay (arXiv:1711.05101, algorithm 2) over
// float32 master weights, and its learning-rate schedules.

#ifndef PONDER_RL_ADAMW_H_
#define PONDER_RL_ADAMW_H_

#include <cstdint>
#include <map>
#include <string>

#include "policy/decoder.h"
#include "proto/config.pb.h"

namespace ponder {

// Learning rate of update `step` (from 1) of `total_steps`: linear from 0 over
// warmup_steps, then constant, or a cosine down to min_learning_rate_ratio.
double LearningRate(const OptimizerConfig& config, int64_t step,
                    int64_t total_steps);

// The same where progress is a share of time instead of steps: warm-up takes
// the share warmup_share.
double LearningRateAt(const OptimizerConfig& config, double progress,
                      double warmup_share);

// Updates weights in place from their gradients:
//
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   w = w - lr weight_decay w - lr m^ / (sqrt(v^) + epsilon)
//
// m^, v^ are bias-corrected. Vectors (norms, biases) are not decayed. Not
// thread-safe.
class AdamW {
 public:
  // Weights are shared and float32; those without gradients are left alone.
  // Allocates gradients and moments.
  AdamW(const OptimizerConfig& config, const TensorMap& weights);

  // Norm of all gradients together; weights without a gradient count as 0.
  double GradNorm() const;

  // One update with gradients scaled down to max_grad_norm. Gradients are set
  // to zero. If their norm is not finite nothing changes but the zeroing, and
  // false is returned.
  bool Step(double learning_rate, double grad_norm);

  void ZeroGrad();

  int64_t step() const { return step_; }

  // Moments as "m.NAME" and "v.NAME", for a checkpoint; they share memory.
  TensorMap State() const;
  // Takes over what State() of an equal optimizer gave, after `step` updates.
  // INVALID_ARGUMENT names a tensor that is missing or has another shape.
  absl::Status SetState(const TensorMap& state, int64_t step);

 private:
  struct Moments {
    at::Tensor m;
    at::Tensor v;
  };

  const OptimizerConfig config_;
  TensorMap weights_;
  std::map<std::string, Moments> moments_;
  int64_t step_ = 0;
};

}  // namespace ponder

#endif  // PONDER_RL_ADAMW_H_
