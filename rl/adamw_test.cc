#include "rl/adamw.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

using at::Tensor;
using ::testing::HasSubstr;

Tensor Weight(const std::vector<float>& values, std::vector<int64_t> shape) {
  return at::tensor(values).reshape(shape).contiguous().set_requires_grad(true);
}

void SetGrad(const Tensor& weight, const std::vector<float>& values) {
  weight.mutable_grad() = at::tensor(values).reshape(weight.sizes());
}

std::vector<float> Flatten(const nlohmann::json& json) {
  std::vector<float> values;
  for (const auto& entry : json) {
    if (entry.is_array()) {
      for (const float value : Flatten(entry)) values.push_back(value);
    } else {
      values.push_back(entry.get<float>());
    }
  }
  return values;
}

// Wanted values: tests/parity/make_adamw_golden.py, float64, checked there with
// torch.optim.AdamW. It decays vectors too, so its vector is a matrix here.
TEST(AdamWTest, MatchesPython) {
  const auto text = ReadFile("tests/parity/golden/adamw.json");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto golden = nlohmann::json::parse(*text);
  int num_cases = 0;
  for (const auto& c : golden["adamw"]) {
    SCOPED_TRACE(c["name"].get<std::string>());
    OptimizerConfig config;
    config.set_beta1(c["betas"][0]);
    config.set_beta2(c["betas"][1]);
    config.set_epsilon(c["eps"]);
    config.set_weight_decay(c["weight_decay"]);
    config.set_max_grad_norm(
        c["max_grad_norm"].is_null() ? 0 : c["max_grad_norm"].get<double>());
    const TensorMap weights = {{"a", Weight(Flatten(c["params"][0]), {3, 2})},
                               {"b", Weight(Flatten(c["params"][1]), {1, 4})}};
    AdamW optimizer(config, weights);
    for (size_t t = 0; t < c["lr"].size(); ++t) {
      SetGrad(weights.at("a"), Flatten(c["grads"][t][0]));
      SetGrad(weights.at("b"), Flatten(c["grads"][t][1]));
      const double norm = optimizer.GradNorm();
      const double wanted_norm = c["grad_norm"][t];
      EXPECT_NEAR(norm, wanted_norm, 1e-6 * wanted_norm);
      ASSERT_TRUE(optimizer.Step(c["lr"][t], norm));
      const auto& after = c["params_after"][t];
      EXPECT_TRUE(at::allclose(weights.at("a").flatten(),
                               at::tensor(Flatten(after[0])), 1e-6, 1e-7));
      EXPECT_TRUE(at::allclose(weights.at("b").flatten(),
                               at::tensor(Flatten(after[1])), 1e-6, 1e-7));
    }
    ++num_cases;
  }
  EXPECT_EQ(num_cases, 4);
}

TEST(AdamWTest, FirstStepIsTheLearningRateTimesTheSign) {
  const TensorMap weights = {{"w", Weight({1, 1}, {2})}};
  AdamW optimizer(OptimizerConfig(), weights);
  SetGrad(weights.at("w"), {0.03f, -0.5f});
  ASSERT_TRUE(optimizer.Step(0.1, optimizer.GradNorm()));
  EXPECT_NEAR(weights.at("w")[0].item<float>(), 0.9, 1e-6);
  EXPECT_NEAR(weights.at("w")[1].item<float>(), 1.1, 1e-6);
  EXPECT_EQ(optimizer.step(), 1);
  EXPECT_EQ(weights.at("w").grad().abs().sum().item<float>(), 0);
}

TEST(AdamWTest, MatricesAreDecayedAndVectorsAreNot) {
  OptimizerConfig config;
  config.set_weight_decay(0.1);
  const TensorMap weights = {{"matrix", Weight({2, 2}, {1, 2})},
                             {"vector", Weight({2, 2}, {2})}};
  AdamW optimizer(config, weights);
  SetGrad(weights.at("matrix"), {0, 0});
  SetGrad(weights.at("vector"), {0, 0});
  ASSERT_TRUE(optimizer.Step(0.5, 0));
  EXPECT_FLOAT_EQ(weights.at("matrix")[0][0].item<float>(), 2 * 0.95f);
  EXPECT_FLOAT_EQ(weights.at("vector")[0].item<float>(), 2);
}

TEST(AdamWTest, ClippingIsOverAllWeightsTogether) {
  // Norm 5 over both, clipped to 1: the moments tell the scaled gradient.
  OptimizerConfig config;
  config.set_max_grad_norm(1);
  const TensorMap weights = {{"a", Weight({0}, {1})}, {"b", Weight({0}, {1})}};
  AdamW optimizer(config, weights);
  SetGrad(weights.at("a"), {3});
  SetGrad(weights.at("b"), {-4});
  EXPECT_NEAR(optimizer.GradNorm(), 5, 1e-6);
  ASSERT_TRUE(optimizer.Step(1e-3, optimizer.GradNorm()));
  const TensorMap state = optimizer.State();
  EXPECT_NEAR(state.at("m.a").item<float>(), 0.1 * 0.6, 1e-6);
  EXPECT_NEAR(state.at("m.b").item<float>(), 0.1 * -0.8, 1e-6);
}

TEST(AdamWTest, AGradientThatIsNotFiniteChangesNothing) {
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    const TensorMap weights = {{"w", Weight({1, 2}, {2})}};
    AdamW optimizer(OptimizerConfig(), weights);
    SetGrad(weights.at("w"), {0.5f, bad});
    EXPECT_FALSE(optimizer.Step(0.1, optimizer.GradNorm()));
    EXPECT_TRUE(at::equal(weights.at("w").detach(), at::tensor({1.0f, 2.0f})));
    EXPECT_EQ(optimizer.step(), 0);
    EXPECT_EQ(optimizer.State().at("m.w").abs().sum().item<float>(), 0);
    EXPECT_EQ(weights.at("w").grad().abs().sum().item<float>(), 0);
  }
}

TEST(AdamWTest, GoesOnFromASavedState) {
  const std::vector<float> grads = {0.3f, -0.2f, 0.7f, 0.1f};
  const auto step = [&](AdamW& optimizer, const Tensor& weight, int i) {
    SetGrad(weight, {grads[i], -grads[i] / 3});
    ASSERT_TRUE(optimizer.Step(0.01, optimizer.GradNorm()));
  };
  const TensorMap straight = {{"w", Weight({1, 2}, {1, 2})}};
  AdamW whole(OptimizerConfig(), straight);
  for (int i = 0; i < 4; ++i) step(whole, straight.at("w"), i);

  const TensorMap broken = {{"w", Weight({1, 2}, {1, 2})}};
  AdamW first(OptimizerConfig(), broken);
  for (int i = 0; i < 2; ++i) step(first, broken.at("w"), i);
  TensorMap saved;
  for (const auto& [name, tensor] : first.State()) saved[name] = tensor.clone();
  AdamW second(OptimizerConfig(), broken);
  ASSERT_TRUE(second.SetState(saved, first.step()).ok());
  for (int i = 2; i < 4; ++i) step(second, broken.at("w"), i);

  EXPECT_TRUE(at::equal(straight.at("w"), broken.at("w")));
  EXPECT_EQ(second.step(), 4);
}

TEST(AdamWTest, AStateThatDoesNotFitIsNamed) {
  const TensorMap weights = {{"w", Weight({1, 2}, {2})}};
  AdamW optimizer(OptimizerConfig(), weights);
  TensorMap state = optimizer.State();
  state.erase("v.w");
  absl::Status status = optimizer.SetState(state, 1);
  EXPECT_THAT(std::string(status.message()), HasSubstr("v.w is missing"));
  state["v.w"] = at::zeros({3});
  status = optimizer.SetState(state, 1);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("v.w has another shape"));
}

TEST(LearningRateTest, WarmsUpLinearlyAndStaysConstant) {
  OptimizerConfig config;
  config.set_learning_rate(1e-3);
  config.set_warmup_steps(4);
  EXPECT_DOUBLE_EQ(LearningRate(config, 1, 100), 0.25e-3);
  EXPECT_DOUBLE_EQ(LearningRate(config, 4, 100), 1e-3);
  EXPECT_DOUBLE_EQ(LearningRate(config, 5, 100), 1e-3);
  EXPECT_DOUBLE_EQ(LearningRate(config, 100, 100), 1e-3);
  config.set_warmup_steps(0);
  EXPECT_DOUBLE_EQ(LearningRate(config, 1, 100), 1e-3);
}

TEST(LearningRateTest, CosineEndsAtItsShare) {
  OptimizerConfig config;
  config.set_learning_rate(2);
  config.set_schedule(OptimizerConfig::COSINE);
  config.set_min_learning_rate_ratio(0.1);
  config.set_warmup_steps(10);
  EXPECT_DOUBLE_EQ(LearningRate(config, 5, 110), 1);
  EXPECT_DOUBLE_EQ(LearningRate(config, 10, 110), 2);
  EXPECT_NEAR(LearningRate(config, 60, 110), 2 * 0.55, 1e-12);  // Half way.
  EXPECT_NEAR(LearningRate(config, 110, 110), 0.2, 1e-12);
  EXPECT_NEAR(LearningRate(config, 500, 110), 0.2, 1e-12);  // Stays there.
  double last = 2;
  for (int step = 11; step <= 110; ++step) {
    const double rate = LearningRate(config, step, 110);
    EXPECT_LT(rate, last);
    last = rate;
  }
}

TEST(LearningRateTest, AllWarmUpIsFine) {
  OptimizerConfig config;
  config.set_learning_rate(1);
  config.set_schedule(OptimizerConfig::COSINE);
  config.set_warmup_steps(10);
  EXPECT_DOUBLE_EQ(LearningRate(config, 10, 10), 1);
  EXPECT_DOUBLE_EQ(LearningRate(config, 5, 5), 0.5);
}

TEST(LearningRateTest, BySharesOfTime) {
  OptimizerConfig config;
  config.set_learning_rate(2);
  config.set_schedule(OptimizerConfig::COSINE);
  config.set_min_learning_rate_ratio(0);
  EXPECT_DOUBLE_EQ(LearningRateAt(config, 0.05, 0.1), 1);
  EXPECT_NEAR(LearningRateAt(config, 0.1, 0.1), 2, 1e-12);
  EXPECT_NEAR(LearningRateAt(config, 0.55, 0.1), 1, 1e-12);
  EXPECT_NEAR(LearningRateAt(config, 1, 0.1), 0, 1e-12);
  EXPECT_NEAR(LearningRateAt(config, 1.5, 0.1), 0, 1e-12);
  EXPECT_NEAR(LearningRateAt(config, 0, 0), 2, 1e-12);
}

}  // namespace
}  // namespace ponder
