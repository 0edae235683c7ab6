#include "monitor/health.h"

#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

StepHealth Good() {
  StepHealth health;
  health.entropy = 0.4;
  health.zero_signal_fraction = 0.25;
  health.grad_norm = 0.5;
  return health;
}

TEST(HealthRulesTest, SaysThatAllIsWell) {
  HealthRules rules((HealthConfig()));
  const HealthReport report = rules.Check(1, Good());
  EXPECT_EQ(report.verdict, HealthReport::kOk);
  EXPECT_EQ(report.line,
            "healthy; 75 % of groups have signal, 0 % truncated, 0 % "
            "unscorable, entropy 0.4, sampler and learner differ by 0.0e+00, "
            "gradient norm 0.5");
  EXPECT_EQ(report.advice, "");
  EXPECT_EQ(report.metrics.size(), 6);
}

TEST(HealthRulesTest, ActsAfterTheFifthStepOnThreeInARow) {
  HealthRules rules((HealthConfig()));
  StepHealth bad = Good();
  bad.clip_ratio = 0.95;
  for (int step = 1; step <= 7; ++step) {
    const HealthReport report = rules.Check(step, bad);
    EXPECT_EQ(report.verdict, HealthReport::kOk) << step;
    EXPECT_THAT(report.line, StartsWith("95 % of the responses hit"));
  }
  const HealthReport report = rules.Check(8, bad);
  EXPECT_EQ(report.verdict, HealthReport::kStop);
  EXPECT_THAT(report.advice, StartsWith("health/truncation: 95 % of the"));
  EXPECT_THAT(report.advice, HasSubstr("max_response_tokens"));
}

TEST(HealthRulesTest, OneGoodStepStartsTheCountAgain) {
  HealthRules rules((HealthConfig()));
  StepHealth bad = Good();
  bad.unscorable_fraction = 0.5;
  rules.Check(6, bad);
  rules.Check(7, bad);
  rules.Check(8, Good());
  rules.Check(9, bad);
  EXPECT_EQ(rules.Check(10, bad).verdict, HealthReport::kOk);
  EXPECT_EQ(rules.Check(11, bad).verdict, HealthReport::kStop);
}

HealthReport ThreeTimes(const HealthConfig& config, const StepHealth& bad) {
  HealthRules rules(config);
  rules.Check(6, bad);
  rules.Check(7, bad);
  return rules.Check(8, bad);
}

TEST(HealthRulesTest, EveryRule) {
  StepHealth bad = Good();
  bad.entropy = 0;
  EXPECT_EQ(ThreeTimes({}, bad).verdict, HealthReport::kWarn);
  EXPECT_THAT(ThreeTimes({}, bad).advice, HasSubstr("health/entropy_floor"));

  bad = Good();
  bad.zero_signal_fraction = 1;
  EXPECT_EQ(ThreeTimes({}, bad).verdict, HealthReport::kWarn);
  EXPECT_THAT(ThreeTimes({}, bad).advice, HasSubstr("health/zero_signal"));

  bad = Good();
  bad.logprob_diff_mean = 0.02;
  EXPECT_EQ(ThreeTimes({}, bad).verdict, HealthReport::kStop);
  EXPECT_THAT(ThreeTimes({}, bad).advice, HasSubstr("health/mismatch"));

  bad = Good();
  bad.grad_norm = NAN;
  EXPECT_EQ(ThreeTimes({}, bad).verdict, HealthReport::kStop);
  EXPECT_THAT(ThreeTimes({}, bad).advice, HasSubstr("health/grad_norm"));

  bad = Good();
  bad.clip_ratio = NAN;
  EXPECT_EQ(ThreeTimes({}, bad).verdict, HealthReport::kStop);
}

TEST(HealthRulesTest, WarnsOnlyIfAskedTo) {
  HealthConfig config;
  config.set_stop(false);
  StepHealth bad = Good();
  bad.unscorable_fraction = 0.5;
  EXPECT_EQ(ThreeTimes(config, bad).verdict, HealthReport::kWarn);
  config.set_max_unscorable_fraction(0.6);
  EXPECT_EQ(ThreeTimes(config, bad).verdict, HealthReport::kOk);
}

}  // namespace
}  // namespace ponder
