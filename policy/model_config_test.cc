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
  EXPECT_THAT(ErrorWith("\"num_hidden_layers\": 2", "\"x\": 2"),
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

// A value that is nested without end overflowed the stack where an error
// showed it.
TEST(ModelConfigTest, RefusesDeepNesting) {
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  EXPECT_THAT(ErrorWith("\"hidden_size\": 64", "\"hidden_size\": " + deep),
              HasSubstr("nested deeper than"));
}

}  // namespace
}  // namespace ponder
