#include "policy/decoder.h"

#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/checkpoint.h"
#include "policy/files/safetensors.h"

namespace ponder {
namespace {

using at::Tensor;
using ::testing::HasSubstr;

ModelConfig TinyConfig(const std::string& type) {
  ModelConfig c;
  c.model_type = type;
  c.vocab_size = 60;
  c.hidden_size = 32;
  c.intermediate_size = 48;
  c.num_layers = 2;
  c.num_heads = 4;
  c.num_kv_heads = 2;
  c.head_dim = 8;
  c.max_position_embeddings = 128;
  c.qkv_bias = type == "qwen2";
  c.qk_norm = type == "qwen3";
  c.tie_word_embeddings = type != "llama";
  return c;
}

std::shared_ptr<const Decoder> TinyDecoder(const ModelConfig& config,
                                           at::ScalarType dtype) {
  auto decoder =
      Decoder::Create(config, RandomWeights(config, 0.1, 1.0, 3), dtype, 128);
  EXPECT_TRUE(decoder.ok()) << decoder.status();
  return *decoder;
}

Tensor Ids(int64_t n) { return at::arange(n, at::kLong) * 7 % 60; }

TEST(DecoderTest, ParameterCountsOfPublishedModels) {
  const auto count = [](const char* type, int64_t d, int64_t ff, int64_t layers,
                        int64_t heads, int64_t kv, int64_t head_dim,
                        int64_t vocab, bool tied) {
    ModelConfig c = TinyConfig(type);
    c.hidden_size = d;
    c.intermediate_size = ff;
    c.num_layers = layers;
    c.num_heads = heads;
    c.num_kv_heads = kv;
    c.head_dim = head_dim;
    c.vocab_size = vocab;
    c.tie_word_embeddings = tied;
    return c.NumParameters();
  };
  // Qwen2.5-0.5B, Qwen2.5-7B, Qwen3-0.6B, Llama-3.1-8B.
  EXPECT_EQ(count("qwen2", 896, 4864, 24, 14, 2, 64, 151936, true), 494032768);
  EXPECT_EQ(count("qwen2", 3584, 18944, 28, 28, 4, 128, 152064, false),
            7615616512);
  EXPECT_EQ(count("qwen3", 1024, 3072, 28, 16, 8, 128, 151936, true),
            596049920);
  EXPECT_EQ(count("llama", 4096, 14336, 32, 32, 8, 128, 128256, false),
            8030261248);
}

TEST(DecoderTest, PackingAndCheckpointingKeepEveryBit) {
  for (const std::string type : {"llama", "qwen2", "qwen3"}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const auto decoder = TinyDecoder(TinyConfig(type), dtype);
      const Tensor ids = Ids(31);
      const Tensor alone =
          decoder->PackedHidden(ids.slice(0, 7, 20), {0, 13}, false);
      const Tensor packed = decoder->PackedHidden(ids, {0, 7, 20, 31}, false);
      EXPECT_TRUE(at::equal(alone, packed.slice(0, 7, 20))) << type;
    }
  }
}

TEST(DecoderTest, CheckpointingGivesTheSameGradients) {
  const ModelConfig config = TinyConfig("qwen3");
  std::vector<TensorMap> grads;
  for (const bool checkpoint : {false, true}) {
    TensorMap weights = RandomWeights(config, 0.1, 1.0, 3);
    for (auto& [name, w] : weights) w.set_requires_grad(true);
    const auto decoder = *Decoder::Create(config, weights, at::kFloat, 128);
    const Tensor hidden =
        decoder->PackedHidden(Ids(31), {0, 7, 31}, checkpoint);
    torch::autograd::backward({hidden.square().sum()}, {});
    TensorMap& got = grads.emplace_back();
    for (auto& [name, w] : weights) got[name] = w.grad();
  }
  for (const auto& [name, g] : grads[0]) {
    EXPECT_TRUE(at::equal(g, grads[1][name])) << name;
  }
}

TEST(DecoderTest, NamesWhatIsWrongWithTheTensors) {
  const ModelConfig config = TinyConfig("qwen2");
  const auto error = [&](auto change) {
    TensorMap weights = RandomWeights(config, 0.1, 1.0, 3);
    change(weights);
    const auto decoder = Decoder::Create(config, weights, at::kFloat, 128);
    return std::string(decoder.status().message());
  };
  EXPECT_THAT(error([](TensorMap& w) { w.erase("model.norm.weight"); }),
              HasSubstr("no tensor model.norm.weight"));
  EXPECT_THAT(
      error([](TensorMap& w) { w["model.norm.weight"] = at::ones({5}); }),
      HasSubstr("has shape [5], config.json wants [32]"));
  EXPECT_THAT(error([](TensorMap& w) { w["extra.weight"] = at::ones({5}); }),
              HasSubstr("extra.weight"));
  const auto too_long = Decoder::Create(
      config, RandomWeights(config, 0.1, 1.0, 3), at::kFloat, 129);
  EXPECT_THAT(std::string(too_long.status().message()),
              HasSubstr("max_position_embeddings is 128"));
}

// Logits of transformers for tiny random models; made by
// tests/parity/make_models.py.
class ModelParityTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ModelParityTest, LogitsAndTokenLogprobsMatchTransformers) {
  const std::string folder =
      std::string("tests/parity/golden/models/") + GetParam();
  auto checkpoint = LoadCheckpoint(folder, at::kFloat);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto v4 = ParseModelConfig(*ReadFile(folder + "/config_v4.json"), "v4");
  ASSERT_TRUE(v4.ok()) << v4.status();

  const auto reference =
      *SafetensorsFile::Open(folder + "/reference.safetensors");
  const auto read = [&](const char* name, at::ScalarType type) {
    const TensorInfo* info = reference->Find(name);
    EXPECT_NE(info, nullptr) << name;
    Tensor t = at::empty(info->shape, type);
    std::memcpy(t.mutable_data_ptr(), info->bytes, info->num_bytes);
    return t;
  };
  const Tensor ids = read("input_ids", at::kLong).view({-1});
  const Tensor want = read("logits", at::kFloat).view({ids.size(0), -1});

  for (const ModelConfig& config : {checkpoint->config, *v4}) {
    const auto decoder =
        Decoder::Create(config, checkpoint->weights, at::kFloat,
                        config.max_position_embeddings);
    ASSERT_TRUE(decoder.ok()) << decoder.status();
    const Tensor hidden =
        (*decoder)->PackedHidden(ids, {0, ids.size(0)}, false);
    const Tensor got = (*decoder)->Logits(hidden);
    EXPECT_LE((got - want).abs().max().item<float>(), 2e-5);
    for (const double temperature : {1.0, 0.7}) {
      const Tensor logprobs =
          ChunkedTokenLogprobs(hidden.slice(0, 0, -1),
                               (*decoder)->output_weight(), ids.slice(0, 1),
                               temperature, 16, false)
              .logprobs;
      const Tensor want_logprobs =
          at::log_softmax(want.slice(0, 0, -1) / temperature, -1)
              .gather(1, ids.slice(0, 1).unsqueeze(1))
              .squeeze(1);
      EXPECT_LE((logprobs - want_logprobs).abs().max().item<float>(), 1e-4);
    }
  }
}

// Sampling's path, without the engine: keys and values of earlier tokens come
// from a cache, here a list of tensors and LibTorch's own operations.
TEST_P(ModelParityTest, CachedLogitsMatchTransformers) {
  const std::string folder =
      std::string("tests/parity/golden/models/") + GetParam();
  auto checkpoint = LoadCheckpoint(folder, at::kFloat);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto reference =
      *SafetensorsFile::Open(folder + "/reference.safetensors");
  const auto read = [&](const char* name, at::ScalarType type) {
    const TensorInfo* info = reference->Find(name);
    EXPECT_NE(info, nullptr) << name;
    Tensor t = at::empty(info->shape, type);
    std::memcpy(t.mutable_data_ptr(), info->bytes, info->num_bytes);
    return t;
  };
  const Tensor ids = read("input_ids", at::kLong).view({-1});
  const Tensor want = read("logits", at::kFloat).view({ids.size(0), -1});
  const ModelConfig& config = checkpoint->config;
  const auto decoder = *Decoder::Create(config, checkpoint->weights, at::kFloat,
                                        config.max_position_embeddings);
  const at::NoGradGuard no_grad;

  // Two sequences of the same tokens: one is read at once and goes on token by
  // token, the other comes in pieces, so every batch has mixed lengths.
  struct Sequence {
    std::vector<int64_t> pieces;
    int64_t length = 0;
    std::vector<Tensor> keys, values;  // By layer.
  };
  std::vector<Sequence> sequences(2);
  sequences[0].pieces = {40};
  sequences[0].pieces.resize(61, 1);
  sequences[1].pieces = {1, 13, 2, 31, 7, 5};
  for (Sequence& s : sequences) {
    s.keys.resize(config.num_layers);
    s.values.resize(config.num_layers);
  }
  for (size_t step = 0; step < sequences[0].pieces.size(); ++step) {
    std::vector<Tensor> batch_ids, positions, wanted;
    std::vector<std::pair<Sequence*, int64_t>> parts;
    for (Sequence& s : sequences) {
      if (step >= s.pieces.size()) continue;
      const int64_t n = s.pieces[step];
      batch_ids.push_back(ids.slice(0, s.length, s.length + n));
      positions.push_back(at::arange(s.length, s.length + n, at::kLong));
      wanted.push_back(want.slice(0, s.length, s.length + n));
      parts.emplace_back(&s, n);
      s.length += n;
    }
    const auto attend = [&](int64_t layer, const Tensor& q, const Tensor& k,
                            const Tensor& v) {
      EXPECT_EQ(k.size(1), config.cache_heads());
      EXPECT_EQ(k.size(2), config.cache_key_dim());
      std::vector<Tensor> outs;
      int64_t row = 0;
      for (const auto& [s, n] : parts) {
        const auto append = [&](Tensor* cache, const Tensor& x) {
          const Tensor rows = x.slice(0, row, row + n);
          *cache = cache->defined() ? at::cat({*cache, rows}) : rows;
          return cache->repeat_interleave(q.size(1) / x.size(1), 1)
              .transpose(0, 1);
        };
        const Tensor keys = append(&s->keys[layer], k);
        const Tensor values = append(&s->values[layer], v);
        const Tensor later =
            at::ones({n, s->length}, at::kBool).triu(s->length - n + 1);
        const Tensor scores =
            (at::matmul(q.slice(0, row, row + n).transpose(0, 1),
                        keys.transpose(1, 2)) *
             decoder->attention_scale())
                .masked_fill(later, -std::numeric_limits<double>::infinity());
        outs.push_back(
            at::matmul(at::softmax(scores, -1), values).transpose(0, 1));
        row += n;
      }
      return at::cat(outs).contiguous();
    };
    const Tensor got = decoder->Logits(
        decoder->CachedHidden(at::cat(batch_ids), at::cat(positions), attend));
    EXPECT_LE((got - at::cat(wanted)).abs().max().item<float>(), 2e-5) << step;
  }
  EXPECT_EQ(sequences[0].length, ids.size(0));
}

TEST_P(ModelParityTest, GradientsMatchTransformers) {
  const std::string folder =
      std::string("tests/parity/golden/models/") + GetParam();
  auto checkpoint = LoadCheckpoint(folder, at::kFloat);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto reference =
      *SafetensorsFile::Open(folder + "/reference.safetensors");
  for (auto& [name, w] : checkpoint->weights) w.set_requires_grad(true);
  const auto decoder =
      *Decoder::Create(checkpoint->config, checkpoint->weights, at::kFloat,
                       checkpoint->config.max_position_embeddings);
  const TensorInfo* info = reference->Find("input_ids");
  const int64_t n = info->num_bytes / 8;
  const Tensor ids = at::empty({n}, at::kLong);
  std::memcpy(ids.mutable_data_ptr(), info->bytes, info->num_bytes);

  const Tensor hidden = decoder->PackedHidden(ids, {0, n}, false);
  const Tensor logprobs =
      ChunkedTokenLogprobs(hidden.slice(0, 0, -1), decoder->output_weight(),
                           ids.slice(0, 1), 1.0, 33, false)
          .logprobs;
  torch::autograd::backward({-logprobs.mean()}, {});
  const auto value = [&](const std::string& name) {
    const TensorInfo* scalar = reference->Find(name);
    EXPECT_NE(scalar, nullptr) << name;
    float x = 0;
    if (scalar != nullptr) std::memcpy(&x, scalar->bytes, sizeof(x));
    return x;
  };
  for (const auto& [name, w] : checkpoint->weights) {
    if (!IsTrainedByGradient(checkpoint->config, name)) continue;
    // An expert that no token went to has none.
    const Tensor grad = w.grad().defined() ? w.grad() : at::zeros_like(w);
    const float norm = value("grad_norm/" + name);
    const float tolerance = 1e-4f * norm + 1e-6f;
    EXPECT_NEAR(grad.norm().item<float>(), norm, tolerance) << name;
    // A projection besides, which sees a gradient of the right norm that
    // points elsewhere.
    const Tensor probe = at::arange(grad.numel(), at::kDouble).cos();
    EXPECT_NEAR((grad.to(at::kDouble).flatten() * probe).sum().item<float>(),
                value("grad_probe/" + name), tolerance)
        << name;
  }
}

// The balance loss of two packed sequences, and where their tokens went.
class BalanceParityTest
    : public ::testing::TestWithParam<std::tuple<const char*, bool>> {};

TEST_P(BalanceParityTest, LossAndGradientsMatchTransformers) {
  const auto [model, checkpointing] = GetParam();
  const std::string folder = std::string("tests/parity/golden/models/") + model;
  auto checkpoint = LoadCheckpoint(folder, at::kFloat);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const ModelConfig& config = checkpoint->config;
  const auto reference =
      *SafetensorsFile::Open(folder + "/reference.safetensors");
  for (auto& [name, w] : checkpoint->weights) {
    w.set_requires_grad(IsTrainedByGradient(config, name));
  }
  const auto decoder = *Decoder::Create(config, checkpoint->weights, at::kFloat,
                                        config.max_position_embeddings);
  const auto read = [&](const std::string& name, at::ScalarType type) {
    const TensorInfo* info = reference->Find(name);
    EXPECT_NE(info, nullptr) << name;
    Tensor t = at::empty(info->shape, type);
    std::memcpy(t.mutable_data_ptr(), info->bytes, info->num_bytes);
    return t;
  };
  ExpertBalance balance(config, 1.0 / 2);
  const Tensor hidden =
      decoder->PackedHidden(read("input_ids", at::kLong).view({-1}),
                            {0, 60, 100}, checkpointing, &balance);
  torch::autograd::backward({hidden.sum() * 0}, {});
  EXPECT_NEAR(balance.loss(), read("balance_loss", at::kFloat).item<double>(),
              1e-5);
  EXPECT_TRUE(at::equal(balance.tokens(), read("balance_tokens", at::kLong)))
      << balance.tokens();
  for (const auto& [name, w] : checkpoint->weights) {
    if (!w.requires_grad()) continue;
    const Tensor grad = w.grad().defined() ? w.grad() : at::zeros_like(w);
    const Tensor probe = at::arange(grad.numel(), at::kDouble).cos();
    EXPECT_NEAR((grad.to(at::kDouble).flatten() * probe).sum().item<double>(),
                read("balance_grad_probe/" + name, at::kFloat).item<double>(),
                1e-4 * grad.norm().item<double>() + 1e-6)
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Golden, BalanceParityTest,
    ::testing::Combine(::testing::Values("qwen3moe", "qwen3moe_all",
                                         "deepseek2lite", "deepseek2",
                                         "deepseek3", "deepseek3_plain"),
                       ::testing::Bool()),
    [](const auto& param_info) {
      return absl::StrCat(
          std::get<0>(param_info.param),
          std::get<1>(param_info.param) ? "_checkpointing" : "");
    });

TEST(ExpertBiasTest, MovesByTheRateAgainstTheLoad) {
  auto checkpoint =
      LoadCheckpoint("tests/parity/golden/models/deepseek3", at::kFloat);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const std::string name = "model.layers.1.mlp.gate.e_score_correction_bias";
  const Tensor before = checkpoint->weights.at(name).clone();
  Tensor tokens = at::zeros({3, 8}, at::kLong);
  tokens[1] = at::tensor({4, 4, 4, 4, 9, 1, 2, 4}, at::kLong);
  UpdateExpertBias(checkpoint->config, tokens, 0.25, checkpoint->weights);
  const Tensor moved = checkpoint->weights.at(name) - before;
  EXPECT_TRUE(at::allclose(
      moved, at::tensor({0.f, 0.f, 0.f, 0.f, -0.25f, 0.25f, 0.25f, 0.f}), 0,
      1e-6))
      << moved;
}

// Its frequencies depend on the length of the whole sequence, beyond the
// context that it was trained with.
TEST(DynamicRopeTest, IsRefusedBeyondTheContext) {
  auto checkpoint =
      LoadCheckpoint("tests/parity/golden/models/llama_dynamic", at::kFloat);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_TRUE(
      Decoder::Create(checkpoint->config, checkpoint->weights, at::kFloat, 64)
          .ok());
  EXPECT_FALSE(
      Decoder::Create(checkpoint->config, checkpoint->weights, at::kFloat, 65)
          .ok());
}

INSTANTIATE_TEST_SUITE_P(
    Golden, ModelParityTest,
    ::testing::Values("llama", "llama_linear", "llama31", "qwen2", "qwen2_yarn",
                      "qwen3", "mistral", "qwen3moe", "qwen3moe_all",
                      "deepseek2lite", "deepseek2", "deepseek3",
                      "deepseek3_plain"),
    [](const auto& param_info) { return std::string(param_info.param); });

}  // namespace
}  // namespace ponder
