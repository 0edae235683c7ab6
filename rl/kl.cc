#include "rl/kl.h"

#include "ATen/ATen.h"

namespace ponder {
namespace {

using at::Tensor;

Tensor K2(const Tensor& d) { return d * d / 2; }
Tensor K3(const Tensor& d) { return (-d).exp() + d - 1; }

}  // namespace

Tensor EstimateKl(KlEstimator estimator, const Tensor& logprobs,
                  const Tensor& reference) {
  TORCH_CHECK(logprobs.sizes() == reference.sizes());
  const Tensor d = (logprobs - reference).clamp(-20, 20);
  switch (estimator) {
    case KlEstimator::kK1:
      return d;
    case KlEstimator::kK2:
      return K2(d);
    case KlEstimator::kK3:
      return K3(d);
    case KlEstimator::kK3WithK2Gradient: {
      const Tensor k2 = K2(d);
      return k2 - k2.detach() + K3(d.detach());
    }
  }
  TORCH_CHECK(false, "no such estimator");
}

}  // namespace ponder
