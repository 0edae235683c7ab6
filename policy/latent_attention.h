// Multi-head latent attention of DeepSeek-V2 and V3 (arXiv:2405.04434, sec. 2.1
// and appendix C): keys and values of all heads come from one latent c of r
// elements, and a rotated key of dr elements that the heads share.
//
//   c = norm(W_DKV x)         k_h = [W_UK,h c ; rope(W_KR x)]   v_h = W_UV,h c
//   q_h = [q_nope,h ; rope(q_pe,h)]
//
// A cache holds c and the rotated key alone. For that the products are taken
// in another order ("absorbed"), which never makes keys or values of heads:
//
//   q_h . k_h,j = (W_UK,h^T q_nope,h) . c_j + rope(q_pe,h) . rope(W_KR x_j)
//   sum_j p_j v_h,j = W_UV,h (sum_j p_j c_j)
//
// It is attention with one key [c ; rotated key] and one value c for all heads.

#ifndef PONDER_POLICY_LATENT_ATTENTION_H_
#define PONDER_POLICY_LATENT_ATTENTION_H_

#include "ATen/core/Tensor.h"
#include "policy/attention.h"
#include "policy/model_config.h"
#include "policy/ops.h"
#include "policy/weights.h"

namespace ponder {

// Arguments and result as in GroupedQueryAttention(). Training: `attend` gets
// q, k [T, H, dn + dr] and v [T, H, dv].
at::Tensor ExpandedLatentAttention(const ModelConfig& config,
                                   const NamedTensors& weights,
                                   const at::Tensor& x,
                                   const at::Tensor& positions,
                                   const RopeAngles& rope,
                                   const AttendFn& attend);

// Sampling: `attend` gets q [T, H, r + dr], k [T, 1, r + dr] and v [T, 1, r],
// which is the first part of k.
at::Tensor AbsorbedLatentAttention(const ModelConfig& config,
                                   const NamedTensors& weights,
                                   const at::Tensor& x,
                                   const at::Tensor& positions,
                                   const RopeAngles& rope,
                                   const AttendFn& attend);

// Factor on 1 / sqrt(dn + dr) in the scores: yarn's mscale of all dimensions,
// squared (DeepSeek's modeling code); 1 where the rope is not scaled.
double LatentAttentionFactor(const RopeConfig& rope);

}  // namespace ponder

#endif  // PONDER_POLICY_LATENT_ATTENTION_H_
