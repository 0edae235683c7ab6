#include "rl/adamw.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ATen/Parallel.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/zeros_like.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ponder {
namespace {

double Decayed(const OptimizerConfig& config, double share) {
  if (config.schedule() == OptimizerConfig::CONSTANT) {
    return config.learning_rate();
  }
  const double low = config.min_learning_rate_ratio();
  const double cosine =
      0.5 * (1 + std::cos(std::numbers::pi * std::clamp(share, 0.0, 1.0)));
  return config.learning_rate() * (low + (1 - low) * cosine);
}

struct Update {
  float scale;  // Of the gradient.
  float beta1;
  float beta2;
  float rest1;  // 1 - beta1, from doubles: 1 - 0.999f is off by 1e-5 of it.
  float rest2;
  float step_size;     // Learning rate over the bias correction of m.
  float v_correction;  // 1 / sqrt(bias correction of v).
  float epsilon;
  float keep;  // 1 - learning rate * weight decay.
};

void UpdateSpan(const Update& u, const float* g, int64_t n, float* w, float* m,
                float* v) {
  for (int64_t i = 0; i < n; ++i) {
    const float grad = g[i] * u.scale;
    m[i] = u.beta1 * m[i] + u.rest1 * grad;
    v[i] = u.beta2 * v[i] + u.rest2 * grad * grad;
    w[i] = w[i] * u.keep -
           u.step_size * m[i] / (std::sqrt(v[i]) * u.v_correction + u.epsilon);
  }
}

// The same by LibTorch's operations, on any device.
void UpdateOnDevice(const Update& u, const at::Tensor& g, at::Tensor w,
                    at::Tensor m, at::Tensor v) {
  const at::NoGradGuard no_grad;
  m.mul_(u.beta1).add_(g, u.rest1 * u.scale);
  v.mul_(u.beta2).addcmul_(g, g, u.rest2 * u.scale * u.scale);
  w.mul_(u.keep).addcdiv_(m, v.sqrt().mul_(u.v_correction).add_(u.epsilon),
                          -u.step_size);
}

}  // namespace

double LearningRate(const OptimizerConfig& config, int64_t step,
                    int64_t total_steps) {
  const int64_t warmup = config.warmup_steps();
  if (step <= warmup) {
    return config.learning_rate() * static_cast<double>(step) /
           static_cast<double>(warmup);
  }
  const double rest =
      static_cast<double>(std::max<int64_t>(1, total_steps - warmup));
  return Decayed(config, static_cast<double>(step - warmup) / rest);
}

double LearningRateAt(const OptimizerConfig& config, double progress,
                      double warmup_share) {
  if (progress < warmup_share) {
    return config.learning_rate() * progress / warmup_share;
  }
  return Decayed(config,
                 (progress - warmup_share) / std::max(1e-9, 1 - warmup_share));
}

AdamW::AdamW(const OptimizerConfig& config, const TensorMap& weights)
    : config_(config) {
  for (const auto& [name, weight] : weights) {
    if (!weight.requires_grad()) continue;
    weights_[name] = weight;
    moments_[name] = {at::zeros_like(weight.detach()),
                      at::zeros_like(weight.detach())};
    // Up front: a run that does not fit shall fail before its first step.
    weight.mutable_grad() = at::zeros_like(weight.detach());
  }
}

double AdamW::GradNorm() const {
  double squares = 0;
  for (const auto& [name, weight] : weights_) {
    if (!weight.grad().defined()) continue;
    const double norm = weight.grad().norm().item<double>();
    squares += norm * norm;
  }
  return std::sqrt(squares);
}

bool AdamW::Step(double learning_rate, double grad_norm) {
  if (!std::isfinite(grad_norm)) {
    ZeroGrad();
    return false;
  }
  ++step_;
  const double max_norm = config_.max_grad_norm();
  const double t = static_cast<double>(step_);
  Update u;
  u.scale = max_norm > 0 && grad_norm > max_norm
                ? static_cast<float>(max_norm / (grad_norm + 1e-6))
                : 1.0f;
  u.beta1 = static_cast<float>(config_.beta1());
  u.beta2 = static_cast<float>(config_.beta2());
  u.rest1 = static_cast<float>(1 - config_.beta1());
  u.rest2 = static_cast<float>(1 - config_.beta2());
  u.step_size =
      static_cast<float>(learning_rate / (1 - std::pow(config_.beta1(), t)));
  u.v_correction =
      static_cast<float>(1 / std::sqrt(1 - std::pow(config_.beta2(), t)));
  u.epsilon = static_cast<float>(config_.epsilon());
  for (const auto& [name, weight] : weights_) {
    if (!weight.grad().defined()) continue;
    u.keep =
        weight.dim() > 1
            ? static_cast<float>(1 - learning_rate * config_.weight_decay())
            : 1.0f;
    const at::Tensor grad = weight.grad().contiguous();
    const Moments& moments = moments_.at(name);
    if (!weight.is_cpu()) {
      UpdateOnDevice(u, grad, weight, moments.m, moments.v);
      continue;
    }
    const float* g = grad.const_data_ptr<float>();
    float* w = weight.data_ptr<float>();
    float* m = moments.m.data_ptr<float>();
    float* v = moments.v.data_ptr<float>();
    at::parallel_for(0, weight.numel(), 32768, [&](int64_t begin, int64_t end) {
      UpdateSpan(u, g + begin, end - begin, w + begin, m + begin, v + begin);
    });
  }
  ZeroGrad();
  return true;
}

void AdamW::ZeroGrad() {
  for (const auto& [name, weight] : weights_) {
    if (weight.grad().defined()) weight.mutable_grad().zero_();
  }
}

TensorMap AdamW::State() const {
  TensorMap state;
  for (const auto& [name, moments] : moments_) {
    state["m." + name] = moments.m;
    state["v." + name] = moments.v;
  }
  return state;
}

absl::Status AdamW::SetState(const TensorMap& state, int64_t step) {
  for (auto& [name, moments] : moments_) {
    for (const auto& [key, target] : {std::pair("m." + name, moments.m),
                                      std::pair("v." + name, moments.v)}) {
      const auto it = state.find(key);
      if (it == state.end() || it->second.sizes() != target.sizes()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "optimizer state: tensor ", key,
            it == state.end() ? " is missing" : " has another shape"));
      }
      target.copy_(it->second);
    }
  }
  step_ = step;
  return absl::OkStatus();
}

}  // namespace ponder
