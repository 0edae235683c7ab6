// A GPU against transformers' golden files and against the CPU. Skipped where
// there is none; --device=cpu runs the same tests there instead, and
// --golden=DIR names the folder of golden models.

#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ATen/ATen.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "policy/checkpoint.h"
#include "policy/decoder.h"
#include "policy/device.h"
#include "policy/files/safetensors.h"
#include "policy/ops.h"
#include "policy/text/byte_tokenizer.h"
#include "rl/adamw.h"
#include "rollout/engine.h"

namespace ponder {
namespace {

using at::Tensor;

std::string device_name = "cuda";
std::string golden = "tests/parity/golden/models";

// float32 on tiny models; the gate of parity.
constexpr double kTolerance = 1e-4;

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const absl::StatusOr<at::Device> opened = OpenDevice(device_name);
    if (!opened.ok()) GTEST_SKIP() << opened.status().message();
    device_ = *opened;
  }

  at::Device device_ = at::kCPU;
};

class GpuModelTest : public GpuTest,
                     public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped()) return;
    const std::string folder = absl::StrCat(golden, "/", GetParam());
    auto checkpoint = LoadCheckpoint(folder, at::kFloat);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    checkpoint_ = *std::move(checkpoint);
    auto reference = SafetensorsFile::Open(folder + "/reference.safetensors");
    ASSERT_TRUE(reference.ok()) << reference.status();
    reference_ = *std::move(reference);
    ids_ = Read("input_ids", at::kLong).view({-1});
  }

  Tensor Read(const std::string& name, at::ScalarType type) const {
    const TensorInfo* info = reference_->Find(name);
    EXPECT_NE(info, nullptr) << name;
    if (info == nullptr) return at::zeros({1}, type);
    Tensor t = at::empty(info->shape, type);
    std::memcpy(t.mutable_data_ptr(), info->bytes, info->num_bytes);
    return t;
  }

  std::shared_ptr<const Decoder> DecoderOn(at::Device device,
                                           bool gradients = false) const {
    TensorMap weights;
    for (const auto& [name, weight] : checkpoint_.weights) {
      weights[name] = weight.to(device, /*non_blocking=*/false, /*copy=*/true);
      weights[name].set_requires_grad(
          gradients && IsTrainedByGradient(checkpoint_.config, name));
    }
    auto decoder =
        Decoder::Create(checkpoint_.config, std::move(weights), at::kFloat,
                        checkpoint_.config.max_position_embeddings);
    EXPECT_TRUE(decoder.ok()) << decoder.status();
    return *decoder;
  }

  Checkpoint checkpoint_;
  std::unique_ptr<SafetensorsFile> reference_;
  Tensor ids_;
};

TEST_P(GpuModelTest, LogitsMatchTransformers) {
  const auto decoder = DecoderOn(device_);
  const Tensor want = Read("logits", at::kFloat).view({ids_.size(0), -1});
  const Tensor got =
      decoder
          ->Logits(decoder->PackedHidden(ids_.to(device_), {0, ids_.size(0)},
                                         /*checkpoint=*/false))
          .to(at::kCPU);
  EXPECT_LE((got - want).abs().max().item<double>(), kTolerance);
}

TEST_P(GpuModelTest, GradientsMatchTransformers) {
  const auto decoder = DecoderOn(device_, /*gradients=*/true);
  const Tensor ids = ids_.to(device_);
  const Tensor hidden =
      decoder->PackedHidden(ids, {0, ids.size(0)}, /*checkpoint=*/true);
  const Tensor logprobs =
      ChunkedTokenLogprobs(hidden.slice(0, 0, -1), decoder->output_weight(),
                           ids.slice(0, 1), 1.0, 33, false)
          .logprobs;
  torch::autograd::backward({-logprobs.mean()}, {});
  for (const auto& [name, w] : decoder->weights()) {
    if (!w.requires_grad()) continue;
    // An expert that no token went to has none.
    const Tensor grad =
        (w.grad().defined() ? w.grad() : at::zeros_like(w)).to(at::kCPU);
    const double norm = Read("grad_norm/" + name, at::kFloat).item<double>();
    const double tolerance = kTolerance * norm + 1e-6;
    EXPECT_NEAR(grad.norm().item<double>(), norm, tolerance) << name;
    const Tensor probe = at::arange(grad.numel(), at::kDouble).cos();
    EXPECT_NEAR((grad.to(at::kDouble).flatten() * probe).sum().item<double>(),
                Read("grad_probe/" + name, at::kFloat).item<double>(),
                tolerance)
        << name;
  }
}

// Samples of mixed lengths from one cache: the GPU's log-probabilities are
// those of its learner's pass, and its greedy tokens are the CPU's.
TEST_P(GpuModelTest, EngineSamplesWhatTheLearnerScores) {
  const auto tokenizer = *Tokenizer::FromJson(ByteTokenizerJson(320), "test");
  const auto generate = [&](const std::shared_ptr<const Decoder>& decoder) {
    Engine engine(Engine::Options(), tokenizer.get());
    engine.SetPolicy(decoder);
    for (const int64_t length : {3, 17, 40}) {
      GenerationRequest request;
      request.group_id = absl::StrCat(length);
      for (int64_t i = 0; i < length; ++i) {
        request.prompt_ids.push_back(
            static_cast<int32_t>(ids_[i].item<int64_t>()));
      }
      SamplingParams greedy, sampled;
      greedy.temperature = 0;
      sampled.key = static_cast<uint64_t>(length);
      request.samples = {greedy, sampled};
      request.max_response_tokens = 20;
      EXPECT_TRUE(engine.Add(std::move(request)).ok());
    }
    std::map<std::pair<std::string, int32_t>, GeneratedSample> samples;
    while (!engine.idle()) {
      engine.Step([&](GeneratedSample sample) {
        samples[{sample.group_id, sample.index}] = std::move(sample);
      });
    }
    return samples;
  };
  const auto decoder = DecoderOn(device_);
  const auto on_device = generate(decoder);
  const auto on_cpu = generate(DecoderOn(at::kCPU));
  ASSERT_EQ(on_device.size(), 6);
  for (const auto& [key, sample] : on_device) {
    const int64_t prompt = std::stoll(key.first);
    std::vector<int64_t> all;
    for (int64_t i = 0; i < prompt; ++i) {
      all.push_back(ids_[i].item<int64_t>());
    }
    all.insert(all.end(), sample.response_ids.begin(),
               sample.response_ids.end());
    const int64_t n = static_cast<int64_t>(all.size());
    const Tensor ids = at::tensor(all, at::kLong).to(device_);
    const at::NoGradGuard no_grad;
    const Tensor hidden = decoder->PackedHidden(ids, {0, n}, false);
    const Tensor want =
        ChunkedTokenLogprobs(hidden.slice(0, prompt - 1, n - 1),
                             decoder->output_weight(), ids.slice(0, prompt),
                             1.0, 256, false)
            .logprobs.to(at::kCPU);
    const Tensor got = at::tensor(sample.logprobs);
    EXPECT_LE((got - want).abs().max().item<double>(), kTolerance)
        << key.first << " " << key.second;
    if (key.second == 0) {
      EXPECT_EQ(sample.response_ids, on_cpu.at(key).response_ids) << key.first;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Golden, GpuModelTest,
    ::testing::Values("llama", "llama_linear", "llama31", "qwen2", "qwen2_yarn",
                      "qwen3", "mistral", "qwen3moe", "qwen3moe_all",
                      "deepseek2lite", "deepseek2", "deepseek3",
                      "deepseek3_plain"),
    [](const auto& param_info) { return std::string(param_info.param); });

// Larger than the golden models: many keys, wide rows, both element types.
TEST_F(GpuTest, OperationsMatchTheCpu) {
  const std::vector<int64_t> cu_seqlens = {0, 1, 300, 512, 1000};
  for (const auto& [type, tolerance] :
       {std::pair{at::kFloat, 2e-5}, {at::kBFloat16, 5e-2}}) {
    const auto compare = [&](const char* what, auto f,
                             std::vector<Tensor> inputs) {
      std::vector<Tensor> results[2];
      for (int side = 0; side < 2; ++side) {
        std::vector<Tensor> leaves;
        for (const Tensor& x : inputs) {
          leaves.push_back(x.to(side == 0 ? at::Device(at::kCPU) : device_,
                                type, false, true)
                               .set_requires_grad(true));
        }
        const Tensor y = f(leaves);
        torch::autograd::backward({y.to(at::kFloat).square().sum()}, {});
        results[side].push_back(y);
        for (const Tensor& x : leaves) results[side].push_back(x.grad());
      }
      for (size_t i = 0; i < results[0].size(); ++i) {
        const Tensor want = results[0][i].to(at::kDouble);
        const double scale = std::max(1.0, want.abs().max().item<double>());
        EXPECT_LE((results[1][i].to(at::kCPU, at::kDouble) - want)
                          .abs()
                          .max()
                          .item<double>() /
                      scale,
                  tolerance)
            << what << " in " << type << ", number " << i;
      }
    };
    at::manual_seed(1);
    compare(
        "RMSNorm",
        [](const std::vector<Tensor>& v) { return RmsNorm(v[0], v[1], 1e-6); },
        {at::randn({700, 896}), at::randn({896})});
    compare("SwiGLU",
            [](const std::vector<Tensor>& v) { return SwiGlu(v[0], v[1]); },
            {at::randn({300, 1000}) * 3, at::randn({300, 1000})});
    compare(
        "Linear",
        [](const std::vector<Tensor>& v) { return Linear(v[0], v[1], v[2]); },
        {at::randn({70, 200}) / 14, at::randn({90, 200}), at::randn({90})});
    for (const auto& [key_dim, value_dim] :
         {std::pair{64, 64}, {128, 128}, {192, 128}}) {
      compare("attention",
              [&](const std::vector<Tensor>& v) {
                return PackedAttention(v[0], v[1], v[2], cu_seqlens,
                                       1 / std::sqrt(64.0));
              },
              {at::randn({1000, 6, key_dim}), at::randn({1000, 2, key_dim}),
               at::randn({1000, 2, value_dim})});
    }
    const Tensor ids = at::randint(0, 5000, {64}, at::kLong);
    compare("log-probabilities",
            [&](const std::vector<Tensor>& v) {
              return ChunkedTokenLogprobs(v[0], v[1], ids.to(v[0].device()),
                                          0.8, 30, false)
                  .logprobs;
            },
            {at::randn({64, 96}) / 8, at::randn({5000, 96})});
  }
}

TEST_F(GpuTest, AdamWMatchesTheCpu) {
  std::vector<Tensor> results;
  for (const at::Device device : {at::Device(at::kCPU), device_}) {
    at::manual_seed(2);
    TensorMap weights;
    weights["w"] = at::randn({30, 40}).to(device).set_requires_grad(true);
    OptimizerConfig config;
    config.set_weight_decay(0.1);
    AdamW optimizer(config, weights);
    for (int step = 0; step < 3; ++step) {
      weights["w"].mutable_grad().copy_(at::randn({30, 40}));
      EXPECT_TRUE(optimizer.Step(1e-2, optimizer.GradNorm()));
    }
    results.push_back(weights["w"].detach().to(at::kCPU));
  }
  EXPECT_LE((results[0] - results[1]).abs().max().item<double>(), 1e-6);
}

}  // namespace
}  // namespace ponder

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    absl::string_view flag = argv[i];
    if (absl::ConsumePrefix(&flag, "--device=")) {
      ponder::device_name = std::string(flag);
    } else if (absl::ConsumePrefix(&flag, "--golden=")) {
      ponder::golden = std::string(flag);
    } else {
      std::fprintf(stderr, "unknown argument %s\n", argv[i]);
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}
