#include "policy/latent_attention.h"

#include <vector>

#include "ATen/ops/cat.h"
#include "ATen/ops/stack.h"

namespace ponder {
namespace {

using at::Tensor;

// Of the latents' norms, whatever config.json says of the others.
constexpr double kLatentNormEps = 1e-6;

// DeepSeek rotates neighbours (2i, 2i + 1), Rope() elements half a head apart.
// Queries and keys are put into that order alike, which keeps their products.
Tensor RopeOfNeighbours(const Tensor& x, const Tensor& positions,
                        const RopeAngles& rope) {
  const int64_t t = x.size(0), heads = x.size(1), size = x.size(2);
  return Rope(x.reshape({t, heads, size / 2, 2})
                  .transpose(2, 3)
                  .reshape({t, heads, size}),
              positions, rope);
}

struct Projections {
  Tensor q_nope;  // [T, H, dn]
  Tensor q_pe;    // [T, H, dr], rotated.
  Tensor latent;  // [T, r]
  Tensor k_pe;    // [T, 1, dr], rotated.
};

Projections Project(const ModelConfig& config, const NamedTensors& w,
                    const Tensor& x, const Tensor& positions,
                    const RopeAngles& rope) {
  const MlaConfig& m = config.mla;
  Tensor q;
  if (m.q_lora_rank == 0) {
    q = Linear(x, w["q_proj.weight"], Tensor());
  } else {
    const Tensor latent =
        RmsNorm(Linear(x, w["q_a_proj.weight"], w["q_a_proj.bias"]),
                w["q_a_layernorm.weight"], kLatentNormEps);
    q = Linear(latent, w["q_b_proj.weight"], Tensor());
  }
  q = q.view({x.size(0), config.num_heads, config.qk_dim()});
  const Tensor kv =
      Linear(x, w["kv_a_proj_with_mqa.weight"], w["kv_a_proj_with_mqa.bias"]);
  return {q.slice(2, 0, m.qk_nope_head_dim),
          RopeOfNeighbours(q.slice(2, m.qk_nope_head_dim), positions, rope),
          RmsNorm(kv.slice(1, 0, m.kv_lora_rank), w["kv_a_layernorm.weight"],
                  kLatentNormEps),
          RopeOfNeighbours(kv.slice(1, m.kv_lora_rank).unsqueeze(1), positions,
                           rope)};
}

Tensor Output(const NamedTensors& w, const Tensor& attended) {
  return Linear(attended.reshape({attended.size(0), -1}), w["o_proj.weight"],
                w["o_proj.bias"]);
}

// Head by head: x [T, H, in], weight [H, out, in]; returns [T, H, out].
Tensor HeadwiseLinear(const Tensor& x, const Tensor& weight) {
  std::vector<Tensor> heads;
  for (int64_t h = 0; h < x.size(1); ++h) {
    heads.push_back(
        Linear(x.select(1, h).contiguous(), weight[h].contiguous(), Tensor()));
  }
  return at::stack(heads, 1);
}

}  // namespace

Tensor ExpandedLatentAttention(const ModelConfig& config, const NamedTensors& w,
                               const Tensor& x, const Tensor& positions,
                               const RopeAngles& rope, const AttendFn& attend) {
  const MlaConfig& m = config.mla;
  const int64_t t = x.size(0), heads = config.num_heads;
  const Projections p = Project(config, w, x, positions, rope);
  const Tensor kv = Linear(p.latent, w["kv_b_proj.weight"], Tensor())
                        .view({t, heads, m.qk_nope_head_dim + m.v_head_dim});
  const Tensor k = at::cat({kv.slice(2, 0, m.qk_nope_head_dim),
                            p.k_pe.expand({t, heads, m.qk_rope_head_dim})},
                           2);
  return Output(w, attend(at::cat({p.q_nope, p.q_pe}, 2), k,
                          kv.slice(2, m.qk_nope_head_dim)));
}

Tensor AbsorbedLatentAttention(const ModelConfig& config, const NamedTensors& w,
                               const Tensor& x, const Tensor& positions,
                               const RopeAngles& rope, const AttendFn& attend) {
  const MlaConfig& m = config.mla;
  const Projections p = Project(config, w, x, positions, rope);
  const Tensor up = w["kv_b_proj.weight"].view(
      {config.num_heads, m.qk_nope_head_dim + m.v_head_dim, m.kv_lora_rank});
  const Tensor q_latent = HeadwiseLinear(
      p.q_nope, up.slice(1, 0, m.qk_nope_head_dim).transpose(1, 2));
  const Tensor latent = p.latent.unsqueeze(1);
  const Tensor attended = attend(at::cat({q_latent, p.q_pe}, 2),
                                 at::cat({latent, p.k_pe}, 2), latent);
  return Output(w, HeadwiseLinear(attended, up.slice(1, m.qk_nope_head_dim)));
}

double LatentAttentionFactor(const RopeConfig& rope) {
  if (rope.type == "default" || rope.mscale_all_dim == 0) return 1;
  const double mscale = YarnMscale(rope.factor, rope.mscale_all_dim);
  return mscale * mscale;
}

}  // namespace ponder
