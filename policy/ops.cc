#include "policy/ops.h"

#include <algorithm>

#include "ATen/ops/empty.h"
#include "ATen/ops/empty_like.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "policy/device_kernels.h"
#include "policy/linear_kernel.h"
#include "torch/csrc/autograd/custom_function.h"

namespace ponder {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// x, weight and bias are of one type; an empty bias is none.
class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x,
                        const Tensor& weight, const Tensor& bias) {
    const Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
    KernelsFor(x).Linear(x, weight, bias, y);
    ctx->save_for_backward({x, weight});
    ctx->saved_data["has_bias"] = bias.numel() > 0;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& dy = grads[0];
    return {at::matmul(dy, saved[1]), at::matmul(dy.t(), saved[0]),
            ctx->saved_data["has_bias"].toBool() ? dy.sum(0) : Tensor()};
  }
};

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x,
                        const Tensor& weight, double eps) {
    const Tensor y = at::empty_like(x);
    const Tensor rstd =
        at::empty({x.numel() / x.size(-1)}, x.options().dtype(at::kFloat));
    KernelsFor(x).RmsNorm(x, weight, eps, y, rstd);
    ctx->save_for_backward({x, weight, rstd});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const Tensor dx = at::empty_like(x);
    const Tensor dweight =
        at::empty({x.size(-1)}, x.options().dtype(at::kFloat));
    KernelsFor(x).RmsNormBackward(x, saved[1], saved[2], grads[0].contiguous(),
                                  dx, dweight);
    return {dx, dweight.to(saved[1].scalar_type()), Tensor()};
  }
};

class SwiGluFunction : public torch::autograd::Function<SwiGluFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& gate,
                        const Tensor& up) {
    const Tensor y = at::empty_like(gate);
    KernelsFor(gate).SwiGlu(gate, up, y);
    ctx->save_for_backward({gate, up});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& gate = saved[0];
    const Tensor dgate = at::empty_like(gate);
    const Tensor dup = at::empty_like(gate);
    KernelsFor(gate).SwiGluBackward(gate, saved[1], grads[0].contiguous(),
                                    dgate, dup);
    return {dgate, dup};
  }
};

class SigmoidFunction : public torch::autograd::Function<SigmoidFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x) {
    const Tensor y = at::empty_like(x);
    KernelsFor(x).Sigmoid(x, y);
    ctx->save_for_backward({y});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor y = ctx->get_saved_variables()[0];
    return {grads[0] * y * (1 - y)};
  }
};

Tensor Rotated(const Tensor& x, const Tensor& positions, const Tensor& cos,
               const Tensor& sin, double direction) {
  const Tensor y = at::empty(x.sizes(), x.options());
  KernelsFor(x).Rope(x, positions, cos, sin, direction, y);
  return y;
}

class RopeFunction : public torch::autograd::Function<RopeFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x,
                        const Tensor& positions, const Tensor& cos,
                        const Tensor& sin) {
    ctx->save_for_backward({positions, cos, sin});
    return Rotated(x, positions, cos, sin, 1);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    return {Rotated(grads[0].contiguous(), saved[0], saved[1], saved[2], -1),
            Tensor(), Tensor(), Tensor()};
  }
};

class PackedAttentionFunction
    : public torch::autograd::Function<PackedAttentionFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& q, const Tensor& k,
                        const Tensor& v, const std::vector<int64_t>& cu_seqlens,
                        double scale) {
    const Tensor out =
        at::empty({q.size(0), q.size(1), v.size(2)}, q.options());
    const Tensor lse =
        at::empty({q.size(0), q.size(1)}, q.options().dtype(at::kFloat));
    KernelsFor(q).PackedAttention(q, k, v, cu_seqlens, scale, out, lse);
    ctx->save_for_backward({q, k, v, out, lse});
    ctx->saved_data["cu_seqlens"] = cu_seqlens;
    ctx->saved_data["scale"] = scale;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const Tensor dq = at::empty_like(q);
    const Tensor dk = at::empty_like(k);
    const Tensor dv = at::empty_like(v);
    KernelsFor(q).PackedAttentionBackward(
        q, k, v, saved[3], saved[4], grads[0].contiguous(),
        ctx->saved_data["cu_seqlens"].toIntVector(),
        ctx->saved_data["scale"].toDouble(), dq, dk, dv);
    return {dq, dk, dv, Tensor(), Tensor()};
  }
};

Tensor QuantizedLinear(const Tensor& x, const Tensor& weight,
                       const Tensor& bias) {
  TORCH_CHECK(x.is_cpu() && kernels::Q8RowBytes(x.size(1)) == weight.size(1));
  const Tensor input = x.contiguous();
  const Tensor b =
      bias.defined() ? bias.to(x.scalar_type()) : at::empty({0}, x.options());
  const Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
  const auto run = [&]<typename E>(E) {
    kernels::LinearQ8(input.const_data_ptr<E>(),
                      weight.const_data_ptr<int8_t>(),
                      b.numel() > 0 ? b.const_data_ptr<E>() : nullptr,
                      x.size(0), x.size(1), y.size(1), y.mutable_data_ptr<E>());
  };
  if (x.scalar_type() == at::kFloat) {
    run(float{});
  } else {
    run(at::BFloat16{});
  }
  return y;
}

// Runs body(begin, end) over [0, n) in chunks.
template <typename Body>
void ForChunks(int64_t n, int64_t chunk, Body body) {
  for (int64_t begin = 0; begin < n; begin += chunk) {
    body(begin, std::min(n, begin + chunk));
  }
}

class TokenLogprobsFunction
    : public torch::autograd::Function<TokenLogprobsFunction> {
 public:
  // Returns logprobs [N] and entropy, [N] or empty.
  static variable_list forward(AutogradContext* ctx, const Tensor& hidden,
                               const Tensor& weight, const Tensor& ids,
                               double temperature, int64_t chunk,
                               bool want_entropy) {
    const int64_t n = hidden.size(0);
    const Tensor cast = weight.to(hidden.scalar_type());
    const at::TensorOptions float_options = hidden.options().dtype(at::kFloat);
    const Tensor lse = at::empty({n}, float_options);
    const Tensor logprobs = at::empty({n}, float_options);
    const Tensor entropies = at::empty({want_entropy ? n : 0}, float_options);
    ForChunks(n, chunk, [&](int64_t begin, int64_t end) {
      const Tensor logits =
          Linear(hidden.slice(0, begin, end), cast, Tensor()).contiguous();
      const DeviceKernels& kernels = KernelsFor(logits);
      const Tensor chunk_lse = lse.slice(0, begin, end);
      kernels.LogSumExp(
          logits, temperature, chunk_lse,
          want_entropy ? entropies.slice(0, begin, end) : Tensor());
      kernels.TokenLogprobs(logits, ids.slice(0, begin, end), temperature,
                            chunk_lse, logprobs.slice(0, begin, end));
    });
    ctx->save_for_backward({hidden, weight, ids, lse, entropies});
    ctx->saved_data["temperature"] = temperature;
    ctx->saved_data["chunk"] = chunk;
    ctx->set_materialize_grads(false);
    return {logprobs, entropies};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &hidden = saved[0], &weight = saved[1], &ids = saved[2],
                 &lse = saved[3], &entropies = saved[4];
    const double temperature = ctx->saved_data["temperature"].toDouble();
    const Tensor dlogprobs =
        grads[0].defined() ? grads[0].contiguous() : at::zeros_like(lse);
    const Tensor& dentropies = grads[1];  // Undefined where no loss has it.
    const Tensor cast = weight.to(hidden.scalar_type());
    const Tensor dhidden = at::empty_like(hidden);
    // Summed over the chunks in float32.
    const Tensor dweight =
        at::zeros(weight.sizes(), weight.options().dtype(at::kFloat));
    ForChunks(hidden.size(0), ctx->saved_data["chunk"].toInt(),
              [&](int64_t begin, int64_t end) {
                const Tensor rows = hidden.slice(0, begin, end);
                const Tensor logits = Linear(rows, cast, Tensor()).contiguous();
                Tensor of_entropy;
                if (dentropies.defined()) {
                  of_entropy = EntropyBackward(logits, lse.slice(0, begin, end),
                                               entropies.slice(0, begin, end),
                                               dentropies.slice(0, begin, end),
                                               temperature);
                }
                KernelsFor(logits).TokenLogprobBackward(
                    ids.slice(0, begin, end), lse.slice(0, begin, end),
                    dlogprobs.slice(0, begin, end), temperature, logits);
                if (of_entropy.defined()) logits.add_(of_entropy);
                dhidden.slice(0, begin, end).copy_(at::matmul(logits, cast));
                dweight.add_(at::matmul(logits.t(), rows));
              });
    return {dhidden,  dweight.to(weight.scalar_type()),
            Tensor(), Tensor(),
            Tensor(), Tensor()};
  }

 private:
  // d H / d logits = -p (log p + H) / temperature, times dentropies [n].
  static Tensor EntropyBackward(const Tensor& logits, const Tensor& lse,
                                const Tensor& entropies,
                                const Tensor& dentropies, double temperature) {
    const Tensor logp = logits.to(at::kFloat) / temperature - lse.unsqueeze(1);
    const Tensor scale = dentropies.unsqueeze(1) / -temperature;
    return (logp.exp() * (logp + entropies.unsqueeze(1)) * scale)
        .to(logits.scalar_type());
  }
};

}  // namespace

Tensor Linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const at::ScalarType type = x.scalar_type();
  if (weight.scalar_type() == at::kChar)
    return QuantizedLinear(x, weight, bias);
  return LinearFunction::apply(
      x.contiguous(), weight.to(type).contiguous(),
      bias.defined() ? bias.to(type) : at::empty({0}, x.options()));
}

Tensor RmsNorm(const Tensor& x, const Tensor& weight, double eps) {
  return RmsNormFunction::apply(x.contiguous(), weight.to(x.scalar_type()),
                                eps);
}

Tensor SwiGlu(const Tensor& gate, const Tensor& up) {
  return SwiGluFunction::apply(gate.contiguous(), up.contiguous());
}

Tensor Sigmoid(const Tensor& x) {
  return SigmoidFunction::apply(x.contiguous());
}

RopeAngles MakeRopeAngles(const RopeTable& table, at::Device device) {
  const int64_t half = table.half_dim;
  return {at::tensor(table.cos).view({-1, half}).to(device),
          at::tensor(table.sin).view({-1, half}).to(device)};
}

Tensor Rope(const Tensor& x, const Tensor& positions,
            const RopeAngles& angles) {
  return RopeFunction::apply(x.contiguous(), positions, angles.cos, angles.sin);
}

Tensor PackedAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                       const std::vector<int64_t>& cu_seqlens, double scale) {
  TORCH_CHECK(!cu_seqlens.empty() && cu_seqlens.back() == q.size(0));
  return PackedAttentionFunction::apply(q.contiguous(), k.contiguous(),
                                        v.contiguous(), cu_seqlens, scale);
}

TokenLogprobs ChunkedTokenLogprobs(const Tensor& hidden, const Tensor& weight,
                                   const Tensor& ids, double temperature,
                                   int64_t chunk_tokens, bool want_entropy) {
  TORCH_CHECK(hidden.size(0) == ids.size(0) && temperature > 0 &&
              chunk_tokens > 0);
  const variable_list outputs =
      TokenLogprobsFunction::apply(hidden.contiguous(), weight, ids,
                                   temperature, chunk_tokens, want_entropy);
  TokenLogprobs result;
  result.logprobs = outputs[0];
  if (want_entropy) result.entropy = outputs[1];
  return result;
}

}  // namespace ponder
