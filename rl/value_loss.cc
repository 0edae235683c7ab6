#include "rl/value_loss.h"

#include "ATen/ATen.h"

namespace ponder {

using at::Tensor;

ValueLoss ClippedValueLoss(const Tensor& values, const Tensor& old,
                           const Tensor& returns, const Tensor& weights,
                           double clip) {
  TORCH_CHECK(values.sizes() == old.sizes() &&
              values.sizes() == returns.sizes() &&
              values.sizes() == weights.sizes());
  const Tensor near = old + (values - old).clamp(-clip, clip);
  const Tensor unclipped = (values - returns).square();
  const Tensor clipped = (near - returns).square();
  ValueLoss result;
  result.clipped = (clipped > unclipped).sum().item<double>();
  result.loss = (at::maximum(unclipped, clipped) * weights).sum() / 2;
  return result;
}

}  // namespace ponder
