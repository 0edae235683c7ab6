// The kernels as functions over tensors, differentiable where LibTorch's
// gradient mode is on. Tensors are contiguous, all on one device, float32 or
// bfloat16. Errors of shape are our own bugs and throw c10::Error. Thread-safe.

#ifndef PONDER_POLICY_OPS_H_
#define PONDER_POLICY_OPS_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "policy/rope.h"

namespace ponder {

// Letters as in kernels.h: T tokens, D hidden size, H query heads, G key
// heads, K head size, V vocabulary, N chosen tokens.

// y = x W^T + b; x [T, D], weight [out, D], bias [out] or undefined. A weight
// that QuantizedQ8() made is taken as it is, without gradients. Weight and bias
// are cast to x's type. On the CPU a row of y depends on that row of x alone
// (policy/linear_kernel.h).
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight,
                  const at::Tensor& bias);

// RMSNorm over the last dimension; x [..., D], weight [D] of any float type.
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);

// silu(gate) * up; both [T, F].
at::Tensor SwiGlu(const at::Tensor& gate, const at::Tensor& up);

// 1 / (1 + exp(-x)); x float32 of any shape.
at::Tensor Sigmoid(const at::Tensor& x);

// A RopeTable on a device: [positions, K / 2] float32 each.
struct RopeAngles {
  at::Tensor cos;
  at::Tensor sin;
};
RopeAngles MakeRopeAngles(const RopeTable& table, at::Device device);

// x [T, heads, K]; positions [T] int64.
at::Tensor Rope(const at::Tensor& x, const at::Tensor& positions,
                const RopeAngles& angles);

// Causal attention within packed sequences. q [T, H, K]; k [T, G, K];
// v [T, G, W]; cu_seqlens: first row of each sequence, and T. Returns
// [T, H, W].
at::Tensor PackedAttention(const at::Tensor& q, const at::Tensor& k,
                           const at::Tensor& v,
                           const std::vector<int64_t>& cu_seqlens,
                           double scale);

struct TokenLogprobs {
  at::Tensor logprobs;  // [N] float32, differentiable.
  // [N] float32 in nats, differentiable; undefined if not asked.
  at::Tensor entropy;
};

// log softmax(hidden W^T / temperature)[ids], the logits of at most
// chunk_tokens rows at a time, computed again in the backward pass: [N, V] is
// never held. hidden [N, D], weight [V, D], ids [N] int64.
TokenLogprobs ChunkedTokenLogprobs(const at::Tensor& hidden,
                                   const at::Tensor& weight,
                                   const at::Tensor& ids, double temperature,
                                   int64_t chunk_tokens, bool want_entropy);

}  // namespace ponder

#endif  // PONDER_POLICY_OPS_H_
