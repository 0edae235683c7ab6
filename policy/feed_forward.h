// The gated feed-forward network of a dense layer or of one expert (SwiGLU,
// arXiv:2002.05202).

#ifndef PONDER_POLICY_FEED_FORWARD_H_
#define PONDER_POLICY_FEED_FORWARD_H_

#include "ATen/core/Tensor.h"
#include "policy/weights.h"

namespace ponder {

// down(silu(gate(x)) * up(x)); x [T, D], returns [T, D]. `weights` holds
// gate_proj, up_proj and down_proj.
at::Tensor FeedForward(const NamedTensors& weights, const at::Tensor& x);

}  // namespace ponder

#endif  // PONDER_POLICY_FEED_FORWARD_H_
