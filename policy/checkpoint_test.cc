#include "policy/checkpoint.h"

#include <unistd.h>

#include <filesystem>
#include <string>

#include "ATen/ATen.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "policy/files/safetensors.h"
#include "policy/random_checkpoint.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest()
      : folder_(absl::StrCat(
            ::testing::TempDir(), "checkpoint_test-", getpid(), "-",
            ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
    fs::create_directory(folder_);
    ModelConfig c;
    c.model_type = "qwen3";
    c.vocab_size = 300;
    c.hidden_size = 16;
    c.intermediate_size = 24;
    c.num_layers = 1;
    c.num_heads = 2;
    c.num_kv_heads = 1;
    c.head_dim = 8;
    c.max_position_embeddings = 64;
    c.qk_norm = true;
    policy_ = RandomCheckpoint(c, 0.1, 1, /*seed=*/1, "{{ 'x' }}");
  }
  ~CheckpointTest() override { fs::remove_all(folder_); }

  nlohmann::json WrittenConfig() const {
    return nlohmann::json::parse(*ReadFile(folder_ + "/config.json"));
  }

  const std::string folder_;
  Checkpoint policy_;
};

TEST_F(CheckpointTest, ComesBackAsItWas) {
  ASSERT_TRUE(
      WriteCheckpoint(folder_, policy_.files, policy_.weights, at::kFloat)
          .ok());
  const auto loaded = LoadCheckpoint(folder_, at::kFloat);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->files, policy_.files);
  EXPECT_EQ(loaded->config.num_kv_heads, 1);
  EXPECT_EQ(WeightsChecksum(loaded->weights), WeightsChecksum(policy_.weights));
}

TEST_F(CheckpointTest, TheConfigurationNamesTheTypeThatWasWritten) {
  for (const auto& [type, name] :
       {std::pair(at::kBFloat16, "bfloat16"), std::pair(at::kHalf, "float16"),
        std::pair(at::kFloat, "float32")}) {
    ASSERT_TRUE(
        WriteCheckpoint(folder_, policy_.files, policy_.weights, type).ok());
    EXPECT_EQ(WrittenConfig()["torch_dtype"], name);
    EXPECT_FALSE(WrittenConfig().contains("dtype"));
    const auto file = SafetensorsFolder::Open(folder_);
    ASSERT_TRUE(file.ok()) << file.status();
    for (const TensorInfo& info : (*file)->tensors()) {
      EXPECT_EQ(info.dtype, SafetensorsDtype(type));
    }
  }
}

TEST_F(CheckpointTest, TheNewerNameOfTheTypeIsKept) {
  auto config = nlohmann::ordered_json::parse(policy_.files["config.json"]);
  config.erase("torch_dtype");
  config["dtype"] = "float16";
  policy_.files["config.json"] = config.dump();
  ASSERT_TRUE(
      WriteCheckpoint(folder_, policy_.files, policy_.weights, at::kFloat)
          .ok());
  EXPECT_EQ(WrittenConfig()["dtype"], "float32");
  EXPECT_FALSE(WrittenConfig().contains("torch_dtype"));
}

TEST_F(CheckpointTest, WhatIsNoPolicySaysWhatOneIs) {
  const absl::Status status = LoadCheckpoint(folder_, at::kFloat).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder_));
  EXPECT_THAT(std::string(status.message()), HasSubstr("config.json"));
}

TEST_F(CheckpointTest, WithoutWeightsItIsNotFound) {
  ASSERT_TRUE(
      WriteCheckpoint(folder_, policy_.files, policy_.weights, at::kFloat)
          .ok());
  fs::remove(folder_ + "/model.safetensors");
  EXPECT_EQ(LoadCheckpoint(folder_, at::kFloat).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace ponder
