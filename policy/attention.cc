#include "policy/attention.h"

namespace ponder {

using at::Tensor;

Tensor GroupedQueryAttention(const ModelConfig& config, const NamedTensors& w,
                             const Tensor& x, const Tensor& positions,
                             const RopeAngles& rope, const AttendFn& attend) {
  const int64_t t = x.size(0);
  Tensor q = Linear(x, w["q_proj.weight"], w["q_proj.bias"])
                 .view({t, config.num_heads, config.head_dim});
  Tensor k = Linear(x, w["k_proj.weight"], w["k_proj.bias"])
                 .view({t, config.num_kv_heads, config.head_dim});
  const Tensor v = Linear(x, w["v_proj.weight"], w["v_proj.bias"])
                       .view({t, config.num_kv_heads, config.head_dim});
  if (config.qk_norm) {
    q = RmsNorm(q, w["q_norm.weight"], config.rms_norm_eps);
    k = RmsNorm(k, w["k_norm.weight"], config.rms_norm_eps);
  }
  const Tensor attended =
      attend(Rope(q, positions, rope), Rope(k, positions, rope), v);
  return Linear(attended.view({t, -1}), w["o_proj.weight"], w["o_proj.bias"]);
}

}  // namespace ponder
