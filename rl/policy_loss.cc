#include "rl/policy_loss.h"

#include "ATen/ATen.h"

namespace ponder {

using at::Tensor;

PolicyLoss ClippedPolicyLoss(const Tensor& logprobs, const Tensor& behavior,
                             const Tensor& advantages, const Tensor& reference,
                             int64_t token_count,
                             const PolicyLossOptions& options) {
  TORCH_CHECK(logprobs.sizes() == behavior.sizes() &&
              logprobs.sizes() == advantages.sizes() && token_count > 0);
  const Tensor log_ratio = (logprobs - behavior).clamp(-20, 20);
  const Tensor ratio = log_ratio.exp();
  const Tensor unclipped = -ratio * advantages;
  const Tensor clipped =
      -ratio.clamp(1 - options.clip_low, 1 + options.clip_high) * advantages;
  Tensor losses = at::maximum(unclipped, clipped);

  PolicyLoss result;
  result.clipped = (clipped > unclipped).sum().item<double>();
  if (options.dual_clip > 0) {
    const Tensor cap = -options.dual_clip * advantages;
    const Tensor capped = (advantages < 0) & (cap < losses);
    result.dual_clipped = capped.sum().item<double>();
    losses = at::where(capped, cap, losses);
  }
  Tensor sum = losses.sum();
  if (options.kl_coef != 0) {
    TORCH_CHECK(reference.sizes() == logprobs.sizes());
    const Tensor d = (reference - logprobs).clamp(-20, 20);
    const Tensor k3 = (d.exp() - d - 1).sum();
    result.kl = k3.item<double>();
    sum = sum + options.kl_coef * k3;
  }
  result.log_ratio = -log_ratio.sum().item<double>();
  result.loss = sum / static_cast<double>(token_count);
  return result;
}

}  // namespace ponder
