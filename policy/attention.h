// Grouped-query attention (arXiv:2305.13245) of Llama, Mistral and Qwen, with
// multi-head attention as the case of as many key heads as query heads.

#ifndef PONDER_POLICY_ATTENTION_H_
#define PONDER_POLICY_ATTENTION_H_

#include <functional>

#include "ATen/core/Tensor.h"
#include "policy/model_config.h"
#include "policy/ops.h"
#include "policy/weights.h"

namespace ponder {

// softmax(scale q k^T) v over the keys that each row sees: q [T, H, K],
// k [T, G, K] and v [T, G, W] of the rows at hand; returns [T, H, W].
using AttendFn = std::function<at::Tensor(
    const at::Tensor& q, const at::Tensor& k, const at::Tensor& v)>;

// x [T, D] after the layer's norm, positions [T] int64; returns [T, D].
// `weights` are those of self_attn. Biases, and the norm of each head's query
// and key (Qwen3), are there where the configuration says so.
at::Tensor GroupedQueryAttention(const ModelConfig& config,
                                 const NamedTensors& weights,
                                 const at::Tensor& x,
                                 const at::Tensor& positions,
                                 const RopeAngles& rope,
                                 const AttendFn& attend);

}  // namespace ponder

#endif  // PONDER_POLICY_ATTENTION_H_
