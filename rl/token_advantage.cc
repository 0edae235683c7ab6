#include "rl/token_advantage.h"

#include <cstdint>

#include "ATen/ATen.h"

namespace ponder {
namespace {

using at::Tensor;

constexpr double kVarianceEpsilon = 1e-8;

// y_t = x_t + decay y_{t+1}.
Tensor SumFromTheEnd(const Tensor& x, double decay) {
  TORCH_CHECK(x.dim() == 1 && x.scalar_type() == at::kDouble);
  const Tensor sums = x.clone();
  double* y = sums.mutable_data_ptr<double>();
  for (int64_t t = sums.numel() - 2; t >= 0; --t) y[t] += decay * y[t + 1];
  return sums;
}

}  // namespace

Tensor DiscountedReturns(const Tensor& rewards, double gamma) {
  return SumFromTheEnd(rewards, gamma);
}

GaeResult GeneralizedAdvantages(const Tensor& rewards, const Tensor& values,
                                double gamma, double lambda) {
  TORCH_CHECK(rewards.sizes() == values.sizes());
  const Tensor next =
      at::cat({values.slice(0, 1), at::zeros({1}, values.options())})
          .slice(0, 0, values.numel());
  const Tensor deltas = rewards + gamma * next - values;
  GaeResult result;
  result.advantages = SumFromTheEnd(deltas, gamma * lambda);
  result.returns = result.advantages + values;
  return result;
}

Tensor TeacherAdvantages(const Tensor& logprobs, const Tensor& teacher) {
  TORCH_CHECK(logprobs.sizes() == teacher.sizes());
  return teacher - logprobs;
}

Tensor Whiten(const Tensor& x) {
  if (x.numel() < 2) return at::zeros_like(x);
  return (x - x.mean()) * (x.var() + kVarianceEpsilon).rsqrt();
}

}  // namespace ponder
