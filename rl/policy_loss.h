// The policy-gradient loss of GRPO.

#ifndef PONDER_RL_POLICY_LOSS_H_
#define PONDER_RL_POLICY_LOSS_H_

#include <cstdint>

#include "ATen/core/Tensor.h"

namespace ponder {

struct PolicyLossOptions {
  // The ratio is clipped to [1 - clip_low, 1 + clip_high].
  double clip_low = 0.2;
  double clip_high = 0.28;  // "Clip-higher", arXiv:2503.14476, sec. 3.1.
  double dual_clip = 3;     // 0: off. arXiv:1912.09729, eq. 5.
  double kl_coef = 0;       // Weight of k3.
};

struct PolicyLoss {
  at::Tensor loss;  // [] of logprobs' type, differentiable.
  // Sums over the tokens, detached.
  double clipped = 0;       // Tokens where the clipped term is the larger loss.
  double dual_clipped = 0;  // Tokens whose loss is capped by the dual clip.
  double log_ratio = 0;     // Of behavior - policy: the k1 estimate of KL.
  double kl = 0;            // Of k3 to the reference.
};

// Clipped loss over the N response tokens of a micro-batch, packed flat:
//
//   r_t    = exp(logprobs_t - behavior_t)
//   l_t    = max(-r_t A_t, -clamp(r_t, 1 - clip_low, 1 + clip_high) A_t)
//   l_t    = min(l_t, -dual_clip A_t)               where A_t < 0
//   k3_t   = exp(reference_t - logprobs_t) - (reference_t - logprobs_t) - 1
//   loss   = sum_t (l_t + kl_coef k3_t) / token_count
//
// PPO's clipped surrogate (arXiv:1707.06347, eq. 7), asymmetric and averaged
// over tokens as in DAPO (arXiv:2503.14476, sec. 3.1 and 3.3), k3 as in GRPO
// (arXiv:2402.03300, eq. 4). Log-ratios are clamped to [-20, 20] (as in verl).
//
//   logprobs     [N] log pi_theta(y_t | x, y_<t), differentiable.
//   behavior     [N] of the policy that sampled; no gradient.
//   advantages   [N] no gradient.
//   reference    [N] of the reference policy, no gradient; undefined where
//                kl_coef is 0.
//   token_count  Response tokens of the whole optimizer update, those of groups
//                without spread included, so that the gradient does not depend
//                on how the update is cut into micro-batches. At least 1.
//
// float32 or float64, all of one type. N may be 0: the loss is 0.
PolicyLoss ClippedPolicyLoss(const at::Tensor& logprobs,
                             const at::Tensor& behavior,
                             const at::Tensor& advantages,
                             const at::Tensor& reference, int64_t token_count,
                             const PolicyLossOptions& options);

}  // namespace ponder

#endif  // PONDER_RL_POLICY_LOSS_H_
