#include "monitor/score_metrics.h"

#include <cmath>
#include <map>
#include <string>

#include "gtest/gtest.h"

namespace ponder {
namespace {

std::map<std::string, double> Logged(const ScoreMetrics& scores) {
  Metrics metrics;
  scores.Log(&metrics);
  const std::map<std::string, double> by_name(metrics.begin(), metrics.end());
  EXPECT_EQ(by_name.size(), metrics.size()) << "a name was logged twice";
  return by_name;
}

void AddComponent(const std::string& name, Verdict verdict, double value,
                  double seconds, ScoredResponse* score) {
  ComponentScore* component = score->add_components();
  component->set_name(name);
  component->set_verdict(verdict);
  component->set_seconds(seconds);
  if (verdict != UNSCORABLE) component->set_value(value);
}

TEST(ScoreMetricsTest, SharesOfResponsesAndComponents) {
  ScoreMetrics scores;
  for (int i = 0; i < 8; ++i) {
    ScoredResponse score;
    const Verdict verdict = i < 2 ? CORRECT : i < 7 ? WRONG : UNSCORABLE;
    score.set_verdict(verdict);
    score.set_beyond_limits(i == 3 || i == 4);
    score.set_timed_out(i == 5);
    if (i > 0 && i < 7) score.set_reward(1);  // Of 0 a component is missing.
    AddComponent("accuracy", verdict, i < 2, 0.001, &score);
    AddComponent("mine", i < 4 ? UNSCORABLE : WRONG, i, 0.5, &score);
    score.mutable_components(1)->set_timed_out(i == 0);
    scores.Add(score);
  }
  EXPECT_EQ(scores.unscorable_fraction(), 2.0 / 8);
  std::map<std::string, double> got = Logged(scores);
  EXPECT_EQ(got.at("reward/correct_frac"), 2.0 / 8);
  EXPECT_EQ(got.at("reward/wrong_frac"), 5.0 / 8);
  EXPECT_EQ(got.at("reward/unscorable_frac"), 2.0 / 8);
  EXPECT_EQ(got.at("rewards/accuracy/unscorable_frac"), 1.0 / 8);
  EXPECT_EQ(got.at("reward/beyond_limits_frac"), 2.0 / 8);
  EXPECT_EQ(got.at("reward/timeout_frac"), 1.0 / 8);
  EXPECT_EQ(got.at("rewards/accuracy/correct_frac"), 2.0 / 8);
  EXPECT_DOUBLE_EQ(got.at("rewards/accuracy/mean"), 2.0 / 7);
  EXPECT_EQ(got.at("rewards/mine/unscorable_frac"), 0.5);
  EXPECT_EQ(got.at("rewards/mine/wrong_frac"), 0.5);
  EXPECT_EQ(got.at("rewards/mine/timeout_frac"), 1.0 / 8);
  EXPECT_EQ(got.at("rewards/mine/mean"), 5.5);
  EXPECT_DOUBLE_EQ(got.at("rewards/mine/std"), std::sqrt(5.0 / 3));
  EXPECT_EQ(got.at("rewards/mine/latency_s/p50"), 0.5);
}

TEST(ScoreMetricsTest, PercentilesAreOfTheNearestRank) {
  ScoreMetrics scores;
  for (int i = 200; i >= 1; --i) {
    ScoredResponse score;
    score.set_seconds(i);
    scores.Add(score);
  }
  EXPECT_EQ(Logged(scores).at("reward/latency_s/p50"), 100);
  EXPECT_EQ(Logged(scores).at("reward/latency_s/p99"), 198);
}

TEST(ScoreMetricsTest, NothingScored) {
  ScoreMetrics scores;
  EXPECT_TRUE(Logged(scores).empty());
  EXPECT_EQ(scores.unscorable_fraction(), 0);
  ScoredResponse score;
  score.set_verdict(UNSCORABLE);
  AddComponent("mine", UNSCORABLE, 0, 0, &score);
  scores.Add(score);
  EXPECT_EQ(Logged(scores).count("rewards/mine/mean"), 0u);
  EXPECT_EQ(Logged(scores).at("rewards/mine/unscorable_frac"), 1);
}

}  // namespace
}  // namespace ponder
