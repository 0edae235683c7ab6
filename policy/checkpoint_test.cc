#include "policy/checkpoint.h"

#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "ATen/ATen.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
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

// Writes tensors of several types, as WriteCheckpoint() does not.
void WriteTensors(const std::string& path, const TensorMap& tensors) {
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors) {
    TensorInfo info;
    info.name = name;
    info.dtype = tensor.scalar_type() == at::kFloat8_e4m3fn
                     ? "F8_E4M3"
                     : SafetensorsDtype(tensor.scalar_type());
    info.shape = tensor.sizes().vec();
    info.bytes = static_cast<const char*>(tensor.const_data_ptr());
    info.num_bytes = static_cast<int64_t>(tensor.nbytes());
    infos.push_back(std::move(info));
  }
  ASSERT_TRUE(WriteSafetensors(path, std::move(infos)).ok());
}

TEST_F(CheckpointTest, ReadsWeightsOf8BitsInBlocks) {
  ModelConfig c = policy_.config;
  c.hidden_size = 160;  // Blocks are cut on both sides.
  c.intermediate_size = 300;
  policy_ = RandomCheckpoint(c, 0.1, 1, /*seed=*/1, "{{ 'x' }}");
  auto config = nlohmann::ordered_json::parse(policy_.files["config.json"]);
  config["quantization_config"] = {{"quant_method", "fp8"},
                                   {"weight_block_size", {128, 128}}};
  policy_.files["config.json"] = config.dump();
  ASSERT_TRUE(
      WriteCheckpoint(folder_, policy_.files, policy_.weights, at::kFloat)
          .ok());

  const std::string name = "model.layers.0.mlp.up_proj.weight";
  TensorMap tensors = policy_.weights;
  const at::Tensor bytes = at::linspace(-400, 400, 300 * 160)
                               .view({300, 160})
                               .to(at::kFloat8_e4m3fn);
  const at::Tensor scale = at::linspace(0.25, 1.5, 6).view({3, 2}).contiguous();
  tensors[name] = bytes;
  tensors[name + "_scale_inv"] = scale;
  WriteTensors(folder_ + "/model.safetensors", tensors);
  ASSERT_TRUE(WriteFileAtomically(folder_ + "/config.json",
                                  policy_.files["config.json"])
                  .ok());

  const auto loaded = LoadCheckpoint(folder_, at::kFloat);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const at::Tensor& got = loaded->weights.at(name);
  const at::Tensor plain = bytes.to(at::kFloat);
  for (const auto& [row, column] :
       {std::pair{0, 0}, {127, 127}, {128, 127}, {127, 128}, {299, 159}}) {
    EXPECT_EQ(
        got[row][column].item<float>(),
        (plain[row][column] * scale[row / 128][column / 128]).item<float>())
        << row << " " << column;
  }
  // What Ponder writes is not quantized, and says so.
  ASSERT_TRUE(
      WriteCheckpoint(folder_, loaded->files, loaded->weights, at::kBFloat16)
          .ok());
  EXPECT_FALSE(WrittenConfig().contains("quantization_config"));

  tensors.erase(name + "_scale_inv");
  WriteTensors(folder_ + "/model.safetensors", tensors);
  EXPECT_THAT(
      std::string(LoadCheckpoint(folder_, at::kFloat).status().message()),
      HasSubstr("no " + name + "_scale_inv beside it"));
  tensors[name + "_scale_inv"] = at::ones({2, 3});
  WriteTensors(folder_ + "/model.safetensors", tensors);
  EXPECT_THAT(
      std::string(LoadCheckpoint(folder_, at::kFloat).status().message()),
      HasSubstr("is F32 [2, 3]; wanted"));
}

TEST_F(CheckpointTest, ReadsFusedExperts) {
  const auto plain =
      LoadCheckpoint("tests/parity/golden/models/qwen3moe_all", at::kFloat);
  ASSERT_TRUE(plain.ok()) << plain.status();
  TensorMap tensors;
  for (const auto& [name, w] : plain->weights) {
    if (!absl::StrContains(name, ".experts.")) tensors[name] = w;
  }
  for (int64_t layer = 0; layer < plain->config.num_layers; ++layer) {
    const std::string p = LayerPrefix(layer) + "mlp.experts.";
    std::vector<at::Tensor> gate_up, down;
    for (int64_t e = 0; e < plain->config.moe.num_experts; ++e) {
      const NamedTensors expert(plain->weights, absl::StrCat(p, e, "."));
      gate_up.push_back(
          at::cat({expert["gate_proj.weight"], expert["up_proj.weight"]}));
      down.push_back(expert["down_proj.weight"]);
    }
    tensors[p + "gate_up_proj"] = at::stack(gate_up);
    tensors[p + "down_proj"] = at::stack(down);
  }
  ASSERT_TRUE(WriteFileAtomically(folder_ + "/config.json",
                                  plain->files.at("config.json"))
                  .ok());
  WriteTensors(folder_ + "/model.safetensors", tensors);
  const auto loaded = LoadCheckpoint(folder_, at::kFloat);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(WeightsChecksum(loaded->weights), WeightsChecksum(plain->weights));
}

// And the bias that balances experts stays float32 in a model of another type.
TEST_F(CheckpointTest, KeepsMultiTokenPredictionAndTheBiasOfExperts) {
  auto policy =
      LoadCheckpoint("tests/parity/golden/models/deepseek3", at::kFloat);
  ASSERT_TRUE(policy.ok()) << policy.status();
  auto config = nlohmann::ordered_json::parse(policy->files["config.json"]);
  config["num_nextn_predict_layers"] = 1;
  policy->files["config.json"] = config.dump();
  const TensorMap before = policy->weights;
  for (const auto& [name, w] : before) {
    absl::string_view rest = name;
    if (!absl::ConsumePrefix(&rest, LayerPrefix(2))) continue;
    policy->weights[absl::StrCat(LayerPrefix(3), rest)] = w + 1;
  }
  for (const char* norm : {"enorm", "hnorm", "shared_head.norm"}) {
    policy->weights[absl::StrCat(LayerPrefix(3), norm, ".weight")] =
        at::rand({64});
  }
  policy->weights[LayerPrefix(3) + "eh_proj.weight"] = at::rand({64, 128});
  ASSERT_TRUE(
      WriteCheckpoint(folder_, policy->files, policy->weights, at::kBFloat16)
          .ok());
  const auto loaded = LoadCheckpoint(folder_, at::kFloat);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->weights.size(), policy->weights.size());
  for (const auto& [name, w] : policy->weights) {
    const bool exact = absl::EndsWith(name, "e_score_correction_bias");
    EXPECT_TRUE(at::equal(loaded->weights.at(name),
                          exact ? w : w.to(at::kBFloat16).to(at::kFloat)))
        << name;
    EXPECT_EQ(IsTrainedByGradient(loaded->config, name),
              !exact && !absl::StartsWith(name, LayerPrefix(3)))
        << name;
  }
  EXPECT_TRUE(
      Decoder::Create(loaded->config, loaded->weights, at::kFloat, 64).ok());
}

TEST_F(CheckpointTest, WithoutWeightsItIsNotFound) {
  ASSERT_TRUE(
      WriteCheckpoint(folder_, policy_.files, policy_.weights, at::kFloat)
          .ok());
  fs::remove(folder_ + "/model.safetensors");
  EXPECT_EQ(LoadCheckpoint(folder_, at::kFloat).status().code(),
            absl::StatusCode::kNotFound);
}

// Weights are views of the file where they can be; a learner may write to them.
TEST_F(CheckpointTest, WritingToAWeightLeavesItsFileAlone) {
  const std::string folder = "tests/parity/golden/models/qwen2";
  const std::string name = "model.norm.weight";
  const auto first = LoadCheckpoint(folder, at::kFloat);
  ASSERT_TRUE(first.ok()) << first.status();
  const at::Tensor before = first->weights.at(name).clone();
  first->weights.at(name).fill_(7);
  const auto second = LoadCheckpoint(folder, at::kFloat);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(at::equal(second->weights.at(name), before));
}

TEST_F(CheckpointTest, WeightsOutliveTheCheckpoint) {
  at::Tensor weight;
  {
    auto checkpoint =
        LoadCheckpoint("tests/parity/golden/models/qwen2", at::kFloat);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    weight = checkpoint->weights.at("model.embed_tokens.weight");
  }
  EXPECT_TRUE(weight.isfinite().all().item<bool>());
}

TEST_F(CheckpointTest, AChangeIsAppliedToEachWeight) {
  std::vector<std::string> names;
  const auto checkpoint =
      LoadCheckpoint("tests/parity/golden/models/qwen3moe", at::kFloat,
                     [&](const std::string& name, const at::Tensor& weight) {
                       names.push_back(name);
                       return weight + 1;
                     });
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(names.size(), checkpoint->weights.size());
  const auto plain =
      LoadCheckpoint("tests/parity/golden/models/qwen3moe", at::kFloat);
  for (const auto& [name, weight] : plain->weights) {
    EXPECT_TRUE(at::equal(weight + 1, checkpoint->weights.at(name))) << name;
  }
}

}  // namespace
}  // namespace ponder
