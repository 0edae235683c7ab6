#include "rl/policy_loss.h"

#include <cmath>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "torch/csrc/autograd/autograd.h"

namespace ponder {
namespace {

using at::Tensor;

Tensor Doubles(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble);
}

// Gradient of the loss by the log-probabilities.
Tensor GradOf(const PolicyLoss& loss, const Tensor& logprobs) {
  torch::autograd::backward({loss.loss}, {});
  return logprobs.grad();
}

// A step of 40 tokens with ratios on both sides of every clip.
struct Batch {
  Tensor logprobs, behavior, advantages, reference;
};
Batch MakeBatch() {
  std::vector<double> l, b, a, r;
  for (int i = 0; i < 40; ++i) {
    l.push_back(-1.5 + std::sin(i));
    b.push_back(-1.5 + std::sin(i) + 1.4 * std::cos(3 * i));
    a.push_back(std::sin(5 * i + 1));
    r.push_back(-1.5 + std::sin(i + 0.3));
  }
  return {Doubles(l), Doubles(b), Doubles(a), Doubles(r)};
}

// Wanted values: tests/parity/make_rl_golden.py, NumPy in float64, gradients
// checked there with finite differences.
TEST(ClippedPolicyLossTest, MatchesPython) {
  const auto text = ReadFile("tests/parity/golden/rl.json");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto golden = nlohmann::json::parse(*text);
  int num_cases = 0;
  for (const auto& c : golden["policy_loss"]) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const std::vector<int> mask = c["mask"];
    const auto kept = [&](const char* name) {
      const std::vector<double> all = c[name];
      std::vector<double> values;
      for (size_t i = 0; i < all.size(); ++i) {
        if (mask[i] != 0) values.push_back(all[i]);
      }
      return Doubles(values);
    };
    PolicyLossOptions options;
    options.clip_low = c["clip_low"];
    options.clip_high = c["clip_high"];
    options.dual_clip = c["dual_clip"];
    options.kl_coef = c["kl_coefficient"];
    const Tensor logprobs = kept("logprobs").set_requires_grad(true);
    const Tensor reference =
        options.kl_coef != 0 ? kept("reference_logprobs") : Tensor();
    const PolicyLoss got =
        ClippedPolicyLoss(logprobs, kept("old_logprobs"), kept("advantages"),
                          reference, c["denominator"].get<int64_t>(), options);

    EXPECT_NEAR(got.loss.item<double>(), c["loss"].get<double>(), 1e-12);
    EXPECT_TRUE(
        at::allclose(GradOf(got, logprobs), kept("grad"), 1e-10, 1e-14));
    const double n = static_cast<double>(logprobs.numel());
    EXPECT_NEAR(got.clipped / n, c["clip_fraction"].get<double>(), 1e-12);
    EXPECT_NEAR(got.dual_clipped / n, c["dual_clip_fraction"].get<double>(),
                1e-12);
    EXPECT_NEAR(got.log_ratio / n, c["approx_kl"].get<double>(), 1e-12);
    if (options.kl_coef != 0) {
      EXPECT_NEAR(got.kl / n, c["reference_kl_k3"].get<double>(), 1e-12);
    }
    ++num_cases;
  }
  EXPECT_EQ(num_cases, 5);
}

TEST(ClippedPolicyLossTest, OnPolicyGradientIsReinforce) {
  const Tensor behavior = Doubles({-1, -2, -0.5});
  const Tensor logprobs = behavior.clone().set_requires_grad(true);
  const PolicyLoss loss = ClippedPolicyLoss(
      logprobs, behavior, Doubles({0.5, -0.5, 2}), {}, /*token_count=*/4, {});
  EXPECT_DOUBLE_EQ(loss.loss.item<double>(), -(0.5 - 0.5 + 2) / 4);
  // d loss / d logprob = -A / token_count.
  EXPECT_TRUE(
      at::equal(GradOf(loss, logprobs), Doubles({-0.125, 0.125, -0.5})));
  EXPECT_EQ(loss.clipped, 0);
  EXPECT_EQ(loss.log_ratio, 0);
}

TEST(ClippedPolicyLossTest, ClosedFormOfEveryBranch) {
  // Ratios 2, 2, 0.5, 0.5, 4; advantages +, -, +, -, -.
  const Tensor logprobs = Doubles({std::log(2.0), std::log(2.0), std::log(0.5),
                                   std::log(0.5), std::log(4.0)})
                              .set_requires_grad(true);
  const PolicyLoss loss = ClippedPolicyLoss(
      logprobs, at::zeros(5, at::kDouble), Doubles({1, -1, 1, -1, -1}), {},
      /*token_count=*/1, {.clip_low = 0.2, .clip_high = 0.28, .dual_clip = 3});
  // Clipped above, free, free, clipped below, capped by the dual clip.
  EXPECT_NEAR(loss.loss.item<double>(), -1.28 + 2 - 0.5 + 0.8 + 3, 1e-12);
  EXPECT_TRUE(at::allclose(GradOf(loss, logprobs), Doubles({0, 2, -0.5, 0, 0}),
                           1e-12, 1e-14));
  EXPECT_EQ(loss.clipped, 2);
  EXPECT_EQ(loss.dual_clipped, 1);
}

TEST(ClippedPolicyLossTest, DualClipCanBeTurnedOff) {
  const Tensor logprobs = Doubles({std::log(4.0)});
  const PolicyLoss loss =
      ClippedPolicyLoss(logprobs, at::zeros(1, at::kDouble), Doubles({-1}), {},
                        1, {.dual_clip = 0});
  EXPECT_NEAR(loss.loss.item<double>(), 4, 1e-12);
  EXPECT_EQ(loss.dual_clipped, 0);
}

TEST(ClippedPolicyLossTest, KlTermIsK3AndNeverNegative) {
  const Tensor logprobs = Doubles({-1, -1, -1}).set_requires_grad(true);
  const Tensor reference = Doubles({-1, -0.5, -2});
  const PolicyLoss loss =
      ClippedPolicyLoss(logprobs, logprobs.detach(), at::zeros(3, at::kDouble),
                        reference, 2, {.kl_coef = 0.1});
  const auto k3 = [](double d) { return std::exp(d) - d - 1; };
  EXPECT_NEAR(loss.kl, k3(0.5) + k3(-1), 1e-12);
  EXPECT_NEAR(loss.loss.item<double>(), 0.1 * loss.kl / 2, 1e-12);
  // d k3 / d logprob = 1 - exp(reference - logprob).
  EXPECT_TRUE(at::allclose(
      GradOf(loss, logprobs),
      Doubles({0, 0.05 * (1 - std::exp(0.5)), 0.05 * (1 - std::exp(-1))}),
      1e-12, 1e-14));
}

TEST(ClippedPolicyLossTest, SplittingAStepKeepsLossAndGradient) {
  const Batch b = MakeBatch();
  const PolicyLossOptions options = {.kl_coef = 0.01};
  const auto run = [&](const std::vector<int64_t>& cuts, Tensor* grad) {
    const Tensor logprobs = b.logprobs.clone().set_requires_grad(true);
    double sum = 0;
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      const auto part = [&](const Tensor& t) {
        return t.slice(0, cuts[i], cuts[i + 1]);
      };
      const PolicyLoss loss =
          ClippedPolicyLoss(part(logprobs), part(b.behavior),
                            part(b.advantages), part(b.reference), 50, options);
      torch::autograd::backward({loss.loss}, {});
      sum += loss.loss.item<double>();
    }
    *grad = logprobs.grad();
    return sum;
  };
  Tensor whole, parts;
  EXPECT_NEAR(run({0, 40}, &whole), run({0, 1, 17, 17, 40}, &parts), 1e-12);
  EXPECT_TRUE(at::allclose(whole, parts, 1e-12, 1e-16));
}

TEST(ClippedPolicyLossTest, OrderOfTokensDoesNotMatter) {
  const Batch b = MakeBatch();
  const auto loss = [&](bool flip) {
    const auto order = [&](const Tensor& t) {
      return flip ? t.flip(0).contiguous() : t;
    };
    return ClippedPolicyLoss(order(b.logprobs), order(b.behavior),
                             order(b.advantages), order(b.reference), 40,
                             {.kl_coef = 0.01})
        .loss.item<double>();
  };
  EXPECT_NEAR(loss(false), loss(true), 1e-12);
}

TEST(ClippedPolicyLossTest, AFarSamplerGivesFiniteNumbers) {
  const Tensor logprobs = Doubles({-1e4, -0.001}).set_requires_grad(true);
  const PolicyLoss loss =
      ClippedPolicyLoss(logprobs, Doubles({-0.001, -1e4}), Doubles({1, -1}), {},
                        2, {.dual_clip = 0});
  EXPECT_TRUE(std::isfinite(loss.loss.item<double>()));
  EXPECT_TRUE(GradOf(loss, logprobs).isfinite().all().item<bool>());
}

TEST(ClippedPolicyLossTest, NoTokensIsNoLoss) {
  const Tensor none = at::empty(0, at::kDouble);
  const PolicyLoss loss = ClippedPolicyLoss(none, none, none, {}, 1, {});
  EXPECT_EQ(loss.loss.item<double>(), 0);
}

}  // namespace
}  // namespace ponder
