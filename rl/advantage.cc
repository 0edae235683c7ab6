#include "rl/advantage.h"

#include <cstdint>

#include "ATen/ATen.h"

namespace ponder {
namespace {

using at::Tensor;

constexpr double kEpsilon = 1e-6;

// `scale` turns the centred rewards of those that count into advantages.
template <typename Scale>
GroupAdvantages Centered(const Tensor& rewards, Scale scale) {
  TORCH_CHECK(rewards.dim() == 1 && rewards.scalar_type() == at::kDouble);
  GroupAdvantages result;
  result.advantages = at::zeros_like(rewards);
  const Tensor counts = rewards.isnan().logical_not();
  const Tensor counted = rewards.masked_select(counts);
  result.zero_spread =
      counted.numel() < 2 || counted.eq(counted[0]).all().item<bool>();
  if (result.zero_spread) return result;
  result.advantages.masked_scatter_(counts, scale(counted - counted.mean()));
  return result;
}

}  // namespace

GroupAdvantages GrpoAdvantages(const Tensor& rewards) {
  return Centered(rewards, [](const Tensor& centered) {
    return centered / (centered.std() + kEpsilon);
  });
}

GroupAdvantages DrGrpoAdvantages(const Tensor& rewards) {
  return Centered(rewards, [](const Tensor& centered) { return centered; });
}

GroupAdvantages RlooAdvantages(const Tensor& rewards) {
  return Centered(rewards, [](const Tensor& centered) {
    const double n = static_cast<double>(centered.numel());
    return centered * (n / (n - 1));
  });
}

}  // namespace ponder
