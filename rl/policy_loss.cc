#include "rl/policy_loss.h"

#include "ATen/ATen.h"

namespace ponder {
namespace {

using at::Tensor;

constexpr double kMaxLogRatio = 20;
constexpr double kMaxLogSequenceRatio = 10;
constexpr double kDppoSquareCoef = 1e-3;

Tensor ClipRatio(const Tensor& ratio, const PolicyLossOptions& options) {
  return ratio.clamp(1 - options.clip_low, 1 + options.clip_high);
}

// The larger loss of ratio and clipped ratio.
Tensor Pessimistic(const Tensor& ratio, const Tensor& advantages,
                   const PolicyLossOptions& options, PolicyLoss* result) {
  const Tensor unclipped = -ratio * advantages;
  const Tensor clipped = -ClipRatio(ratio, options) * advantages;
  result->clipped = (clipped > unclipped).sum().item<double>();
  return at::maximum(unclipped, clipped);
}

Tensor ClippedLosses(const Tensor& log_ratio, const Tensor& advantages,
                     const PolicyLossOptions& options, PolicyLoss* result) {
  const Tensor losses =
      Pessimistic(log_ratio.exp(), advantages, options, result);
  if (options.dual_clip == 0) return losses;
  const Tensor cap = -options.dual_clip * advantages;
  const Tensor capped = (advantages < 0) & (cap < losses);
  result->dual_clipped = capped.sum().item<double>();
  return at::where(capped, cap, losses);
}

// Each token's mean over its sequence.
Tensor SequenceMeans(const Tensor& x, const std::vector<int64_t>& cu_tokens) {
  TORCH_CHECK(!cu_tokens.empty() && cu_tokens.back() == x.numel());
  const Tensor means = at::empty_like(x);
  for (size_t i = 0; i + 1 < cu_tokens.size(); ++i) {
    const Tensor sequence = x.slice(0, cu_tokens[i], cu_tokens[i + 1]);
    means.slice(0, cu_tokens[i], cu_tokens[i + 1]).copy_(sequence.mean());
  }
  return means;
}

Tensor GspoLosses(const Tensor& log_ratio, const PolicyLossInput& input,
                  const PolicyLossOptions& options, PolicyLoss* result) {
  const Tensor own = input.logprobs - input.logprobs.detach();  // 0.
  const Tensor log_s =
      (own + SequenceMeans(log_ratio.detach(), input.cu_tokens))
          .clamp_max(kMaxLogSequenceRatio);
  return Pessimistic(log_s.exp(), input.advantages, options, result);
}

Tensor CispoLosses(const Tensor& log_ratio, const PolicyLossInput& input,
                   const PolicyLossOptions& options, PolicyLoss* result) {
  const Tensor ratio = log_ratio.detach().exp();
  const Tensor clipped = ClipRatio(ratio, options);
  result->clipped = clipped.ne(ratio).sum().item<double>();
  return -clipped * input.advantages * input.logprobs;
}

Tensor SapoLosses(const Tensor& log_ratio, const Tensor& advantages,
                  const PolicyLossOptions& options) {
  const Tensor tau =
      at::where(advantages > 0,
                at::full_like(advantages, options.sapo_positive_temperature),
                at::full_like(advantages, options.sapo_negative_temperature));
  return -4 / tau * at::sigmoid(tau * (log_ratio.exp() - 1)) * advantages;
}

Tensor DppoTvLosses(const Tensor& log_ratio, const PolicyLossInput& input,
                    const PolicyLossOptions& options, PolicyLoss* result) {
  const Tensor moved = input.logprobs.detach().exp() - input.old.exp();
  const Tensor& a = input.advantages;
  const Tensor dropped =
      at::where(a > 0, moved > options.tv_bound, moved < -options.tv_bound);
  result->clipped = dropped.sum().item<double>();
  const Tensor gained = log_ratio.exp() * a;
  return kDppoSquareCoef * log_ratio.square() -
         at::where(dropped, at::zeros_like(gained), gained);
}

// Losses without those of the sequences that the policy has left behind.
Tensor WithoutOffPolicy(const Tensor& losses, const PolicyLossInput& input,
                        const PolicyLossOptions& options, PolicyLoss* result) {
  const Tensor& sampler = input.behavior.defined() ? input.behavior : input.old;
  const Tensor drift = SequenceMeans(
      (sampler - input.logprobs.detach()).clamp(-kMaxLogRatio, kMaxLogRatio),
      input.cu_tokens);
  const Tensor masked =
      (input.advantages < 0) & (drift > options.off_policy_mask);
  result->masked = masked.sum().item<double>();
  return at::where(masked, at::zeros_like(losses), losses);
}

}  // namespace

PolicyLoss PolicyGradientLoss(const PolicyLossInput& input,
                              const PolicyLossOptions& options) {
  const Tensor& logprobs = input.logprobs;
  TORCH_CHECK(logprobs.sizes() == input.old.sizes() &&
              logprobs.sizes() == input.advantages.sizes() &&
              logprobs.sizes() == input.weights.sizes());
  PolicyLoss result;
  const Tensor log_ratio =
      (logprobs - input.old).clamp(-kMaxLogRatio, kMaxLogRatio);
  result.log_ratio = -log_ratio.sum().item<double>();
  Tensor losses;
  switch (options.objective) {
    case Objective::kClipped:
      losses = ClippedLosses(log_ratio, input.advantages, options, &result);
      break;
    case Objective::kGspo:
      losses = GspoLosses(log_ratio, input, options, &result);
      break;
    case Objective::kCispo:
      losses = CispoLosses(log_ratio, input, options, &result);
      break;
    case Objective::kSapo:
      losses = SapoLosses(log_ratio, input.advantages, options);
      break;
    case Objective::kDppoTv:
      losses = DppoTvLosses(log_ratio, input, options, &result);
      break;
  }
  if (options.off_policy_mask > 0) {
    losses = WithoutOffPolicy(losses, input, options, &result);
  }
  if (input.importance.defined()) losses = losses * input.importance;
  if (options.kl_coef != 0) {
    const Tensor kl =
        EstimateKl(options.kl_estimator, logprobs, input.reference);
    result.kl = kl.sum().item<double>();
    losses = losses + options.kl_coef * kl;
  }
  if (options.entropy_coef != 0) {
    losses = losses - options.entropy_coef * input.entropy;
  }
  result.loss = (losses * input.weights).sum();
  return result;
}

}  // namespace ponder
