// The GPU's kernels against the CPU's, on the CPU: kernels.cu compiled with
// emulated_cuda.h. What they do on a GPU is compared by ponder-gpu-check.

#include "policy/cuda/kernels.h"

#include <cmath>
#include <vector>

#include "ATen/ATen.h"
#include "gtest/gtest.h"
#include "policy/device_kernels.h"

namespace ponder {
namespace {

using at::Tensor;

Tensor Randn(at::IntArrayRef shape, uint64_t seed, at::ScalarType dtype) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator).to(dtype);
}

template <typename E>
const E* In(const Tensor& x) {
  return static_cast<const E*>(x.const_data_ptr());
}
template <typename E>
E* Out(const Tensor& x) {
  return static_cast<E*>(x.mutable_data_ptr());
}
const int64_t* Ints(const Tensor& x) { return x.const_data_ptr<int64_t>(); }

// For each element type: body(E{}, dtype, tolerance relative to the largest).
template <typename Body>
void ForTypes(Body body) {
  body(float{}, at::kFloat, 2e-6);
  // Rounded once; sums that differ in their last bits may round apart.
  body(cuda::Bf16{}, at::kBFloat16, 1e-2);
}

void ExpectNear(const Tensor& got, const Tensor& want, double tolerance,
                const char* what) {
  const double largest =
      std::max(1.0, want.to(at::kDouble).abs().max().item<double>());
  const double difference =
      (got.to(at::kDouble) - want.to(at::kDouble)).abs().max().item<double>();
  EXPECT_LE(difference, tolerance * largest) << what;
}

TEST(CudaKernelsTest, RmsNorm) {
  ForTypes([]<typename E>(E, at::ScalarType dtype, double tolerance) {
    for (const int64_t size : {5, 32, 130}) {
      const Tensor x = Randn({37, size}, 1, dtype);
      const Tensor weight = Randn({size}, 2, dtype);
      const Tensor dy = Randn({37, size}, 3, dtype);
      const Tensor rstd = at::empty({37}), rstd2 = at::empty({37});
      const Tensor y = at::empty_like(x), y2 = at::empty_like(x);
      CpuKernels().RmsNorm(x, weight, 1e-6, y, rstd);
      cuda::RmsNorm(In<E>(x), In<E>(weight), 1e-6, 37, size, Out<E>(y2),
                    Out<float>(rstd2), nullptr);
      ExpectNear(y2, y, tolerance, "y");
      ExpectNear(rstd2, rstd, 1e-6, "rstd");
      const Tensor dx = at::empty_like(x), dx2 = at::empty_like(x);
      const Tensor dw = at::empty({size}), dw2 = at::empty({size});
      const Tensor partial = at::empty({cuda::kStripes, size});
      CpuKernels().RmsNormBackward(x, weight, rstd, dy, dx, dw);
      cuda::RmsNormBackward(In<E>(x), In<E>(weight), In<float>(rstd), In<E>(dy),
                            37, size, Out<E>(dx2), Out<float>(dw2),
                            Out<float>(partial), nullptr);
      ExpectNear(dx2, dx, tolerance, "dx");
      ExpectNear(dw2, dw, 2e-6, "dweight");
    }
  });
}

TEST(CudaKernelsTest, ElementwiseFunctions) {
  ForTypes([]<typename E>(E, at::ScalarType dtype, double tolerance) {
    const Tensor gate = Randn({9, 50}, 1, dtype) * 4;
    const Tensor up = Randn({9, 50}, 2, dtype);
    const Tensor dy = Randn({9, 50}, 3, dtype);
    const Tensor y = at::empty_like(gate), y2 = at::empty_like(gate);
    CpuKernels().SwiGlu(gate, up, y);
    cuda::SwiGlu(In<E>(gate), In<E>(up), gate.numel(), Out<E>(y2), nullptr);
    ExpectNear(y2, y, tolerance, "y");
    const Tensor dg = at::empty_like(gate), dg2 = at::empty_like(gate);
    const Tensor du = at::empty_like(gate), du2 = at::empty_like(gate);
    CpuKernels().SwiGluBackward(gate, up, dy, dg, du);
    cuda::SwiGluBackward(In<E>(gate), In<E>(up), In<E>(dy), gate.numel(),
                         Out<E>(dg2), Out<E>(du2), nullptr);
    ExpectNear(dg2, dg, tolerance, "dgate");
    ExpectNear(du2, du, tolerance, "dup");

    const Tensor x = Randn({7, 3, 10}, 4, dtype);
    const Tensor positions = at::tensor({0, 5, 2, 9, 1, 9, 3}, at::kLong);
    const Tensor angles = Randn({10, 5}, 5, at::kFloat);
    const Tensor cos = angles.cos(), sin = angles.sin();
    for (const double direction : {1.0, -1.0}) {
      const Tensor r = at::empty_like(x), r2 = at::empty_like(x);
      CpuKernels().Rope(x, positions, cos, sin, direction, r);
      cuda::Rope(In<E>(x), Ints(positions), In<float>(cos), In<float>(sin),
                 static_cast<float>(direction), 7, 3, 10, Out<E>(r2), nullptr);
      ExpectNear(r2, r, tolerance, "rope");
    }
  });
  const Tensor x = Randn({301}, 6, at::kFloat) * 20;
  const Tensor y = at::empty_like(x), y2 = at::empty_like(x);
  CpuKernels().Sigmoid(x, y);
  cuda::Sigmoid(In<float>(x), 301, Out<float>(y2), nullptr);
  ExpectNear(y2, y, 1e-6, "sigmoid");
}

struct HeadSizes {
  int64_t heads, key_heads, key_dim, value_dim;
};
// Grouped queries; values smaller and larger than keys.
constexpr HeadSizes kHeadSizes[] = {
    {4, 2, 16, 16}, {4, 4, 24, 16}, {6, 2, 20, 72}};

TEST(CudaKernelsTest, PackedAttention) {
  const std::vector<int64_t> cu_seqlens = {0, 1, 36, 38, 55};
  std::vector<int64_t> first, last;
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    first.resize(cu_seqlens[s + 1], cu_seqlens[s]);
    last.resize(cu_seqlens[s + 1], cu_seqlens[s + 1] - 1);
  }
  ForTypes([&]<typename E>(E, at::ScalarType dtype, double tolerance) {
    for (const HeadSizes& n : kHeadSizes) {
      const Tensor q = Randn({55, n.heads, n.key_dim}, 1, dtype);
      const Tensor k = Randn({55, n.key_heads, n.key_dim}, 2, dtype);
      const Tensor v = Randn({55, n.key_heads, n.value_dim}, 3, dtype);
      const Tensor dout = Randn({55, n.heads, n.value_dim}, 4, dtype);
      const Tensor out = at::empty_like(dout), out2 = at::empty_like(dout);
      const Tensor lse = at::empty({55, n.heads});
      const Tensor lse2 = at::empty({55, n.heads});
      const cuda::PackedKeys<E> keys = {In<E>(k),    In<E>(v),    first.data(),
                                        last.data(), n.key_heads, n.key_dim,
                                        n.value_dim};
      CpuKernels().PackedAttention(q, k, v, cu_seqlens, 0.3, out, lse);
      cuda::Attention(In<E>(q), keys, 0.3, 55, n.heads, n.key_heads, n.key_dim,
                      n.value_dim, Out<E>(out2), Out<float>(lse2), nullptr);
      ExpectNear(out2, out, tolerance, "out");
      ExpectNear(lse2, lse, 2e-6, "log_sum_exp");
      const Tensor dq = at::empty_like(q), dq2 = at::empty_like(q);
      const Tensor dk = at::empty_like(k), dk2 = at::empty_like(k);
      const Tensor dv = at::empty_like(v), dv2 = at::empty_like(v);
      const Tensor delta = at::empty_like(lse);
      CpuKernels().PackedAttentionBackward(q, k, v, out, lse, dout, cu_seqlens,
                                           0.3, dq, dk, dv);
      cuda::AttentionBackward(In<E>(q), keys, In<E>(out), In<float>(lse),
                              In<E>(dout), 0.3, 55, n.heads, Out<E>(dq2),
                              Out<E>(dk2), Out<E>(dv2), Out<float>(delta),
                              nullptr);
      ExpectNear(dq2, dq, tolerance, "dq");
      ExpectNear(dk2, dk, tolerance, "dk");
      ExpectNear(dv2, dv, tolerance, "dv");
    }
  });
}

// Two sequences, of which one ends in the middle of a block, in a cache whose
// blocks lie in no order; both kinds of cache.
TEST(CudaKernelsTest, CachedAttention) {
  constexpr int64_t kBlockTokens = 4;
  ForTypes([&]<typename E>(E, at::ScalarType dtype, double tolerance) {
    for (const HeadSizes& n : kHeadSizes) {
      for (const bool stores_values : {true, false}) {
        if (!stores_values && n.value_dim > n.key_dim) continue;
        const int64_t key_size = n.key_heads * kBlockTokens * n.key_dim;
        const int64_t value_size = n.key_heads * kBlockTokens * n.value_dim;
        const int64_t value_stride = stores_values ? n.value_dim : n.key_dim;
        const CacheLayout layout = {
            .block_tokens = kBlockTokens,
            .num_heads = n.key_heads,
            .key_offset = 3,
            .key_token_stride = n.key_dim,
            .key_head_stride = kBlockTokens * n.key_dim,
            .value_offset = stores_values ? 3 + key_size : 3,
            .value_token_stride = value_stride,
            .value_head_stride = kBlockTokens * value_stride,
            .stores_values = stores_values};
        const auto filled = [&] {
          return Randn({12, 3 + key_size + value_size}, 9, dtype);
        };
        const Tensor cache = filled(), cache2 = filled();
        const auto rows_of = [&](const Tensor& blocks) {
          std::vector<int64_t> addresses;
          for (const int64_t b : {7, 2, 11, 0, 5, 3, 9, 1, 10, 4, 8, 6}) {
            addresses.push_back(
                reinterpret_cast<int64_t>(blocks[b].const_data_ptr()));
          }
          // 10 tokens in three blocks, and 35 in nine; the last three of the
          // second are rows.
          return CachedRows{at::tensor(addresses, at::kLong),
                            at::tensor({0, 3, 3, 3}, at::kLong),
                            at::tensor({10, 33, 34, 35}, at::kLong)};
        };
        const CachedRows rows = rows_of(cache), rows2 = rows_of(cache2);
        const Tensor q = Randn({4, n.heads, n.key_dim}, 1, dtype);
        const Tensor k = Randn({4, n.key_heads, n.key_dim}, 2, dtype);
        const Tensor v = Randn({4, n.key_heads, n.value_dim}, 3, dtype);
        const Tensor out = at::empty({4, n.heads, n.value_dim}, q.options());
        const Tensor out2 = at::empty_like(out);
        CpuKernels().CachedAttention(q, k, v, rows, layout, 0.3, out);

        const auto store = [&](const Tensor& x, int64_t offset,
                               int64_t token_stride, int64_t head_stride) {
          cuda::StoreInCache(In<E>(x), Ints(rows2.blocks),
                             Ints(rows2.first_block), Ints(rows2.num_keys),
                             kBlockTokens, offset, token_stride, head_stride, 4,
                             x.size(1), x.size(2), nullptr);
        };
        store(k, layout.key_offset, layout.key_token_stride,
              layout.key_head_stride);
        if (stores_values) {
          store(v, layout.value_offset, layout.value_token_stride,
                layout.value_head_stride);
        }
        EXPECT_TRUE(at::equal(cache, cache2));
        const cuda::CachedKeys<E> keys = {
            Ints(rows2.blocks),        Ints(rows2.first_block),
            Ints(rows2.num_keys),      kBlockTokens,
            layout.key_offset,         layout.value_offset,
            layout.key_token_stride,   layout.key_head_stride,
            layout.value_token_stride, layout.value_head_stride};
        cuda::Attention(In<E>(q), keys, 0.3, 4, n.heads, n.key_heads, n.key_dim,
                        n.value_dim, Out<E>(out2), nullptr, nullptr);
        ExpectNear(out2, out, tolerance, "out");
      }
    }
  });
}

TEST(CudaKernelsTest, LogprobsOfTokens) {
  ForTypes([]<typename E>(E, at::ScalarType dtype, double tolerance) {
    constexpr int64_t kVocab = 601;
    const Tensor logits = Randn({5, kVocab}, 1, dtype) * 3;
    const Tensor ids = at::tensor({0, 600, 300, 7, 256}, at::kLong);
    const Tensor lse = at::empty({5}), lse2 = at::empty({5});
    const Tensor entropy = at::empty({5}), entropy2 = at::empty({5});
    CpuKernels().LogSumExp(logits, 0.7, lse, entropy);
    cuda::LogSumExp(In<E>(logits), 0.7, 5, kVocab, Out<float>(lse2),
                    Out<float>(entropy2), nullptr);
    ExpectNear(lse2, lse, 2e-6, "log_sum_exp");
    ExpectNear(entropy2, entropy, 1e-5, "entropy");
    const Tensor p = at::empty({5}), p2 = at::empty({5});
    CpuKernels().TokenLogprobs(logits, ids, 0.7, lse, p);
    cuda::TokenLogprobs(In<E>(logits), Ints(ids), 0.7, In<float>(lse), 5,
                        kVocab, Out<float>(p2), nullptr);
    EXPECT_TRUE(at::equal(p, p2));
    const Tensor grad = Randn({5}, 2, at::kFloat);
    const Tensor d = logits.clone(), d2 = logits.clone();
    CpuKernels().TokenLogprobBackward(ids, lse, grad, 0.7, d);
    cuda::TokenLogprobBackward(Ints(ids), In<float>(lse), In<float>(grad), 0.7,
                               5, kVocab, Out<E>(d2), nullptr);
    ExpectNear(d2, d, tolerance, "dlogits");
  });
}

TEST(CudaKernelsTest, DrawsTheTokensThatTheCpuDraws) {
  ForTypes([]<typename E>(E, at::ScalarType dtype, double) {
    // Fewer ids than threads, and more.
    for (const int64_t vocab : {200, 601}) {
      const int64_t n = 40;
      const Tensor logits = Randn({n, vocab}, 1, dtype) * 3;
      logits.select(1, 3).fill_(-1e4);  // Has no probability.
      logits[5].fill_(1.5);             // All the same.
      const Tensor temperatures = at::full({n}, 0.8, at::kDouble);
      temperatures.slice(0, 0, 8).zero_();
      const Tensor uniform = at::linspace(0, 0.9999, n, at::kDouble);
      const Tensor ids = at::empty({n}, at::kLong);
      const Tensor ids2 = at::empty({n}, at::kLong);
      const Tensor p = at::empty({n}), p2 = at::empty({n});
      CpuKernels().DrawTokens(logits, temperatures, uniform, ids, p);
      cuda::DrawTokens(In<E>(logits), In<double>(temperatures),
                       In<double>(uniform), n, vocab, Out<int64_t>(ids2),
                       Out<float>(p2), nullptr);
      EXPECT_TRUE(at::equal(ids, ids2)) << ids << ids2;
      EXPECT_EQ(ids[5].item<int64_t>(), 0);
      ExpectNear(p2, p, 2e-6, "logprobs");
    }
  });
}

}  // namespace
}  // namespace ponder
