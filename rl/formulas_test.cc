// The short formulas: token advantages, KL, importance weights, mismatch, value
// loss.

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "rl/golden_for_test.h"
#include "rl/importance.h"
#include "rl/kl.h"
#include "rl/mismatch.h"
#include "rl/token_advantage.h"
#include "rl/value_loss.h"
#include "torch/csrc/autograd/autograd.h"

namespace ponder {
namespace {

using at::Tensor;

TEST(TokenAdvantageTest, MatchesPython) {
  const auto cases = GoldenCases("token_advantages");
  EXPECT_EQ(cases.size(), 5u);
  for (const auto& c : cases) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const Tensor rewards = Doubles(c["rewards"]);
    ExpectNear(DiscountedReturns(rewards, c["gamma"]), c["returns"]);
    const GaeResult gae = GeneralizedAdvantages(rewards, Doubles(c["values"]),
                                                c["gamma"], c["lambda"]);
    ExpectNear(gae.advantages, c["gae"]);
    ExpectNear(gae.returns, c["gae_returns"]);
  }
}

TEST(TokenAdvantageTest, ClosedForms) {
  // A reward at the end alone: every token's return without discount.
  const Tensor rewards = Doubles({0, 0, 1});
  EXPECT_TRUE(at::equal(DiscountedReturns(rewards, 1), Doubles({1, 1, 1})));
  EXPECT_TRUE(
      at::equal(DiscountedReturns(rewards, 0.5), Doubles({0.25, 0.5, 1})));
  // gamma = lambda = 1: the return is what comes, whatever the values are.
  const Tensor values = Doubles({0.5, 0.25, -1});
  const GaeResult all = GeneralizedAdvantages(rewards, values, 1, 1);
  EXPECT_TRUE(at::equal(all.returns, Doubles({1, 1, 1})));
  EXPECT_TRUE(at::equal(all.advantages, Doubles({0.5, 0.75, 2})));
  // lambda = 0: one step ahead.
  const GaeResult one = GeneralizedAdvantages(rewards, values, 1, 0);
  EXPECT_TRUE(at::equal(one.advantages, Doubles({-0.25, -1.25, 2})));
  EXPECT_EQ(DiscountedReturns(at::empty(0, at::kDouble), 1).numel(), 0);
}

// The expected policy gradient with these advantages is that of
// -KL(policy || teacher), taken by autograd over the whole distribution.
TEST(TokenAdvantageTest, ATeachersAreTheGradientOfReverseKl) {
  const at::Tensor teacher =
      at::log_softmax(at::tensor({0.3, -1.2, 0.9, 2.0, -0.4}, at::kDouble), 0);
  const at::Tensor logits =
      at::tensor({1.0, 0.2, -0.7, 0.1, 0.5}, at::kDouble).requires_grad_();
  const at::Tensor policy = at::log_softmax(logits, 0);
  const at::Tensor kl = (policy.exp() * (policy - teacher)).sum();
  const at::Tensor want = -torch::autograd::grad({kl}, {logits}, {}, true)[0];
  const at::Tensor advantages = TeacherAdvantages(policy.detach(), teacher);
  // Sum over what may be drawn of p(y) A(y) grad log p(y).
  const at::Tensor expected =
      (policy.detach().exp() * advantages * policy).sum();
  const at::Tensor got = torch::autograd::grad({expected}, {logits})[0];
  EXPECT_TRUE(at::allclose(got, want, 1e-10, 1e-12)) << got << want;
  EXPECT_GT(want.abs().max().item<double>(), 0.1);
}

TEST(WhitenTest, MatchesPython) {
  const auto cases = GoldenCases("whiten");
  EXPECT_EQ(cases.size(), 4u);
  for (const auto& c : cases) {
    ExpectNear(Whiten(Doubles(c["values"])), c["whitened"]);
  }
}

TEST(WhitenTest, MeanZeroAndDeviationOne) {
  const Tensor white = Whiten(Doubles({3, 5, 9, 1, 4}));
  EXPECT_NEAR(white.mean().item<double>(), 0, 1e-12);
  EXPECT_NEAR(white.std().item<double>(), 1, 1e-8);
}

KlEstimator EstimatorOf(const std::string& name) {
  const std::map<std::string, KlEstimator> estimators = {
      {"k1", KlEstimator::kK1},
      {"k2", KlEstimator::kK2},
      {"k3", KlEstimator::kK3},
      {"k3_k2", KlEstimator::kK3WithK2Gradient}};
  return estimators.at(name);
}

TEST(KlTest, MatchesPython) {
  const auto cases = GoldenCases("kl");
  EXPECT_EQ(cases.size(), 4u);
  for (const auto& c : cases) {
    SCOPED_TRACE(c["kind"].get<std::string>());
    const Tensor logprobs = Doubles(c["logprobs"]).set_requires_grad(true);
    const Tensor kl =
        EstimateKl(EstimatorOf(c["kind"]), logprobs, Doubles(c["reference"]));
    ExpectNear(kl.detach(), c["values"]);
    torch::autograd::backward({kl.sum()}, {});
    ExpectNear(logprobs.grad(), c["grad"]);
  }
}

// Over a whole distribution k1 and k3 have the mean KL(p || q), and of the
// losses only that with k2's gradient has the gradient of KL.
TEST(KlTest, MeansOverADistribution) {
  const Tensor logits = Doubles({0.3, -1, 0.8, 0.1}).set_requires_grad(true);
  const Tensor q = at::log_softmax(Doubles({-0.5, 0.2, 0.4, 1}), 0);
  const Tensor p = at::log_softmax(logits, 0);
  const Tensor kl = (p.exp() * (p - q)).sum();
  for (const char* name : {"k1", "k3", "k3_k2"}) {
    const Tensor mean = (p.exp() * EstimateKl(EstimatorOf(name), p, q)).sum();
    EXPECT_NEAR(mean.item<double>(), kl.item<double>(), 1e-12) << name;
  }
  const auto gradient = [&](const Tensor& loss) {
    logits.mutable_grad().reset();
    torch::autograd::backward({loss}, {}, /*retain_graph=*/true);
    return logits.grad().clone();
  };
  const Tensor wanted = gradient(kl);
  for (const char* name : {"k1", "k2", "k3", "k3_k2"}) {
    // The sampler's probabilities have no gradient.
    const Tensor loss =
        (p.exp().detach() * EstimateKl(EstimatorOf(name), p, q)).sum();
    const bool same = at::allclose(gradient(loss), wanted, 1e-10, 1e-12);
    EXPECT_EQ(same, std::string(name).ends_with("k2")) << name;
  }
}

TEST(KlTest, FarReferencesGiveFiniteNumbers) {
  for (const char* name : {"k1", "k2", "k3", "k3_k2"}) {
    const Tensor kl = EstimateKl(EstimatorOf(name), Doubles({-1e4, -0.1}),
                                 Doubles({-0.1, -1e4}));
    EXPECT_TRUE(kl.isfinite().all().item<bool>()) << name;
  }
}

TEST(MismatchTest, ClosedForms) {
  // d = sampler - learner: 0.5 and -0.25 in one sequence, 1 in another.
  MismatchMeter meter;
  meter.Add(Doubles({-1, -2}), Doubles({-0.5, -2.25}));
  meter.Add(Doubles({-3}), Doubles({-2}));
  meter.Add(at::empty(0, at::kDouble), at::empty(0, at::kDouble));
  const LogprobMismatch m = meter.Result();
  EXPECT_EQ(m.tokens, 3);
  EXPECT_EQ(m.sequences, 2);
  EXPECT_DOUBLE_EQ(m.max_abs, 1);
  EXPECT_DOUBLE_EQ(m.mean_abs, 1.75 / 3);
  EXPECT_DOUBLE_EQ(m.kl, 1.25 / 3);
  const auto k3 = [](double d) { return std::exp(-d) + d - 1; };
  EXPECT_NEAR(m.k3_kl, (k3(0.5) + k3(-0.25) + k3(1)) / 3, 1e-12);
  EXPECT_NEAR(m.training_log_ppl, (1.5 + 3) / 2, 1e-12);
  EXPECT_NEAR(m.rollout_ppl, (std::exp(1.375) + std::exp(2)) / 2, 1e-12);
  EXPECT_NEAR(m.log_ppl_diff, (0.125 + 1) / 2, 1e-12);
  EXPECT_NEAR(m.ppl_ratio, (std::exp(0.125) + std::exp(1)) / 2, 1e-12);
  EXPECT_NEAR(m.chi2_token,
              (std::exp(-1) + std::exp(0.5) + std::exp(-2)) / 3 - 1, 1e-12);
  EXPECT_NEAR(m.chi2_seq, (std::exp(-0.5) + std::exp(-2)) / 2 - 1, 1e-12);
  const std::vector<double> b = {std::exp(-0.5), std::exp(-2.25), std::exp(-2)};
  const std::vector<double> p = {std::exp(-1), std::exp(-2), std::exp(-3)};
  EXPECT_NEAR(m.prob_diff_max, b[0] - p[0], 1e-12);
  const Tensor both = at::stack({Doubles(b), Doubles(p)});
  EXPECT_NEAR(m.prob_pearson, at::corrcoef(both)[0][1].item<double>(), 1e-12);
  EXPECT_NEAR(m.prob_diff_std,
              (both[0] - both[1]).abs().std(/*unbiased=*/false).item<double>(),
              1e-12);
}

TEST(MismatchTest, NothingIsNoMismatch) {
  EXPECT_EQ(MismatchMeter().Result().tokens, 0);
  MismatchMeter meter;
  meter.Add(Doubles({-1, -0.5}), Doubles({-1, -0.5}));
  EXPECT_EQ(meter.Result().max_abs, 0);
  EXPECT_NEAR(meter.Result().prob_pearson, 1, 1e-9);
  EXPECT_EQ(meter.Result().chi2_seq, 0);
}

ImportanceOptions ImportanceOf(const nlohmann::json& c) {
  const std::map<std::string, ImportanceMode> modes = {
      {"token_truncate", ImportanceMode::kTokenTruncate},
      {"token_mask", ImportanceMode::kTokenMask},
      {"sequence_truncate", ImportanceMode::kSequenceTruncate},
      {"sequence_mask", ImportanceMode::kSequenceMask}};
  return {modes.at(c["mode"]), c["low"], c["high"]};
}

TEST(ImportanceTest, MatchesPython) {
  const auto cases = GoldenCases("importance");
  EXPECT_EQ(cases.size(), 16u);
  for (const auto& c : cases) {
    SCOPED_TRACE(c["mode"].get<std::string>());
    ExpectNear(ImportanceWeights(Doubles(c["old"]), Doubles(c["behavior"]),
                                 ImportanceOf(c)),
               c["weights"]);
  }
}

TEST(ImportanceTest, TheSamePolicyHasWeightOne) {
  const Tensor logprobs = Doubles({-0.5, -3, -0.01});
  for (const ImportanceMode mode :
       {ImportanceMode::kNone, ImportanceMode::kTokenTruncate,
        ImportanceMode::kTokenMask, ImportanceMode::kSequenceTruncate,
        ImportanceMode::kSequenceMask}) {
    EXPECT_TRUE(at::equal(ImportanceWeights(logprobs, logprobs, {.mode = mode}),
                          at::ones(3, at::kDouble)));
  }
}

// A product of ratios would be exp(100 * 0.012) > 3 and mask the sequence.
TEST(ImportanceTest, ALongSequenceIsNotMaskedForItsLength) {
  const Tensor behavior = at::full({100}, -1.0, at::kDouble);
  const Tensor weights = ImportanceWeights(
      behavior + 0.012, behavior,
      {.mode = ImportanceMode::kSequenceMask, .low = 0.5, .high = 3});
  EXPECT_TRUE(at::equal(weights, at::ones(100, at::kDouble)));
}

TEST(ValueLossTest, MatchesPython) {
  for (const auto& c : GoldenCases("value_loss")) {
    const Tensor values = Doubles(c["values"]).set_requires_grad(true);
    const ValueLoss loss = ClippedValueLoss(
        values, Doubles(c["old"]), Doubles(c["returns"]),
        at::full_like(values, c["weight"].get<double>()).detach(), c["clip"]);
    EXPECT_NEAR(loss.loss.item<double>(), c["loss"].get<double>(), 1e-12);
    EXPECT_EQ(loss.clipped, c["clipped"].get<double>());
    torch::autograd::backward({loss.loss}, {});
    ExpectNear(values.grad(), c["grad"]);
  }
}

}  // namespace
}  // namespace ponder
