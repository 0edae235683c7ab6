#include "policy/ops.h"

#include <algorithm>

#include "ATen/Dispatch.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/empty_like.h"
#include "ATen/ops/linear.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/zeros.h"
#include "policy/kernels.h"
#include "torch/csrc/autograd/custom_function.h"

namespace ponder {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

#define PONDER_DISPATCH(type, ...)                             \
  AT_DISPATCH_SWITCH(type, "ponder",                           \
                     AT_DISPATCH_CASE(at::kFloat, __VA_ARGS__) \
                         AT_DISPATCH_CASE(at::kBFloat16, __VA_ARGS__))

// Products of so many rows need no padding (docs/numerics.md).
constexpr int64_t kRowsWithoutPadding = 1024;

// Keeps a C++ object in a graph node's saved data.
template <typename T>
struct Kept : torch::CustomClassHolder {
  explicit Kept(T v) : value(std::move(v)) {}
  T value;
};

template <typename T>
void Keep(AutogradContext* ctx, const char* name, T value) {
  ctx->saved_data[name] =
      c10::IValue::make_capsule(c10::make_intrusive<Kept<T>>(std::move(value)));
}

template <typename T>
const T& KeptValue(AutogradContext* ctx, const char* name) {
  return static_cast<Kept<T>*>(ctx->saved_data[name].toCapsule().get())->value;
}

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x,
                        const Tensor& weight, double eps) {
    const int64_t size = x.size(-1);
    const int64_t rows = x.numel() / size;
    const Tensor y = at::empty_like(x);
    const Tensor rstd = at::empty({rows}, x.options().dtype(at::kFloat));
    PONDER_DISPATCH(x.scalar_type(), [&] {
      kernels::RmsNorm(x.const_data_ptr<scalar_t>(),
                       weight.const_data_ptr<scalar_t>(), eps, rows, size,
                       y.mutable_data_ptr<scalar_t>(),
                       rstd.mutable_data_ptr<float>());
    });
    ctx->save_for_backward({x, weight, rstd});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const Tensor dy = grads[0].contiguous();
    const int64_t size = x.size(-1);
    const Tensor dx = at::empty_like(x);
    const Tensor dweight = at::empty({size}, x.options().dtype(at::kFloat));
    PONDER_DISPATCH(x.scalar_type(), [&] {
      kernels::RmsNormBackward(
          x.const_data_ptr<scalar_t>(), saved[1].const_data_ptr<scalar_t>(),
          saved[2].const_data_ptr<float>(), dy.const_data_ptr<scalar_t>(),
          x.numel() / size, size, dx.mutable_data_ptr<scalar_t>(),
          dweight.mutable_data_ptr<float>());
    });
    return {dx, dweight.to(saved[1].scalar_type()), Tensor()};
  }
};

class SwiGluFunction : public torch::autograd::Function<SwiGluFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& gate,
                        const Tensor& up) {
    const Tensor y = at::empty_like(gate);
    PONDER_DISPATCH(gate.scalar_type(), [&] {
      kernels::SwiGlu(gate.const_data_ptr<scalar_t>(),
                      up.const_data_ptr<scalar_t>(), gate.size(0), gate.size(1),
                      y.mutable_data_ptr<scalar_t>());
    });
    ctx->save_for_backward({gate, up});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& gate = saved[0];
    const Tensor dy = grads[0].contiguous();
    const Tensor dgate = at::empty_like(gate);
    const Tensor dup = at::empty_like(gate);
    PONDER_DISPATCH(gate.scalar_type(), [&] {
      kernels::SwiGluBackward(
          gate.const_data_ptr<scalar_t>(), saved[1].const_data_ptr<scalar_t>(),
          dy.const_data_ptr<scalar_t>(), gate.size(0), gate.size(1),
          dgate.mutable_data_ptr<scalar_t>(), dup.mutable_data_ptr<scalar_t>());
    });
    return {dgate, dup};
  }
};

class SigmoidFunction : public torch::autograd::Function<SigmoidFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x) {
    const Tensor y = at::empty_like(x);
    kernels::Sigmoid(x.const_data_ptr<float>(), x.numel(),
                     y.mutable_data_ptr<float>());
    ctx->save_for_backward({y});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor y = ctx->get_saved_variables()[0];
    return {grads[0] * y * (1 - y)};
  }
};

Tensor Rotated(const Tensor& x, const Tensor& positions, const RopeTable& table,
               float direction) {
  const Tensor y = at::empty(x.sizes(), x.options());
  PONDER_DISPATCH(x.scalar_type(), [&] {
    kernels::Rope(x.const_data_ptr<scalar_t>(), x.size(1) * x.size(2),
                  positions.const_data_ptr<int64_t>(), table.cos.data(),
                  table.sin.data(), direction, x.size(0), x.size(1), x.size(2),
                  y.mutable_data_ptr<scalar_t>());
  });
  return y;
}

class RopeFunction : public torch::autograd::Function<RopeFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x,
                        const Tensor& positions,
                        const std::shared_ptr<const RopeTable>& table) {
    ctx->save_for_backward({positions});
    Keep(ctx, "table", table);
    return Rotated(x, positions, *table, 1.0f);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor positions = ctx->get_saved_variables()[0];
    const auto& table =
        KeptValue<std::shared_ptr<const RopeTable>>(ctx, "table");
    return {Rotated(grads[0].contiguous(), positions, *table, -1.0f), Tensor(),
            Tensor()};
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
    PONDER_DISPATCH(q.scalar_type(), [&] {
      const int64_t num_rows = q.size(0);
      const int64_t key_stride = k.size(1) * k.size(2);
      const int64_t value_stride = v.size(1) * v.size(2);
      const size_t num_sequences = cu_seqlens.size() - 1;
      std::vector<const scalar_t*> key_blocks(num_sequences);
      std::vector<const scalar_t*> value_blocks(num_sequences);
      std::vector<kernels::KeyValues<scalar_t>> keys(num_rows);
      std::vector<int64_t> num_keys(num_rows);
      for (size_t s = 0; s < num_sequences; ++s) {
        key_blocks[s] =
            k.const_data_ptr<scalar_t>() + cu_seqlens[s] * key_stride;
        value_blocks[s] =
            v.const_data_ptr<scalar_t>() + cu_seqlens[s] * value_stride;
        for (int64_t t = cu_seqlens[s]; t < cu_seqlens[s + 1]; ++t) {
          // The whole sequence is one block.
          keys[t] = {&key_blocks[s],
                     &value_blocks[s],
                     0,
                     0,
                     cu_seqlens[s + 1] - cu_seqlens[s],
                     key_stride,
                     k.size(2),
                     value_stride,
                     v.size(2)};
          num_keys[t] = t - cu_seqlens[s] + 1;
        }
      }
      kernels::Attention(q.const_data_ptr<scalar_t>(), keys.data(),
                         num_keys.data(), scale, num_rows, q.size(1), k.size(1),
                         k.size(2), v.size(2), out.mutable_data_ptr<scalar_t>(),
                         lse.mutable_data_ptr<float>());
    });
    ctx->save_for_backward({q, k, v, out, lse});
    Keep(ctx, "cu_seqlens", cu_seqlens);
    ctx->saved_data["scale"] = scale;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3];
    const auto& cu_seqlens = KeptValue<std::vector<int64_t>>(ctx, "cu_seqlens");
    const Tensor dout = grads[0].contiguous();
    const Tensor dq = at::empty_like(q);
    const Tensor dk = at::empty_like(k);
    const Tensor dv = at::empty_like(v);
    PONDER_DISPATCH(q.scalar_type(), [&] {
      kernels::AttentionBackward(
          q.const_data_ptr<scalar_t>(), k.const_data_ptr<scalar_t>(),
          v.const_data_ptr<scalar_t>(), out.const_data_ptr<scalar_t>(),
          saved[4].const_data_ptr<float>(), dout.const_data_ptr<scalar_t>(),
          cu_seqlens.data(), static_cast<int64_t>(cu_seqlens.size()) - 1,
          ctx->saved_data["scale"].toDouble(), q.size(1), k.size(1), k.size(2),
          v.size(2), dq.mutable_data_ptr<scalar_t>(),
          dk.mutable_data_ptr<scalar_t>(), dv.mutable_data_ptr<scalar_t>());
    });
    return {dq, dk, dv, Tensor(), Tensor()};
  }
};

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
    float* entropy =
        want_entropy ? entropies.mutable_data_ptr<float>() : nullptr;
    const int64_t* id = ids.const_data_ptr<int64_t>();
    ForChunks(n, chunk, [&](int64_t begin, int64_t end) {
      const Tensor logits =
          Linear(hidden.slice(0, begin, end), cast, Tensor()).contiguous();
      const int64_t vocab = logits.size(1);
      PONDER_DISPATCH(logits.scalar_type(), [&] {
        const scalar_t* row = logits.const_data_ptr<scalar_t>();
        kernels::LogSumExp(row, temperature, end - begin, vocab,
                           lse.mutable_data_ptr<float>() + begin,
                           entropy == nullptr ? nullptr : entropy + begin);
        for (int64_t t = begin; t < end; ++t, row += vocab) {
          logprobs.mutable_data_ptr<float>()[t] = kernels::TokenLogprob(
              row, id[t], temperature, lse.const_data_ptr<float>()[t]);
        }
      });
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
                PONDER_DISPATCH(logits.scalar_type(), [&] {
                  kernels::TokenLogprobBackward(
                      ids.const_data_ptr<int64_t>() + begin,
                      lse.const_data_ptr<float>() + begin,
                      dlogprobs.const_data_ptr<float>() + begin, temperature,
                      end - begin, logits.size(1),
                      logits.mutable_data_ptr<scalar_t>());
                });
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
  const Tensor w = weight.to(x.scalar_type());
  const Tensor b = bias.defined() ? bias.to(x.scalar_type()) : bias;
  const int64_t rows = x.size(0);
  const int64_t missing = (4 - rows % 4) % 4;
  if (missing == 0 || rows >= kRowsWithoutPadding) return at::linear(x, w, b);
  const Tensor padded =
      at::cat({x, at::zeros({missing, x.size(1)}, x.options())});
  return at::linear(padded, w, b).slice(0, 0, rows);
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

Tensor Rope(const Tensor& x, const Tensor& positions,
            const std::shared_ptr<const RopeTable>& table) {
  return RopeFunction::apply(x.contiguous(), positions, table);
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
