// The policy-gradient losses.

#ifndef PONDER_RL_POLICY_LOSS_H_
#define PONDER_RL_POLICY_LOSS_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "rl/kl.h"

namespace ponder {

enum class Objective { kClipped, kGspo, kCispo, kSapo, kDppoTv };

struct PolicyLossOptions {
  Objective objective = Objective::kClipped;
  // The ratio is clipped to [1 - clip_low, 1 + clip_high].
  double clip_low = 0.2;
  double clip_high = 0.28;  // "Clip-higher", arXiv:2503.14476, sec. 3.1.
  double dual_clip = 3;     // 0: off. arXiv:1912.09729, eq. 5.
  double sapo_positive_temperature = 1;
  double sapo_negative_temperature = 1.05;
  double tv_bound = 0.2;
  double off_policy_mask = 0;  // delta; 0: off.
  double kl_coef = 0;
  KlEstimator kl_estimator = KlEstimator::kK3;
  double entropy_coef = 0;
};

// N response tokens of whole sequences, packed flat; float32 or float64, all of
// one type. Only logprobs and entropy have gradients. N may be 0.
struct PolicyLossInput {
  at::Tensor logprobs;  // [N] log pi_theta(y_t | x, y_<t).
  at::Tensor old;       // [N] of the policy that the ratio is against.
  // [N] of the policy that sampled; undefined: `old` is that. Read by
  // off_policy_mask only.
  at::Tensor behavior;
  at::Tensor advantages;  // [N]
  at::Tensor weights;     // [N] of each token in the loss: rl/aggregation.h.
  // [N] what the objective of each token is multiplied with, rl/importance.h;
  // undefined: 1.
  at::Tensor importance;
  at::Tensor reference;  // [N] undefined where kl_coef is 0.
  at::Tensor entropy;    // [N] nats; undefined where entropy_coef is 0.
  // First token of each sequence, and N. Read by kGspo and off_policy_mask.
  std::vector<int64_t> cu_tokens;
};

struct PolicyLoss {
  at::Tensor loss;  // [] of logprobs' type, differentiable.
  // Sums over the tokens, detached.
  double clipped = 0;       // Tokens whose ratio was clipped: see below.
  double dual_clipped = 0;  // Tokens whose loss is capped by the dual clip.
  double masked = 0;        // Tokens that off_policy_mask leaves out.
  double log_ratio = 0;     // Of old - policy: the k1 estimate of KL.
  double kl = 0;            // Of the estimate of KL to the reference.
};

//   loss = sum_t weights_t (importance_t l_t + kl_coef kl_t - entropy_coef H_t)
//
// with rho_t = exp(logprobs_t - old_t), the logarithm clamped to [-20, 20] (as
// in verl), kl_t of rl/kl.h, and l_t of the objective:
//
//   kClipped   max(-rho_t A_t, -clamp(rho_t, 1 - clip_low, 1 + clip_high) A_t),
//              and at most -dual_clip A_t where A_t < 0. PPO's clipped
//              surrogate (arXiv:1707.06347, eq. 7). `clipped`: where the
//              clipped term is the larger loss.
//   kGspo      the same without dual clip, of s = exp(mean over the sequence of
//              log rho_t) in place of rho_t, with the gradient of each token's
//              own log-probability (GSPO-token, arXiv:2507.18071, eq. 13-14);
//              log s is at most 10 (as in verl).
//   kCispo     -sg[clamp(rho_t, 1 - clip_low, 1 + clip_high)] A_t logprobs_t
//              (arXiv:2506.13585, eq. 4-5): no token loses its gradient.
//              `clipped`: where the clamp changes the ratio.
//   kSapo      -4 / tau sigmoid(tau (rho_t - 1)) A_t, tau by the sign of A_t
//              (soft adaptive policy optimisation, arXiv:2511.20347, eq. 4-5):
//              its gradient falls off on both sides of rho_t = 1.
//   kDppoTv    -k_t rho_t A_t + 0.001 (log rho_t)^2, with k_t = 0 where the
//              token's probability moved by more than tv_bound, up with A_t > 0
//              or down with A_t <= 0, and else 1 (prime-rl's default loss).
//              `clipped`: where k_t is 0.
//
// off_policy_mask, of any objective: importance_t l_t is 0 where A_t < 0 and
// the mean over the sequence of behavior - logprobs is above delta
// (DeepSeek-V3.2, arXiv:2512.02556, sec. 3.1, "off-policy sequence masking"):
// that samples are old and that the sampler differs from the learner both
// count.
PolicyLoss PolicyGradientLoss(const PolicyLossInput& input,
                              const PolicyLossOptions& options);

}  // namespace ponder

#endif  // PONDER_RL_POLICY_LOSS_H_
