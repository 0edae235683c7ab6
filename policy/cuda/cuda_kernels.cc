// DeviceKernels of a GPU, and the module's entry.

#include "ATen/Dispatch.h"
#include "ATen/ops/addmm.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/empty_like.h"
#include "ATen/ops/mm.h"
#include "ATen/ops/tensor.h"
#include "c10/cuda/CUDAException.h"
#include "c10/cuda/CUDAStream.h"
#include "policy/cuda/kernels.h"
#include "policy/cuda/module.h"

namespace ponder {
namespace {

using at::Tensor;

// The kernels' word for an element type.
template <typename T>
struct ElementOf {
  using Type = T;
};
template <>
struct ElementOf<at::BFloat16> {
  using Type = cuda::Bf16;
};

template <typename E>
const E* In(const Tensor& x) {
  return static_cast<const E*>(x.const_data_ptr());
}
template <typename E>
E* Out(const Tensor& x) {
  return static_cast<E*>(x.mutable_data_ptr());
}
const float* Floats(const Tensor& x) { return x.const_data_ptr<float>(); }
const int64_t* Ints(const Tensor& x) { return x.const_data_ptr<int64_t>(); }

cuda::Stream Stream() { return c10::cuda::getCurrentCUDAStream().stream(); }

// Calls body(E{}) with the element type of x, and throws what CUDA says of it.
template <typename Body>
void Dispatch(const Tensor& x, Body body) {
  AT_DISPATCH_SWITCH(x.scalar_type(), "ponder",
                     AT_DISPATCH_CASE(at::kFloat, [&] {
                       body(typename ElementOf<scalar_t>::Type{});
                     }) AT_DISPATCH_CASE(at::kBFloat16, [&] {
                       body(typename ElementOf<scalar_t>::Type{});
                     }));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

// Of each packed row, the first and the last of its sequence.
struct SequenceBounds {
  Tensor first;
  Tensor last;
};

SequenceBounds BoundsOf(const std::vector<int64_t>& cu_seqlens,
                        at::Device device) {
  std::vector<int64_t> first, last;
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    first.resize(cu_seqlens[s + 1], cu_seqlens[s]);
    last.resize(cu_seqlens[s + 1], cu_seqlens[s + 1] - 1);
  }
  return {at::tensor(first, at::kLong).to(device),
          at::tensor(last, at::kLong).to(device)};
}

template <typename E>
cuda::PackedKeys<E> PackedKeysOf(const Tensor& k, const Tensor& v,
                                 const SequenceBounds& bounds) {
  return {In<E>(k),  In<E>(v),  Ints(bounds.first), Ints(bounds.last),
          k.size(1), k.size(2), v.size(2)};
}

void CheckHeads(int64_t key_dim, int64_t value_dim) {
  TORCH_CHECK(key_dim <= cuda::kMaxKeyDim && value_dim <= cuda::kMaxValueDim,
              "attention on a GPU takes heads of up to ", cuda::kMaxKeyDim,
              " (keys) and ", cuda::kMaxValueDim, " (values), these have ",
              key_dim, " and ", value_dim);
}

class CudaKernels final : public DeviceKernels {
 public:
  void Linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Tensor& y) const override {
    Tensor out = y;
    if (bias.numel() > 0) {
      at::addmm_out(out, bias, x, weight.t());
    } else {
      at::mm_out(out, x, weight.t());
    }
  }

  void RmsNorm(const Tensor& x, const Tensor& weight, double eps,
               const Tensor& y, const Tensor& rstd) const override {
    Dispatch(x, [&]<typename E>(E) {
      cuda::RmsNorm(In<E>(x), In<E>(weight), eps, rstd.numel(), weight.numel(),
                    Out<E>(y), Out<float>(rstd), Stream());
    });
  }

  void RmsNormBackward(const Tensor& x, const Tensor& weight,
                       const Tensor& rstd, const Tensor& dy, const Tensor& dx,
                       const Tensor& dweight) const override {
    const Tensor partial =
        at::empty({cuda::kStripes, weight.numel()}, dweight.options());
    Dispatch(x, [&]<typename E>(E) {
      cuda::RmsNormBackward(In<E>(x), In<E>(weight), Floats(rstd), In<E>(dy),
                            rstd.numel(), weight.numel(), Out<E>(dx),
                            Out<float>(dweight), Out<float>(partial), Stream());
    });
  }

  void SwiGlu(const Tensor& gate, const Tensor& up,
              const Tensor& y) const override {
    Dispatch(gate, [&]<typename E>(E) {
      cuda::SwiGlu(In<E>(gate), In<E>(up), gate.numel(), Out<E>(y), Stream());
    });
  }

  void SwiGluBackward(const Tensor& gate, const Tensor& up, const Tensor& dy,
                      const Tensor& dgate, const Tensor& dup) const override {
    Dispatch(gate, [&]<typename E>(E) {
      cuda::SwiGluBackward(In<E>(gate), In<E>(up), In<E>(dy), gate.numel(),
                           Out<E>(dgate), Out<E>(dup), Stream());
    });
  }

  void Sigmoid(const Tensor& x, const Tensor& y) const override {
    cuda::Sigmoid(Floats(x), x.numel(), Out<float>(y), Stream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }

  void Rope(const Tensor& x, const Tensor& positions, const Tensor& cos,
            const Tensor& sin, double direction,
            const Tensor& y) const override {
    Dispatch(x, [&]<typename E>(E) {
      cuda::Rope(In<E>(x), Ints(positions), Floats(cos), Floats(sin),
                 static_cast<float>(direction), x.size(0), x.size(1), x.size(2),
                 Out<E>(y), Stream());
    });
  }

  void PackedAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                       const std::vector<int64_t>& cu_seqlens, double scale,
                       const Tensor& out,
                       const Tensor& log_sum_exp) const override {
    CheckHeads(k.size(2), v.size(2));
    const SequenceBounds bounds = BoundsOf(cu_seqlens, q.device());
    Dispatch(q, [&]<typename E>(E) {
      cuda::Attention(In<E>(q), PackedKeysOf<E>(k, v, bounds), scale, q.size(0),
                      q.size(1), k.size(1), k.size(2), v.size(2), Out<E>(out),
                      Out<float>(log_sum_exp), Stream());
    });
  }

  void PackedAttentionBackward(const Tensor& q, const Tensor& k,
                               const Tensor& v, const Tensor& out,
                               const Tensor& log_sum_exp, const Tensor& dout,
                               const std::vector<int64_t>& cu_seqlens,
                               double scale, const Tensor& dq, const Tensor& dk,
                               const Tensor& dv) const override {
    const SequenceBounds bounds = BoundsOf(cu_seqlens, q.device());
    const Tensor delta = at::empty_like(log_sum_exp);
    Dispatch(q, [&]<typename E>(E) {
      cuda::AttentionBackward(
          In<E>(q), PackedKeysOf<E>(k, v, bounds), In<E>(out),
          Floats(log_sum_exp), In<E>(dout), scale, q.size(0), q.size(1),
          Out<E>(dq), Out<E>(dk), Out<E>(dv), Out<float>(delta), Stream());
    });
  }

  void CachedAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                       const CachedRows& rows, const CacheLayout& layout,
                       double scale, const Tensor& out) const override {
    CheckHeads(q.size(2), out.size(2));
    Dispatch(q, [&]<typename E>(E) {
      // Store first: a row sees itself and the rows before it.
      const auto store = [&](const Tensor& x, int64_t offset,
                             int64_t token_stride, int64_t head_stride) {
        cuda::StoreInCache(In<E>(x), Ints(rows.blocks), Ints(rows.first_block),
                           Ints(rows.num_keys), layout.block_tokens, offset,
                           token_stride, head_stride, x.size(0), x.size(1),
                           x.size(2), Stream());
      };
      store(k, layout.key_offset, layout.key_token_stride,
            layout.key_head_stride);
      if (layout.stores_values) {
        store(v, layout.value_offset, layout.value_token_stride,
              layout.value_head_stride);
      }
      const cuda::CachedKeys<E> keys = {
          Ints(rows.blocks),         Ints(rows.first_block),
          Ints(rows.num_keys),       layout.block_tokens,
          layout.key_offset,         layout.value_offset,
          layout.key_token_stride,   layout.key_head_stride,
          layout.value_token_stride, layout.value_head_stride};
      cuda::Attention(In<E>(q), keys, scale, q.size(0), q.size(1),
                      layout.num_heads, q.size(2), out.size(2), Out<E>(out),
                      nullptr, Stream());
    });
  }

  void LogSumExp(const Tensor& logits, double temperature,
                 const Tensor& log_sum_exp,
                 const Tensor& entropy) const override {
    Dispatch(logits, [&]<typename E>(E) {
      cuda::LogSumExp(In<E>(logits), temperature, logits.size(0),
                      logits.size(1), Out<float>(log_sum_exp),
                      entropy.defined() ? Out<float>(entropy) : nullptr,
                      Stream());
    });
  }

  void TokenLogprobs(const Tensor& logits, const Tensor& ids,
                     double temperature, const Tensor& log_sum_exp,
                     const Tensor& logprobs) const override {
    Dispatch(logits, [&]<typename E>(E) {
      cuda::TokenLogprobs(In<E>(logits), Ints(ids), temperature,
                          Floats(log_sum_exp), logits.size(0), logits.size(1),
                          Out<float>(logprobs), Stream());
    });
  }

  void TokenLogprobBackward(const Tensor& ids, const Tensor& log_sum_exp,
                            const Tensor& dlogprobs, double temperature,
                            const Tensor& logits) const override {
    Dispatch(logits, [&]<typename E>(E) {
      cuda::TokenLogprobBackward(Ints(ids), Floats(log_sum_exp),
                                 Floats(dlogprobs), temperature, logits.size(0),
                                 logits.size(1), Out<E>(logits), Stream());
    });
  }

  void DrawTokens(const Tensor& logits, const Tensor& temperatures,
                  const Tensor& uniform, const Tensor& ids,
                  const Tensor& logprobs) const override {
    Dispatch(logits, [&]<typename E>(E) {
      cuda::DrawTokens(In<E>(logits), In<double>(temperatures),
                       In<double>(uniform), logits.size(0), logits.size(1),
                       Out<int64_t>(ids), Out<float>(logprobs), Stream());
    });
  }
};

bool Open(std::string* error) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return true;
  *error = status == cudaSuccess ? "there is no NVIDIA GPU"
                                 : cudaGetErrorString(status);
  return false;
}

std::string Describe() {
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return "unknown";
  char text[400];
  std::snprintf(text, sizeof(text), "%s, %.1f GiB, compute capability %d.%d",
                properties.name,
                static_cast<double>(properties.totalGlobalMem) / (1 << 30),
                properties.major, properties.minor);
  return text;
}

const DeviceKernels& Kernels() {
  static const CudaKernels* const kernels = new CudaKernels;
  return *kernels;
}

}  // namespace
}  // namespace ponder

const ponder::CudaModule* PonderCudaModule() {
  static const ponder::CudaModule module = {PONDER_VERSION, ponder::Open,
                                            ponder::Describe, ponder::Kernels};
  return &module;
}
