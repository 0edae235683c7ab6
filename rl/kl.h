// Estimates of KL(policy || reference) from the sampled tokens alone.

#ifndef PONDER_RL_KL_H_
#define PONDER_RL_KL_H_

#include "ATen/core/Tensor.h"

namespace ponder {

enum class KlEstimator { kK1, kK2, kK3, kK3WithK2Gradient };

// With d = logprobs - reference, clamped to [-20, 20] (as in verl):
//
//   k1 = d
//   k2 = d^2 / 2
//   k3 = exp(-d) + d - 1
//
// J. Schulman, "Approximating KL divergence" (2020); k3 is that of GRPO
// (arXiv:2402.03300, eq. 4). k1 and k3 are unbiased values, but k2 is the one
// whose gradient is that of the KL divergence when samples come from the
// policy: kK3WithK2Gradient has the value of k3 and the gradient of k2.
//
// logprobs [N], differentiable; reference [N], no gradient. Returns [N].
at::Tensor EstimateKl(KlEstimator estimator, const at::Tensor& logprobs,
                      const at::Tensor& reference);

}  // namespace ponder

#endif  // PONDER_RL_KL_H_
