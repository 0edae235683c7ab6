#include "policy/kernels.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "policy/gguf/ggml_blocks.h"
#include "policy/ops.h"
#include "policy/quantized_weights.h"

namespace ponder {
namespace {

using at::Tensor;

Tensor Randn(at::IntArrayRef shape, uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator);
}

double MaxDifference(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// Gradient of sum(f(x) * w) by autograd of f, for each input.
template <typename F>
std::vector<Tensor> Gradients(const std::vector<Tensor>& inputs, F f,
                              uint64_t seed) {
  std::vector<Tensor> leaves;
  for (const Tensor& x : inputs) {
    leaves.push_back(x.detach().clone().set_requires_grad(true));
  }
  const Tensor y = f(leaves);
  torch::autograd::backward({(y * Randn(y.sizes(), seed)).sum()}, {});
  std::vector<Tensor> grads;
  for (const Tensor& leaf : leaves) grads.push_back(leaf.grad());
  return grads;
}

template <typename F, typename G>
void ExpectSame(const std::vector<Tensor>& inputs, F ours, G theirs,
                double tolerance) {
  EXPECT_LE(MaxDifference(ours(inputs), theirs(inputs)), tolerance);
  const auto a = Gradients(inputs, ours, 5);
  const auto b = Gradients(inputs, theirs, 5);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_LE(MaxDifference(a[i], b[i]), tolerance) << "input " << i;
  }
}

TEST(KernelsTest, RmsNormMatchesItsFormula) {
  for (const int64_t size : {5, 16, 24, 128, 130}) {
    ExpectSame(
        {Randn({37, size}, 1), Randn({size}, 2)},
        [](const std::vector<Tensor>& in) {
          return RmsNorm(in[0], in[1], 1e-6);
        },
        [](const std::vector<Tensor>& in) {
          return in[0] * at::rsqrt(in[0].square().mean(-1, true) + 1e-6) *
                 in[1];
        },
        5e-5);
  }
}

TEST(KernelsTest, SwiGluMatchesItsFormula) {
  for (const int64_t size : {3, 16, 50}) {
    ExpectSame(
        {Randn({9, size}, 1) * 4, Randn({9, size}, 2)},
        [](const std::vector<Tensor>& in) { return SwiGlu(in[0], in[1]); },
        [](const std::vector<Tensor>& in) { return at::silu(in[0]) * in[1]; },
        1e-5);
  }
}

TEST(KernelsTest, SwiGluOfAGateFarBelowZeroIsZero) {
  const Tensor gate = at::tensor({-80.0f, -100.0f, -300.0f, 100.0f});
  const Tensor y = SwiGlu(gate.unsqueeze(0), at::ones({1, 4}));
  EXPECT_LE(y[0].slice(0, 0, 3).abs().max().item<float>(), 1e-30);
  EXPECT_EQ(y[0][3].item<float>(), 100.0f);
}

TEST(KernelsTest, SigmoidMatchesItsFormulaWhereverANumberStands) {
  ExpectSame(
      {Randn({9, 7}, 1) * 8},
      [](const std::vector<Tensor>& in) { return Sigmoid(in[0]); },
      [](const std::vector<Tensor>& in) { return at::sigmoid(in[0]); }, 1e-6);
  const Tensor x = Randn({100}, 2);
  const Tensor y = Sigmoid(x);
  for (const int64_t begin : {1, 31, 83, 99}) {
    EXPECT_TRUE(at::equal(Sigmoid(x.slice(0, begin)), y.slice(0, begin)));
  }
}

// softmax(scale q k^T) v with LibTorch's operations, one sequence at a time.
Tensor ReferenceAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                          const std::vector<int64_t>& cu_seqlens,
                          double scale) {
  const int64_t group = q.size(1) / k.size(1);
  std::vector<Tensor> outs;
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    const auto part = [&](const Tensor& x, int64_t repeat) {
      return x.slice(0, cu_seqlens[s], cu_seqlens[s + 1])
          .repeat_interleave(repeat, 1)
          .transpose(0, 1);
    };
    const Tensor ks = part(k, group), vs = part(v, group);
    Tensor scores = at::matmul(part(q, 1), ks.transpose(1, 2)) * scale;
    const int64_t n = scores.size(1);
    scores = scores.masked_fill(at::ones({n, n}, at::kBool).triu(1),
                                -std::numeric_limits<double>::infinity());
    outs.push_back(at::matmul(at::softmax(scores, -1), vs).transpose(0, 1));
  }
  return at::cat(outs);
}

TEST(KernelsTest, AttentionMatchesSoftmaxOfProducts) {
  const std::vector<int64_t> cu_seqlens = {0, 1, 18, 20, 55};
  // Values may be smaller or larger than keys (multi-head latent attention).
  for (const auto& [key_dim, value_dim] :
       {std::pair{8, 8}, {16, 16}, {20, 20}, {64, 64}, {24, 16}, {20, 40}}) {
    for (const int64_t heads : {2, 4}) {
      ExpectSame(
          {Randn({55, heads, key_dim}, 1), Randn({55, 2, key_dim}, 2),
           Randn({55, 2, value_dim}, 3)},
          [&](const std::vector<Tensor>& in) {
            return PackedAttention(in[0], in[1], in[2], cu_seqlens, 0.3);
          },
          [&](const std::vector<Tensor>& in) {
            return ReferenceAttention(in[0], in[1], in[2], cu_seqlens, 0.3);
          },
          2e-5);
    }
  }
}

TEST(KernelsTest, AttentionRowsDoNotDependOnTheBlocks) {
  const int64_t n = 43, heads = 4, groups = 2, dim = 24, value_dim = 20;
  const Tensor q = Randn({n, heads, dim}, 1);
  const Tensor k = Randn({n, groups, dim}, 2);
  const Tensor v = Randn({n, groups, value_dim}, 3);
  const Tensor packed = PackedAttention(q, k, v, {0, n}, 0.2);

  for (const int64_t block : {1, 3, 16, 64}) {
    std::vector<const float*> key_blocks, value_blocks;
    for (int64_t j = 0; j < n; j += block) {
      key_blocks.push_back(k.const_data_ptr<float>() + j * groups * dim);
      value_blocks.push_back(v.const_data_ptr<float>() +
                             j * groups * value_dim);
    }
    const kernels::KeyValues<float> keys = {key_blocks.data(),
                                            value_blocks.data(),
                                            0,
                                            0,
                                            block,
                                            groups * dim,
                                            dim,
                                            groups * value_dim,
                                            value_dim};
    for (int64_t t = 0; t < n; ++t) {
      const int64_t num_keys = t + 1;
      const Tensor row = at::empty({heads, value_dim});
      kernels::Attention(q.const_data_ptr<float>() + t * heads * dim, &keys,
                         &num_keys, 0.2, 1, heads, groups, dim, value_dim,
                         row.mutable_data_ptr<float>(), nullptr);
      ASSERT_TRUE(at::equal(row, packed[t])) << block << " " << t;
    }
  }
}

TEST(KernelsTest, RopeRotatesBackAndKeepsNorms) {
  RopeConfig config;
  const RopeAngles angles =
      MakeRopeAngles(MakeRopeTable(config, 24, 50), at::kCPU);
  const Tensor x = Randn({50, 3, 24}, 1);
  const Tensor positions = at::arange(50, at::kLong);
  const Tensor y = Rope(x, positions, angles);
  EXPECT_TRUE(at::equal(x[0], y[0]));
  EXPECT_LE(MaxDifference(x.norm(2, -1), y.norm(2, -1)), 1e-5);
  // The gradient of sum(y * y) / 2 is the rotation back of y: x itself.
  const Tensor leaf = x.clone().set_requires_grad(true);
  torch::autograd::backward(
      {(Rope(leaf, positions, angles).square() / 2).sum()}, {});
  EXPECT_LE(MaxDifference(leaf.grad(), x), 1e-5);
}

TEST(KernelsTest, TokenLogprobsMatchLogSoftmax) {
  const Tensor ids = at::arange(23, at::kLong) * 7 % 50;
  for (const double temperature : {1.0, 0.7}) {
    for (const int64_t chunk : {1, 5, 100}) {
      ExpectSame(
          {Randn({23, 12}, 1), Randn({50, 12}, 2)},
          [&](const std::vector<Tensor>& in) {
            return ChunkedTokenLogprobs(in[0], in[1], ids, temperature, chunk,
                                        false)
                .logprobs;
          },
          [&](const std::vector<Tensor>& in) {
            return at::log_softmax(at::matmul(in[0], in[1].t()) / temperature,
                                   -1)
                .gather(1, ids.unsqueeze(1))
                .squeeze(1);
          },
          2e-5);
    }
  }
  const Tensor hidden = Randn({23, 12}, 1), weight = Randn({50, 12}, 2);
  const Tensor logp = at::log_softmax(at::matmul(hidden, weight.t()), -1);
  EXPECT_LE(MaxDifference(
                ChunkedTokenLogprobs(hidden, weight, ids, 1.0, 4, true).entropy,
                -(logp.exp() * logp).sum(-1)),
            2e-5);
}

TEST(KernelsTest, LinearMatchesItsFormula) {
  // Whole panels of outputs and not, inputs in whole vectors and not.
  for (const auto& [out, in] :
       {std::pair{32, 16}, {64, 128}, {50, 37}, {7, 1}, {33, 300}}) {
    for (const int64_t rows : {1, 2, 3, 11, 12, 13, 40}) {
      ExpectSame(
          {Randn({rows, in}, 1), Randn({out, in}, 2), Randn({out}, 3)},
          [](const std::vector<Tensor>& v) { return Linear(v[0], v[1], v[2]); },
          [](const std::vector<Tensor>& v) {
            return at::matmul(v[0], v[1].t()) + v[2];
          },
          1e-4);
    }
  }
  EXPECT_EQ(Linear(Randn({0, 8}, 1), Randn({4, 8}, 2), Tensor()).size(0), 0);
}

TEST(KernelsTest, EntropyHasTheGradientOfItsFormula) {
  const Tensor ids = at::arange(23, at::kLong) * 7 % 50;
  for (const double temperature : {1.0, 0.7}) {
    for (const int64_t chunk : {1, 5, 100}) {
      const auto log_softmax = [&](const std::vector<Tensor>& in) {
        return at::log_softmax(at::matmul(in[0], in[1].t()) / temperature, -1);
      };
      const std::vector<Tensor> in = {Randn({23, 12}, 1), Randn({50, 12}, 2)};
      ExpectSame(
          in,
          [&](const std::vector<Tensor>& in) {
            return ChunkedTokenLogprobs(in[0], in[1], ids, temperature, chunk,
                                        true)
                .entropy;
          },
          [&](const std::vector<Tensor>& in) {
            const Tensor logp = log_softmax(in);
            return -(logp.exp() * logp).sum(-1);
          },
          5e-5);
      // Both in one loss.
      ExpectSame(
          in,
          [&](const std::vector<Tensor>& in) {
            const TokenLogprobs both = ChunkedTokenLogprobs(
                in[0], in[1], ids, temperature, chunk, true);
            return both.logprobs + 0.5 * both.entropy;
          },
          [&](const std::vector<Tensor>& in) {
            const Tensor logp = log_softmax(in);
            return logp.gather(1, ids.unsqueeze(1)).squeeze(1) -
                   0.5 * (logp.exp() * logp).sum(-1);
          },
          5e-5);
    }
  }
}

// Wide inputs are where BLAS libraries choose other orders for other batches.
TEST(KernelsTest, LinearRowsDoNotDependOnTheBatch) {
  for (const auto& [out, in] : {std::pair{64, 128}, {100, 1200}}) {
    const Tensor w = Randn({out, in}, 1), b = Randn({out}, 2);
    const Tensor x = Randn({300, in}, 3);
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const Tensor all = Linear(x.to(type), w, b);
      for (int64_t n = 1; n < 60; ++n) {
        for (const int64_t first : {0, 3, 50}) {
          const Tensor some =
              Linear(x.slice(0, first, first + n).to(type).clone(), w, b);
          ASSERT_TRUE(at::equal(some, all.slice(0, first, first + n)))
              << type << " " << n << " rows from " << first;
        }
      }
    }
  }
}

// What a product with quantized weights takes them for.
Tensor Dequantized(const Tensor& quantized, int64_t in) {
  return Linear(at::eye(in), quantized, Tensor()).t().contiguous();
}

TEST(QuantizedWeightsTest, AreTheNumbersOfQ8_0) {
  Tensor w = Randn({50, 96}, 1);
  w[3].zero_();
  w[4].slice(0, 32, 64).fill_(1e-30);
  const Tensor got = Dequantized(QuantizedQ8("x.weight", w), 96);
  for (int64_t row = 0; row < w.size(0); ++row) {
    std::string bytes;
    AppendGgmlRow(GgmlType::kQ8_0, {w[row].const_data_ptr<float>(), 96},
                  &bytes);
    std::vector<float> want(96);
    ReadGgmlRow(GgmlType::kQ8_0, bytes.data(), absl::MakeSpan(want));
    EXPECT_TRUE(at::equal(got[row], at::tensor(want))) << row;
  }
}

TEST(QuantizedWeightsTest, ProductsAreThoseOfTheirNumbers) {
  const Tensor q = QuantizedQ8("x.weight", Randn({70, 160}, 1));
  const Tensor w = Dequantized(q, 160), bias = Randn({70}, 2);
  for (const int64_t rows : {1, 2, 3, 30}) {
    const Tensor x = Randn({rows, 160}, 3);
    EXPECT_LE(MaxDifference(Linear(x, q, bias), Linear(x, w, bias)), 1e-5);
  }
}

TEST(QuantizedWeightsTest, LeaveAloneWhatIsNoProduct) {
  const Tensor w = Randn({64, 64}, 1);
  for (const char* name :
       {"model.embed_tokens.weight", "model.layers.0.mlp.gate.weight",
        "model.layers.0.self_attn.kv_b_proj.weight"}) {
    EXPECT_TRUE(QuantizedQ8(name, w).is_same(w)) << name;
  }
  EXPECT_EQ(QuantizedQ8("x.weight", Randn({4, 40}, 1)).scalar_type(),
            at::kFloat);
  EXPECT_EQ(QuantizedQ8("x.bias", Randn({64}, 1)).scalar_type(), at::kFloat);
  EXPECT_EQ(QuantizedQ8("model.layers.0.mlp.gate_proj.weight", w).scalar_type(),
            at::kChar);
}

}  // namespace
}  // namespace ponder
