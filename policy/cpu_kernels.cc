#include <algorithm>
#include <cmath>

#include "ATen/Dispatch.h"
#include "ATen/Parallel.h"
#include "policy/device_kernels.h"
#include "policy/kernels.h"
#include "policy/linear_kernel.h"

namespace ponder {
namespace {

using at::Tensor;

#define PONDER_DISPATCH(type, ...)                             \
  AT_DISPATCH_SWITCH(type, "ponder",                           \
                     AT_DISPATCH_CASE(at::kFloat, __VA_ARGS__) \
                         AT_DISPATCH_CASE(at::kBFloat16, __VA_ARGS__))

// Row t of k [T, G, size] goes to its place in the cache.
template <typename E>
void StoreInCache(const Tensor& k, const CachedRows& rows, int64_t block_tokens,
                  int64_t offset, int64_t token_stride, int64_t head_stride) {
  const int64_t heads = k.size(1);
  const int64_t size = k.size(2);
  const E* from = k.const_data_ptr<E>();
  const int64_t* const first = rows.first_block.const_data_ptr<int64_t>();
  const int64_t* const num_keys = rows.num_keys.const_data_ptr<int64_t>();
  const int64_t* const blocks = rows.blocks.const_data_ptr<int64_t>();
  for (int64_t t = 0; t < k.size(0); ++t) {
    const int64_t place = num_keys[t] - 1;
    E* const block =
        reinterpret_cast<E*>(blocks[first[t] + place / block_tokens]);
    for (int64_t g = 0; g < heads; ++g, from += size) {
      std::copy(from, from + size,
                block + offset + place % block_tokens * token_stride +
                    g * head_stride);
    }
  }
}

class CpuDeviceKernels final : public DeviceKernels {
 public:
  void Linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Tensor& y) const override {
    PONDER_DISPATCH(x.scalar_type(), [&] {
      kernels::Linear(
          x.const_data_ptr<scalar_t>(), weight.const_data_ptr<scalar_t>(),
          bias.numel() > 0 ? bias.const_data_ptr<scalar_t>() : nullptr,
          x.size(0), x.size(1), weight.size(0), y.mutable_data_ptr<scalar_t>());
    });
  }

  void RmsNorm(const Tensor& x, const Tensor& weight, double eps,
               const Tensor& y, const Tensor& rstd) const override {
    PONDER_DISPATCH(x.scalar_type(), [&] {
      kernels::RmsNorm(x.const_data_ptr<scalar_t>(),
                       weight.const_data_ptr<scalar_t>(), eps, rstd.numel(),
                       weight.numel(), y.mutable_data_ptr<scalar_t>(),
                       rstd.mutable_data_ptr<float>());
    });
  }

  void RmsNormBackward(const Tensor& x, const Tensor& weight,
                       const Tensor& rstd, const Tensor& dy, const Tensor& dx,
                       const Tensor& dweight) const override {
    PONDER_DISPATCH(x.scalar_type(), [&] {
      kernels::RmsNormBackward(
          x.const_data_ptr<scalar_t>(), weight.const_data_ptr<scalar_t>(),
          rstd.const_data_ptr<float>(), dy.const_data_ptr<scalar_t>(),
          rstd.numel(), weight.numel(), dx.mutable_data_ptr<scalar_t>(),
          dweight.mutable_data_ptr<float>());
    });
  }

  void SwiGlu(const Tensor& gate, const Tensor& up,
              const Tensor& y) const override {
    PONDER_DISPATCH(gate.scalar_type(), [&] {
      kernels::SwiGlu(gate.const_data_ptr<scalar_t>(),
                      up.const_data_ptr<scalar_t>(), gate.size(0), gate.size(1),
                      y.mutable_data_ptr<scalar_t>());
    });
  }

  void SwiGluBackward(const Tensor& gate, const Tensor& up, const Tensor& dy,
                      const Tensor& dgate, const Tensor& dup) const override {
    PONDER_DISPATCH(gate.scalar_type(), [&] {
      kernels::SwiGluBackward(
          gate.const_data_ptr<scalar_t>(), up.const_data_ptr<scalar_t>(),
          dy.const_data_ptr<scalar_t>(), gate.size(0), gate.size(1),
          dgate.mutable_data_ptr<scalar_t>(), dup.mutable_data_ptr<scalar_t>());
    });
  }

  void Sigmoid(const Tensor& x, const Tensor& y) const override {
    kernels::Sigmoid(x.const_data_ptr<float>(), x.numel(),
                     y.mutable_data_ptr<float>());
  }

  void Rope(const Tensor& x, const Tensor& positions, const Tensor& cos,
            const Tensor& sin, double direction,
            const Tensor& y) const override {
    PONDER_DISPATCH(x.scalar_type(), [&] {
      kernels::Rope(x.const_data_ptr<scalar_t>(), x.size(1) * x.size(2),
                    positions.const_data_ptr<int64_t>(),
                    cos.const_data_ptr<float>(), sin.const_data_ptr<float>(),
                    static_cast<float>(direction), x.size(0), x.size(1),
                    x.size(2), y.mutable_data_ptr<scalar_t>());
    });
  }

  void PackedAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                       const std::vector<int64_t>& cu_seqlens, double scale,
                       const Tensor& out,
                       const Tensor& log_sum_exp) const override {
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
                         log_sum_exp.mutable_data_ptr<float>());
    });
  }

  void PackedAttentionBackward(const Tensor& q, const Tensor& k,
                               const Tensor& v, const Tensor& out,
                               const Tensor& log_sum_exp, const Tensor& dout,
                               const std::vector<int64_t>& cu_seqlens,
                               double scale, const Tensor& dq, const Tensor& dk,
                               const Tensor& dv) const override {
    PONDER_DISPATCH(q.scalar_type(), [&] {
      kernels::AttentionBackward(
          q.const_data_ptr<scalar_t>(), k.const_data_ptr<scalar_t>(),
          v.const_data_ptr<scalar_t>(), out.const_data_ptr<scalar_t>(),
          log_sum_exp.const_data_ptr<float>(), dout.const_data_ptr<scalar_t>(),
          cu_seqlens.data(), static_cast<int64_t>(cu_seqlens.size()) - 1, scale,
          q.size(1), k.size(1), k.size(2), v.size(2),
          dq.mutable_data_ptr<scalar_t>(), dk.mutable_data_ptr<scalar_t>(),
          dv.mutable_data_ptr<scalar_t>());
    });
  }

  void CachedAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                       const CachedRows& rows, const CacheLayout& layout,
                       double scale, const Tensor& out) const override {
    PONDER_DISPATCH(q.scalar_type(), [&] {
      // Store first: a row sees itself and the rows before it.
      StoreInCache<scalar_t>(k, rows, layout.block_tokens, layout.key_offset,
                             layout.key_token_stride, layout.key_head_stride);
      if (layout.stores_values) {
        StoreInCache<scalar_t>(v, rows, layout.block_tokens,
                               layout.value_offset, layout.value_token_stride,
                               layout.value_head_stride);
      }
      const int64_t num_rows = q.size(0);
      // Addresses are pointers as numbers.
      const auto* const lists = reinterpret_cast<const scalar_t* const*>(
          rows.blocks.const_data_ptr<int64_t>());
      const int64_t* const first = rows.first_block.const_data_ptr<int64_t>();
      std::vector<kernels::KeyValues<scalar_t>> keys(num_rows);
      for (int64_t t = 0; t < num_rows; ++t) {
        keys[t] = {lists + first[t],        lists + first[t],
                   layout.key_offset,       layout.value_offset,
                   layout.block_tokens,     layout.key_token_stride,
                   layout.key_head_stride,  layout.value_token_stride,
                   layout.value_head_stride};
      }
      kernels::Attention(q.const_data_ptr<scalar_t>(), keys.data(),
                         rows.num_keys.const_data_ptr<int64_t>(), scale,
                         num_rows, q.size(1), layout.num_heads, q.size(2),
                         out.size(2), out.mutable_data_ptr<scalar_t>(),
                         nullptr);
    });
  }

  void LogSumExp(const Tensor& logits, double temperature,
                 const Tensor& log_sum_exp,
                 const Tensor& entropy) const override {
    PONDER_DISPATCH(logits.scalar_type(), [&] {
      kernels::LogSumExp(
          logits.const_data_ptr<scalar_t>(), temperature, logits.size(0),
          logits.size(1), log_sum_exp.mutable_data_ptr<float>(),
          entropy.defined() ? entropy.mutable_data_ptr<float>() : nullptr);
    });
  }

  void TokenLogprobs(const Tensor& logits, const Tensor& ids,
                     double temperature, const Tensor& log_sum_exp,
                     const Tensor& logprobs) const override {
    const int64_t* const id = ids.const_data_ptr<int64_t>();
    const float* const lse = log_sum_exp.const_data_ptr<float>();
    float* const result = logprobs.mutable_data_ptr<float>();
    PONDER_DISPATCH(logits.scalar_type(), [&] {
      const scalar_t* row = logits.const_data_ptr<scalar_t>();
      for (int64_t t = 0; t < logits.size(0); ++t, row += logits.size(1)) {
        result[t] = kernels::TokenLogprob(row, id[t], temperature, lse[t]);
      }
    });
  }

  void TokenLogprobBackward(const Tensor& ids, const Tensor& log_sum_exp,
                            const Tensor& dlogprobs, double temperature,
                            const Tensor& logits) const override {
    PONDER_DISPATCH(logits.scalar_type(), [&] {
      kernels::TokenLogprobBackward(
          ids.const_data_ptr<int64_t>(), log_sum_exp.const_data_ptr<float>(),
          dlogprobs.const_data_ptr<float>(), temperature, logits.size(0),
          logits.size(1), logits.mutable_data_ptr<scalar_t>());
    });
  }

  void DrawTokens(const Tensor& logits, const Tensor& temperatures,
                  const Tensor& uniform, const Tensor& ids,
                  const Tensor& logprobs) const override {
    const int64_t vocab = logits.size(1);
    const double* const temperature = temperatures.const_data_ptr<double>();
    const double* const u = uniform.const_data_ptr<double>();
    int64_t* const id = ids.mutable_data_ptr<int64_t>();
    float* const logprob = logprobs.mutable_data_ptr<float>();
    PONDER_DISPATCH(logits.scalar_type(), [&] {
      const scalar_t* const rows = logits.const_data_ptr<scalar_t>();
      at::parallel_for(0, logits.size(0), 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          id[t] = kernels::DrawToken(rows + t * vocab, temperature[t], u[t],
                                     vocab, logprob + t);
        }
      });
    });
  }
};

#undef PONDER_DISPATCH

}  // namespace

const DeviceKernels& CpuKernels() {
  static const CpuDeviceKernels* const kernels = new CpuDeviceKernels;
  return *kernels;
}

}  // namespace ponder
