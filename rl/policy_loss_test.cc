#include "rl/policy_loss.h"

#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "rl/aggregation.h"
#include "rl/golden_for_test.h"
#include "torch/csrc/autograd/autograd.h"

namespace ponder {
namespace {

using at::Tensor;

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

PolicyLoss ClippedPolicyLoss(const Tensor& logprobs, const Tensor& behavior,
                             const Tensor& advantages, const Tensor& reference,
                             int64_t token_count,
                             const PolicyLossOptions& options) {
  PolicyLossInput input;
  input.logprobs = logprobs;
  input.old = behavior;
  input.advantages = advantages;
  input.weights = at::full_like(advantages, 1.0 / token_count);
  input.reference = reference;
  return PolicyGradientLoss(input, options);
}

// A case of golden/rl.json, without its masked tokens.
struct GoldenCase {
  PolicyLossInput input;
  PolicyLossOptions options;
  Tensor grad, entropy_grad;
  int64_t tokens = 0;
};

PolicyLossOptions OptionsOf(const nlohmann::json& c) {
  const std::map<std::string, Objective> objectives = {
      {"clipped", Objective::kClipped},
      {"gspo", Objective::kGspo},
      {"cispo", Objective::kCispo},
      {"sapo", Objective::kSapo},
      {"dppo_tv", Objective::kDppoTv}};
  const std::map<std::string, KlEstimator> estimators = {
      {"k1", KlEstimator::kK1},
      {"k2", KlEstimator::kK2},
      {"k3", KlEstimator::kK3},
      {"k3_k2", KlEstimator::kK3WithK2Gradient}};
  PolicyLossOptions options;
  options.objective = objectives.at(c["objective"]);
  options.clip_low = c["clip_low"];
  options.clip_high = c["clip_high"];
  options.dual_clip = c["dual_clip"];
  options.sapo_positive_temperature = c["sapo_temperatures"][0];
  options.sapo_negative_temperature = c["sapo_temperatures"][1];
  options.tv_bound = c["tv_bound"];
  options.off_policy_mask = c["off_policy_mask"];
  options.kl_coef = c["kl_coef"];
  options.kl_estimator = estimators.at(c["kl"]);
  options.entropy_coef = c["entropy_coef"];
  return options;
}

LossScale ScaleOf(const nlohmann::json& c) {
  const std::map<std::string, Aggregation> aggregations = {
      {"token_mean", Aggregation::kTokenMean},
      {"seq_mean_token_mean", Aggregation::kSeqMeanTokenMean},
      {"seq_mean_token_sum", Aggregation::kSeqMeanTokenSum},
      {"seq_mean_token_sum_norm", Aggregation::kSeqMeanTokenSumNorm},
      {"token_sum", Aggregation::kTokenSum}};
  return {aggregations.at(c["aggregation"]), c["tokens"], c["sequences"],
          c["norm_tokens"]};
}

GoldenCase CaseOf(const nlohmann::json& c) {
  const std::vector<int> mask = c["mask"];
  const auto kept = [&](const char* name) {
    const std::vector<double> all = c[name];
    std::vector<double> values;
    for (size_t i = 0; i < all.size(); ++i) {
      if (mask[i] != 0) values.push_back(all[i]);
    }
    return Doubles(values);
  };
  GoldenCase result;
  result.options = OptionsOf(c);
  result.grad = kept("grad");
  result.entropy_grad = kept("entropy_grad");
  PolicyLossInput& input = result.input;
  input.logprobs = kept("logprobs").set_requires_grad(true);
  input.old = kept("old_logprobs");
  input.behavior = kept("behavior_logprobs");
  input.advantages = kept("advantages");
  input.importance = kept("importance");
  if (result.options.kl_coef != 0) input.reference = kept("reference_logprobs");
  if (result.options.entropy_coef != 0) {
    input.entropy = kept("entropies").set_requires_grad(true);
  }
  const std::vector<int64_t> cu_seqlens = c["cu_seqlens"];
  const LossScale scale = ScaleOf(c["scale"]);
  std::vector<double> weights;
  input.cu_tokens = {0};
  for (size_t i = 0; i + 1 < cu_seqlens.size(); ++i) {
    const int64_t count =
        std::accumulate(mask.begin() + cu_seqlens[i],
                        mask.begin() + cu_seqlens[i + 1], int64_t{0});
    weights.insert(weights.end(), count, TokenWeight(scale, count));
    input.cu_tokens.push_back(input.cu_tokens.back() + count);
  }
  input.weights = Doubles(weights);
  result.tokens = input.cu_tokens.back();
  return result;
}

// Wanted values: tests/parity/make_rl_golden.py, NumPy in float64, gradients
// checked there with finite differences.
TEST(PolicyLossTest, MatchesPython) {
  int num_cases = 0;
  for (const auto& c : GoldenCases("policy_loss")) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const GoldenCase golden = CaseOf(c);
    const PolicyLoss got = PolicyGradientLoss(golden.input, golden.options);
    EXPECT_NEAR(got.loss.item<double>(), c["loss"].get<double>(), 1e-12);
    EXPECT_TRUE(at::allclose(GradOf(got, golden.input.logprobs), golden.grad,
                             1e-10, 1e-14));
    if (golden.input.entropy.defined()) {
      EXPECT_TRUE(at::allclose(golden.input.entropy.grad(), golden.entropy_grad,
                               1e-10, 1e-14));
    }
    const double n = static_cast<double>(golden.tokens);
    EXPECT_NEAR(got.clipped / n, c["clip_fraction"].get<double>(), 1e-12);
    EXPECT_NEAR(got.dual_clipped / n, c["dual_clip_fraction"].get<double>(),
                1e-12);
    EXPECT_NEAR(got.masked / n, c["masked_fraction"].get<double>(), 1e-12);
    EXPECT_NEAR(got.log_ratio / n, c["approx_kl"].get<double>(), 1e-12);
    if (golden.options.kl_coef != 0) {
      EXPECT_NEAR(got.kl / n, c["reference_kl"].get<double>(), 1e-12);
    }
    ++num_cases;
  }
  EXPECT_EQ(num_cases, 28);
}

// Every objective and aggregation, cut between sequences into 1, 2 and 3 parts:
// relative 1e-10 in float64.
TEST(PolicyLossTest, CutsChangeNeitherLossNorGradient) {
  for (const auto& c : GoldenCases("policy_loss")) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const GoldenCase golden = CaseOf(c);
    const PolicyLossInput& whole = golden.input;
    const int64_t sequences = static_cast<int64_t>(whole.cu_tokens.size()) - 1;
    for (const int64_t cuts : {1, 2, 3}) {
      const Tensor logprobs =
          whole.logprobs.detach().clone().set_requires_grad(true);
      double loss = 0;
      for (int64_t part = 0; part < cuts; ++part) {
        const int64_t first = sequences * part / cuts;
        const int64_t last = sequences * (part + 1) / cuts;
        const int64_t begin = whole.cu_tokens[first];
        const auto slice = [&](const Tensor& t) {
          return t.defined() ? t.slice(0, begin, whole.cu_tokens[last]) : t;
        };
        PolicyLossInput input;
        input.logprobs = slice(logprobs);
        input.old = slice(whole.old);
        input.behavior = slice(whole.behavior);
        input.advantages = slice(whole.advantages);
        input.weights = slice(whole.weights);
        input.importance = slice(whole.importance);
        input.reference = slice(whole.reference);
        input.entropy = slice(whole.entropy);
        for (int64_t i = first; i <= last; ++i) {
          input.cu_tokens.push_back(whole.cu_tokens[i] - begin);
        }
        const PolicyLoss result = PolicyGradientLoss(input, golden.options);
        torch::autograd::backward({result.loss}, {});
        loss += result.loss.item<double>();
      }
      EXPECT_NEAR(loss, c["loss"].get<double>(), 1e-12) << cuts;
      EXPECT_LE((logprobs.grad() - golden.grad).norm().item<double>(),
                1e-10 * golden.grad.norm().item<double>())
          << cuts;
    }
  }
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
