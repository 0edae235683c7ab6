// The loss of PPO's critic.

#ifndef PONDER_RL_VALUE_LOSS_H_
#define PONDER_RL_VALUE_LOSS_H_

#include "ATen/core/Tensor.h"

namespace ponder {

struct ValueLoss {
  at::Tensor loss;     // [], differentiable.
  double clipped = 0;  // Tokens where the clipped term is the larger loss.
};

//   l_t  = max((V_t - R_t)^2, (clamp(V_t, old_t - clip, old_t + clip) - R_t)^2)
//   loss = 1/2 sum_t weights_t l_t
//
// PPO's clipped value loss as in OpenAI's baselines and verl
// (compute_value_loss).
//
//   values   [N] of the critic, differentiable.
//   old      [N] its values before the step.
//   returns  [N] rl/token_advantage.h.
//   weights  [N] rl/aggregation.h.
ValueLoss ClippedValueLoss(const at::Tensor& values, const at::Tensor& old,
                           const at::Tensor& returns, const at::Tensor& weights,
                           double clip);

}  // namespace ponder

#endif  // PONDER_RL_VALUE_LOSS_H_
