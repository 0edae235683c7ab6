#include "rollout/engine.h"

#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/checkpoint.h"
#include "policy/files/safetensors.h"
#include "policy/ops.h"
#include "policy/text/byte_tokenizer.h"

namespace ponder {
namespace {

using at::Tensor;
using ::testing::HasSubstr;

// One family for each kind of layer: grouped-query attention and dense, the
// same with experts, latent attention with experts.
ModelConfig TinyConfig(const std::string& family) {
  ModelConfig c;
  c.model_type = family;
  c.vocab_size = 320;
  c.hidden_size = 32;
  c.intermediate_size = 48;
  c.num_layers = 2;
  c.num_heads = 4;
  c.num_kv_heads = 2;
  c.head_dim = 16;
  c.max_position_embeddings = 256;
  c.qkv_bias = family == "qwen2";
  c.tie_word_embeddings = true;
  if (family == "qwen2") return c;
  c.moe.num_experts = 8;
  c.moe.experts_per_token = 3;
  c.moe.intermediate_size = 24;
  c.moe.normalize_weights = true;
  c.moe.layers = {false, true};
  if (family == "qwen3_moe") {
    c.qk_norm = true;
    return c;
  }
  c.mla = {.kv_lora_rank = 24,
           .q_lora_rank = 20,
           .qk_nope_head_dim = 16,
           .qk_rope_head_dim = 8,
           .v_head_dim = 12};
  c.moe.num_shared_experts = 1;
  c.moe.sigmoid = true;
  c.moe.correction_bias = true;
  c.moe.num_groups = 4;
  c.moe.groups_per_token = 2;
  return c;
}

struct EngineCase {
  std::string family;
  at::ScalarType dtype;
};

class EngineTest : public ::testing::TestWithParam<EngineCase> {
 protected:
  EngineTest() {
    const ModelConfig c = TinyConfig(GetParam().family);
    tokenizer_ = *Tokenizer::FromJson(ByteTokenizerJson(320), "test");
    auto decoder = Decoder::Create(c, RandomWeights(c, 0.3, 1.5, 3),
                                   GetParam().dtype, /*max_tokens=*/200);
    decoder_ = *decoder;
  }

  static GenerationRequest Request(const std::string& id, int prompt_tokens,
                                   int num_samples, int max_tokens) {
    GenerationRequest request;
    request.group_id = id;
    for (int i = 0; i < prompt_tokens; ++i) {
      request.prompt_ids.push_back((i * 37 + prompt_tokens) % 256);
    }
    for (int i = 0; i < num_samples; ++i) {
      request.samples.push_back(
          {static_cast<uint64_t>(1000 * prompt_tokens + i), i == 0 ? 0.0 : 1.0,
           0, 1.0});
    }
    request.max_response_tokens = max_tokens;
    request.stop_ids = {kByteEndOfTextId};
    return request;
  }

  // All samples of the requests, by group and index.
  std::map<std::pair<std::string, int>, GeneratedSample> Generate(
      std::vector<GenerationRequest> requests, Engine::Options options = {}) {
    Engine engine(options, tokenizer_.get());
    engine.SetPolicy(decoder_);
    std::map<std::pair<std::string, int>, GeneratedSample> samples;
    for (GenerationRequest& request : requests) {
      EXPECT_TRUE(engine.Add(std::move(request)).ok());
    }
    while (!engine.idle()) {
      engine.Step([&](GeneratedSample sample) {
        const auto key = std::make_pair(sample.group_id, sample.index);
        EXPECT_FALSE(samples.contains(key));
        samples[key] = std::move(sample);
      });
    }
    return samples;
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  std::shared_ptr<const Decoder> decoder_;
};

// The learner's view of a sample: one packed forward pass.
Tensor LearnerLogprobs(const Decoder& decoder,
                       const std::vector<int32_t>& prompt,
                       const std::vector<int32_t>& response) {
  std::vector<int64_t> ids(prompt.begin(), prompt.end());
  ids.insert(ids.end(), response.begin(), response.end());
  const int64_t n = static_cast<int64_t>(ids.size());
  const int64_t p = static_cast<int64_t>(prompt.size());
  const Tensor all = at::tensor(ids, at::kLong);
  const at::NoGradGuard no_grad;
  const Tensor hidden = decoder.PackedHidden(all, {0, n}, false);
  return ChunkedTokenLogprobs(hidden.slice(0, p - 1, n - 1),
                              decoder.output_weight(), all.slice(0, p), 1.0, 8,
                              false)
      .logprobs;
}

// Bit for bit, but for latent attention: a cache holds latents, and learning
// takes the products in another order. In bfloat16 that may send a token to
// other experts, so there is nothing to compare.
// What was cancelled gives its place back, and the others do not notice.
TEST_P(EngineTest, CancelledGroupsLeaveNoTrace) {
  const auto alone = Generate({Request("stays", 9, 3, 20)});
  Engine::Options options;
  options.slots = 8;
  Engine engine(options, tokenizer_.get());
  engine.SetPolicy(decoder_);
  ASSERT_TRUE(engine.Add(Request("stays", 9, 3, 20)).ok());
  ASSERT_TRUE(engine.Add(Request("goes", 17, 4, 20)).ok());
  ASSERT_TRUE(engine.Add(Request("waits", 12, 8, 20)).ok());
  std::map<int, GeneratedSample> finished;
  const auto take = [&](GeneratedSample sample) {
    if (sample.group_id != "stays") return;
    finished[sample.index] = std::move(sample);
  };
  engine.Step(take);
  engine.Step(take);
  EXPECT_FALSE(engine.HasRoom(4));
  engine.Cancel("goes");
  engine.Cancel("waits");
  engine.Cancel("unknown");
  EXPECT_TRUE(engine.HasRoom(4));
  while (!engine.idle()) engine.Step(take);
  ASSERT_EQ(finished.size(), 3u);
  for (const auto& [index, sample] : finished) {
    EXPECT_EQ(sample.response_ids, alone.at({"stays", index}).response_ids);
    EXPECT_EQ(sample.logprobs, alone.at({"stays", index}).logprobs);
  }
}

TEST_P(EngineTest, SampledLogprobsAreTheLearners) {
  const bool absorbed = decoder_->config().has_mla();
  if (absorbed && GetParam().dtype != at::kFloat) return;
  std::vector<GenerationRequest> requests;
  for (const int prompt : {1, 3, 15, 16, 17, 40}) {
    requests.push_back(Request("g" + std::to_string(prompt), prompt, 5, 50));
  }
  const auto samples = Generate(requests);
  ASSERT_EQ(samples.size(), 30u);
  int64_t tokens = 0;
  for (const GenerationRequest& request : requests) {
    for (int i = 0; i < 5; ++i) {
      const GeneratedSample& sample = samples.at({request.group_id, i});
      const Tensor learner =
          LearnerLogprobs(*decoder_, request.prompt_ids, sample.response_ids);
      const Tensor sampler = at::tensor(sample.logprobs);
      const float difference = (learner - sampler).abs().max().item<float>();
      ASSERT_LE(difference, absorbed ? 1e-4f : 0.0f)
          << request.group_id << " " << i;
      tokens += learner.numel();
    }
  }
  EXPECT_GT(tokens, 500);
}

TEST_P(EngineTest, ASampleDoesNotDependOnItsBatch) {
  std::vector<GenerationRequest> requests;
  for (const int prompt : {2, 16, 21, 33}) {
    requests.push_back(Request("g" + std::to_string(prompt), prompt, 6, 40));
  }
  const auto together = Generate(requests);
  Engine::Options narrow;
  narrow.slots = 7;
  narrow.prefill_tokens = 1;
  const auto narrow_batch = Generate(requests, narrow);
  ASSERT_EQ(narrow_batch.size(), together.size());
  for (const GenerationRequest& request : requests) {
    for (int i = 0; i < 6; ++i) {
      // Alone in the engine, and alone in its group.
      GenerationRequest alone = request;
      alone.samples = {request.samples[i]};
      const GeneratedSample want = Generate({alone}).at({request.group_id, 0});
      const auto key = std::make_pair(request.group_id, i);
      EXPECT_EQ(together.at(key).response_ids, want.response_ids);
      EXPECT_EQ(together.at(key).logprobs, want.logprobs);
      EXPECT_EQ(narrow_batch.at(key).response_ids, want.response_ids);
      EXPECT_EQ(narrow_batch.at(key).logprobs, want.logprobs);
    }
  }
}

TEST_P(EngineTest, EndsAtStopIdsStopStringsAndTheLimit) {
  GenerationRequest request = Request("g", 5, 8, 30);
  const auto free = Generate({request});
  const std::vector<int32_t>& ids = free.at({"g", 1}).response_ids;
  ASSERT_GT(ids.size(), 4u);

  request.stop_ids = {ids[2]};
  const auto stopped = Generate({request});
  const GeneratedSample& sample = stopped.at({"g", 1});
  EXPECT_EQ(sample.response_ids.back(), ids[2]);
  EXPECT_LE(sample.response_ids.size(), 3u);
  EXPECT_FALSE(sample.truncated);

  request.stop_ids = {};
  request.stop_strings = {tokenizer_->Decode({ids[1]})};
  if (!request.stop_strings[0].empty()) {
    const auto by_text = Generate({request});
    EXPECT_LE(by_text.at({"g", 1}).response_ids.size(), 2u);
  }

  request.stop_strings = {};
  for (const auto& [key, limited] : Generate({request})) {
    EXPECT_TRUE(limited.truncated);
    EXPECT_EQ(limited.response_ids.size(), 30u);
  }
}

TEST_P(EngineTest, RefusesWhatCanNeverRun) {
  Engine::Options options;
  options.kv_cache_tokens = 64;
  Engine engine(options, tokenizer_.get());
  engine.SetPolicy(decoder_);
  const auto error = [&](GenerationRequest request) {
    return std::string(engine.Add(std::move(request)).message());
  };
  EXPECT_THAT(error(Request("g", 5, 8, 30)),
              HasSubstr("kv_cache_tokens is 64"));
  EXPECT_THAT(error(Request("g", 190, 1, 30)), HasSubstr("the limit is 200"));
  EXPECT_THAT(error(Request("g", 0, 1, 30)), HasSubstr("needs a prompt"));
  GenerationRequest bad_id = Request("g", 5, 1, 3);
  bad_id.prompt_ids[2] = 320;
  EXPECT_THAT(error(std::move(bad_id)), HasSubstr("token id 320"));
  EXPECT_TRUE(engine.idle());
}

INSTANTIATE_TEST_SUITE_P(
    Families, EngineTest,
    ::testing::Values(EngineCase{"qwen2", at::kFloat},
                      EngineCase{"qwen2", at::kBFloat16},
                      EngineCase{"qwen3_moe", at::kFloat},
                      EngineCase{"qwen3_moe", at::kBFloat16},
                      EngineCase{"deepseek_v3", at::kFloat},
                      EngineCase{"deepseek_v3", at::kBFloat16}),
    [](const auto& param_info) {
      return param_info.param.family +
             (param_info.param.dtype == at::kFloat ? "_float32" : "_bfloat16");
    });

// Greedy continuations by transformers, made by tests/parity/make_models.py.
class GreedyParityTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GreedyParityTest, ContinuationsMatchTransformers) {
  const std::string folder =
      std::string("tests/parity/golden/models/") + GetParam();
  auto checkpoint = LoadCheckpoint(folder, at::kFloat);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto reference =
      *SafetensorsFile::Open(folder + "/reference.safetensors");
  const auto read = [&](const char* name) {
    const TensorInfo* info = reference->Find(name);
    EXPECT_NE(info, nullptr) << name;
    std::vector<int64_t> wide(info->num_bytes / 8);
    std::memcpy(wide.data(), info->bytes, info->num_bytes);
    return std::vector<int32_t>(wide.begin(), wide.end());
  };
  const std::vector<int32_t> want = read("greedy_ids");
  ASSERT_EQ(want.size(), 20u);

  Engine engine({}, /*tokenizer=*/nullptr);
  engine.SetPolicy(*Decoder::Create(checkpoint->config, checkpoint->weights,
                                    at::kFloat, 200));
  GenerationRequest request;
  request.group_id = "greedy";
  request.prompt_ids = read("input_ids");
  request.samples = {{/*key=*/0, /*temperature=*/0.0, /*top_k=*/0,
                      /*top_p=*/1.0}};
  request.max_response_tokens = static_cast<int32_t>(want.size());
  ASSERT_TRUE(engine.Add(std::move(request)).ok());
  std::vector<int32_t> got;
  while (!engine.idle()) {
    engine.Step([&](GeneratedSample sample) { got = sample.response_ids; });
  }
  EXPECT_EQ(got, want);
}

INSTANTIATE_TEST_SUITE_P(
    Golden, GreedyParityTest,
    ::testing::Values("llama", "llama_linear", "llama31", "qwen2", "qwen2_yarn",
                      "qwen3", "mistral", "qwen3moe", "qwen3moe_all",
                      "deepseek2lite", "deepseek2", "deepseek3",
                      "deepseek3_plain"),
    [](const auto& param_info) { return std::string(param_info.param); });

}  // namespace
}  // namespace ponder
