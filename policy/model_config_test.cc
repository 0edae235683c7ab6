#include "policy/model_config.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kConfig[] =
    R"({"model_type": "qwen2", "vocab_size": 320, "hidden_size": 64,
        "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 128, "eos_token_id": [5, 6],
        "rope_scaling": {"type": "yarn", "factor": 4.0}})";

// The error of kConfig with `from` replaced by `to`.
std::string ErrorWith(absl::string_view from, absl::string_view to) {
  const std::string text = absl::StrReplaceAll(kConfig, {{from, to}});
  EXPECT_NE(text, kConfig);
  const auto config = ParseModelConfig(text, "config.json");
  return std::string(config.status().message());
}

TEST(ModelConfigTest, ReadsSizesAndStopTokens) {
  const auto config = ParseModelConfig(kConfig, "config.json");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_TRUE(config->qkv_bias);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(5, 6));
  // q, k, v with bias; o; gate, up, down; two norms; embeddings twice.
  const int64_t layer = 64 * 128 + 128 + 64 * 64 + 3 * 64 * 128 + 2 * 64;
  EXPECT_EQ(config->NumParameters(), 2 * layer + 2 * 320 * 64 + 64);
  EXPECT_EQ(config->KvBytesPerToken(2), 2 * 2 * 2 * 16 * 2);
}

TEST(ModelConfigTest, RefusesSizesThatCannotBe) {
  for (const char* size : {"0", "-1", "9223372036854775807", "1.5", "\"64\"",
                           "18446744073709551615"}) {
    EXPECT_THAT(ErrorWith("\"hidden_size\": 64",
                          absl::StrCat("\"hidden_size\": ", size)),
                HasSubstr("config.json: hidden_size must be"))
        << size;
  }
  EXPECT_THAT(ErrorWith("\"num_hidden_layers\": 2", "\"_x\": 2"),
              HasSubstr("num_hidden_layers must be an integer from 1 to "
                        "8192, got nothing"));
  EXPECT_THAT(
      ErrorWith("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"),
      HasSubstr("must be a multiple of num_key_value_heads"));
}

TEST(ModelConfigTest, RefusesRotationsThatCannotBe) {
  EXPECT_THAT(ErrorWith("\"factor\": 4.0", "\"factor\": 0"),
              HasSubstr("factor must be a number from 1 on, got 0"));
  EXPECT_THAT(ErrorWith("\"factor\": 4.0", "\"rope_theta\": -1e4"),
              HasSubstr("rope_theta must be a number from 2 on"));
  EXPECT_THAT(ErrorWith("\"factor\": 4.0", "\"low_freq_factor\": 4.0"),
              HasSubstr("low_freq_factor must be below high_freq_factor"));
  EXPECT_THAT(ErrorWith("\"factor\": 4.0", "\"beta_fast\": 0.5"),
              HasSubstr("beta_slow at most beta_fast"));
  EXPECT_THAT(ErrorWith("\"factor\": 4.0", "\"beta_slow\": 0"),
              HasSubstr("beta_slow must be a number from 0.001 on"));
  EXPECT_THAT(ErrorWith(", \"factor\": 4.0", ""),
              HasSubstr("the rope of type \"yarn\" has no factor"));
  EXPECT_THAT(ErrorWith("yarn", "longrope"),
              HasSubstr("rope type \"longrope\" is not known"));
}

TEST(ModelConfigTest, RefusesStopTokensThatAreNone) {
  for (const char* ids : {"4294967301", "-1", "[5, \"6\"]", "5.0", "[[5]]"}) {
    EXPECT_THAT(ErrorWith("[5, 6]", ids), HasSubstr("eos_token_id")) << ids;
    EXPECT_FALSE(
        ParseEosTokenIds(absl::StrCat("{\"eos_token_id\": ", ids, "}"), "g")
            .ok());
  }
  const auto none = ParseEosTokenIds("{\"eos_token_id\": null}", "g");
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->empty());
}

TEST(ModelConfigTest, AWindowThatIsInUseLimitsTheContext) {
  const auto limit = [](absl::string_view type, absl::string_view more) {
    const auto config = ParseModelConfig(
        absl::StrReplaceAll(
            kConfig, {{"\"qwen2\"", type}, {"\"eos_token_id\": [5, 6]", more}}),
        "config.json");
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? config->max_position_embeddings : -1;
  };
  EXPECT_EQ(limit("\"mistral\"", "\"sliding_window\": 100"), 100);
  EXPECT_EQ(limit("\"mistral\"", "\"sliding_window\": null"), 128);
  EXPECT_EQ(limit("\"mistral\"", "\"sliding_window\": 4096"), 128);
  EXPECT_EQ(limit("\"qwen2\"", "\"sliding_window\": 100"), 128);
  EXPECT_EQ(limit("\"qwen2\"",
                  "\"use_sliding_window\": true, \"sliding_window\": 100"),
            100);
}

// The published sizes (config.json of deepseek-ai/DeepSeek-V3 and V2-Lite).
constexpr char kDeepSeekV3[] =
    R"({"model_type": "deepseek_v3", "vocab_size": 129280, "hidden_size": 7168,
        "intermediate_size": 18432, "moe_intermediate_size": 2048,
        "num_hidden_layers": 61, "num_attention_heads": 128,
        "num_key_value_heads": 128, "n_shared_experts": 1,
        "n_routed_experts": 256, "routed_scaling_factor": 2.5,
        "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64,
        "v_head_dim": 128, "qk_nope_head_dim": 128, "topk_method": "noaux_tc",
        "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8,
        "moe_layer_freq": 1, "first_k_dense_replace": 3,
        "norm_topk_prob": true, "scoring_func": "sigmoid",
        "num_nextn_predict_layers": 1, "max_position_embeddings": 163840})";
constexpr char kDeepSeekV2Lite[] =
    R"({"model_type": "deepseek_v2", "vocab_size": 102400, "hidden_size": 2048,
        "intermediate_size": 10944, "moe_intermediate_size": 1408,
        "num_hidden_layers": 27, "num_attention_heads": 16,
        "num_key_value_heads": 16, "n_shared_experts": 2,
        "n_routed_experts": 64, "routed_scaling_factor": 1.0,
        "kv_lora_rank": 512, "q_lora_rank": null, "qk_rope_head_dim": 64,
        "v_head_dim": 128, "qk_nope_head_dim": 128, "topk_method": "greedy",
        "n_group": 1, "topk_group": 1, "num_experts_per_tok": 6,
        "moe_layer_freq": 1, "first_k_dense_replace": 1,
        "norm_topk_prob": false, "scoring_func": "softmax",
        "max_position_embeddings": 163840})";

TEST(ModelConfigTest, SizesOfPublishedDeepSeekModels) {
  const auto v3 = ParseModelConfig(kDeepSeekV3, "v3");
  ASSERT_TRUE(v3.ok()) << v3.status();
  // Transformers' count, which leaves out the 256 balancing biases of each of
  // 58 layers.
  EXPECT_EQ(v3->NumParameters(), 671026404352 + 58 * 256);
  EXPECT_EQ(v3->KvBytesPerToken(2), 70272);
  EXPECT_EQ(v3->num_nextn_predict_layers, 1);
  const auto lite = ParseModelConfig(kDeepSeekV2Lite, "lite");
  ASSERT_TRUE(lite.ok()) << lite.status();
  EXPECT_EQ(lite->NumParameters(), 15706484224);
  EXPECT_EQ(lite->KvBytesPerToken(2), 31104);
}

TEST(ModelConfigTest, RefusesRoutersThatAreNotKnown) {
  const auto error = [](absl::string_view from, absl::string_view to) {
    const std::string text = absl::StrReplaceAll(kDeepSeekV3, {{from, to}});
    EXPECT_NE(text, kDeepSeekV3);
    return std::string(ParseModelConfig(text, "c").status().message());
  };
  EXPECT_THAT(error("\"sigmoid\"", "\"softmax\""),
              HasSubstr("scoring_func \"softmax\""));
  EXPECT_THAT(error("noaux_tc", "greedy"), HasSubstr("known are sigmoid"));
  EXPECT_THAT(error("\"moe_layer_freq\": 1", "\"moe_layer_freq\": 2"),
              HasSubstr("moe_layer_freq must be 1"));
  EXPECT_THAT(error("\"n_group\": 8", "\"n_group\": 7"),
              HasSubstr("the groups must divide the experts"));
  EXPECT_THAT(error("\"topk_group\": 4", "\"topk_group\": 9"),
              HasSubstr("at most all groups"));
  EXPECT_THAT(
      error("\"num_experts_per_tok\": 8", "\"num_experts_per_tok\": 129"),
      HasSubstr("4 groups of 32 experts to choose from"));
  EXPECT_THAT(error("\"kv_lora_rank\": 512", "\"_x\": 512"),
              HasSubstr("kv_lora_rank must be an integer"));
  EXPECT_THAT(error("\"n_routed_experts\": 256",
                    "\"n_routed_experts\": 9223372036854775807"),
              HasSubstr("n_routed_experts must be an integer"));
}

TEST(ModelConfigTest, RefusesKeysThatAreNotKnown) {
  const auto error = [](absl::string_view key) {
    return ErrorWith("\"vocab_size\"", absl::StrCat(key, ", \"vocab_size\""));
  };
  EXPECT_THAT(error("\"logit_scale\": 2"),
              HasSubstr("config.json: the key \"logit_scale\" is not known"));
  for (const char* key : {"\"_name_or_path\": \"x\"", "\"unsloth_fixed\": true",
                          "\"logit_scale\": null", "\"use_mrope\": false"}) {
    EXPECT_EQ(error(key), "") << key;
  }
  EXPECT_THAT(error("\"use_mrope\": true"),
              HasSubstr("use_mrope must be false"));
  EXPECT_THAT(error("\"rope_interleave\": false"),
              HasSubstr("rope_interleave must be true"));
  EXPECT_THAT(
      ErrorWith("\"factor\": 4.0", "\"factor\": 4.0, \"mrope_section\": [1]"),
      HasSubstr("rope_scaling: the key \"mrope_section\""));
  EXPECT_THAT(error("\"quantization_config\": {\"quant_method\": \"gptq\"}"),
              HasSubstr("quant_method \"gptq\" is not known"));
}

// A value that is nested without end overflowed the stack where an error
// showed it.
TEST(ModelConfigTest, RefusesDeepNesting) {
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  EXPECT_THAT(ErrorWith("\"hidden_size\": 64", "\"hidden_size\": " + deep),
              HasSubstr("nested deeper than"));
}

}  // namespace
}  // namespace ponder
