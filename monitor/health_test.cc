#include "monitor/health.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
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
  EXPECT_EQ(report.metrics.size(), 8);
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

// Reports of the steps of a series, the evaluations of it before step 1 and
// after the steps that they stand for.
struct Series {
  std::vector<StepHealth> steps;
  std::map<int, double> accuracy;  // By step; 0: at the stage's start.
};

std::vector<HealthReport> RunSeries(const HealthConfig& config,
                                    const Series& series) {
  HealthRules rules(config);
  std::vector<HealthReport> reports;
  const auto evaluate = [&](int step) {
    const auto it = series.accuracy.find(step);
    if (it != series.accuracy.end()) rules.Evaluated(it->second);
  };
  evaluate(0);
  for (const StepHealth& health : series.steps) {
    const int step = static_cast<int>(reports.size()) + 1;
    reports.push_back(rules.Check(step, health));
    evaluate(step);
  }
  return reports;
}

// Steps whose report says that the rule is broken.
std::vector<int> BrokenSteps(const std::vector<HealthReport>& reports,
                             const std::string& rule) {
  std::vector<int> steps;
  for (size_t i = 0; i < reports.size(); ++i) {
    for (const auto& [name, value] : reports[i].metrics) {
      if (name == "health/" + rule && value == 1) {
        steps.push_back(static_cast<int>(i) + 1);
      }
    }
  }
  return steps;
}

// All samples are wrong from the seventh step on.
TEST(HealthRulesTest, ZeroSignalOfAPolicyThatSolvesNothing) {
  Series series;
  for (int step = 1; step <= 10; ++step) {
    StepHealth health = Good();
    health.correct_fraction = step < 7 ? 0.1 : 0;
    health.zero_signal_fraction = step < 7 ? 0.4 : 1;
    series.steps.push_back(health);
  }
  const auto reports = RunSeries({}, series);
  EXPECT_THAT(BrokenSteps(reports, "zero_signal"), ElementsAre(7, 8, 9, 10));
  EXPECT_EQ(reports[7].verdict, HealthReport::kOk);
  EXPECT_EQ(reports[8].verdict, HealthReport::kWarn);
  EXPECT_EQ(reports[8].advice,
            "health/zero_signal: 100 % of the groups have no two different "
            "rewards, with 0 % of the samples right, so that hardly anything "
            "is learned, for 3 steps; most samples are wrong: take easier "
            "problems, a longer cold start, or more samples_per_prompt; see "
            "with `ponder view` whether the answers have the wanted form");
  // It goes on, and is not said again.
  EXPECT_EQ(reports[9].verdict, HealthReport::kOk);
  EXPECT_EQ(reports[9].advice, "");
  ASSERT_EQ(reports[9].warnings.size(), 1);
  EXPECT_THAT(reports[9].warnings[0], HasSubstr("for 4 steps"));
}

TEST(HealthRulesTest, ZeroSignalOfAPolicyThatSolvesAll) {
  StepHealth solved = Good();
  solved.correct_fraction = 1;
  solved.zero_signal_fraction = 0.96;
  EXPECT_THAT(ThreeTimes({}, solved).advice,
              AllOf(HasSubstr("96 % of the groups"),
                    HasSubstr("take harder problems, or end the stage")));
  HealthConfig lenient;
  lenient.set_max_zero_signal_fraction(0.97);
  EXPECT_EQ(ThreeTimes(lenient, solved).verdict, HealthReport::kOk);
}

// First a warning, then, when nearly all are cut, a stop.
TEST(HealthRulesTest, TruncationOfResponsesThatGrow) {
  Series series;
  for (int step = 1; step <= 16; ++step) {
    StepHealth health = Good();
    health.clip_ratio = 0.06 * step;
    series.steps.push_back(health);
  }
  series.steps.push_back(series.steps.back());
  series.steps.push_back(series.steps.back());
  const auto reports = RunSeries({}, series);
  EXPECT_EQ(BrokenSteps(reports, "truncation").front(), 2);
  EXPECT_EQ(reports[7].verdict, HealthReport::kWarn);
  EXPECT_THAT(reports[7].advice, StartsWith("health/truncation: 48 % of the "
                                            "responses hit the token limit, at "
                                            "most 10 % may, for 3 steps"));
  for (int step = 9; step <= 17; ++step) {
    EXPECT_EQ(reports[step - 1].verdict, HealthReport::kOk) << step;
  }
  EXPECT_EQ(reports[17].verdict, HealthReport::kStop);
  EXPECT_THAT(reports[17].advice,
              HasSubstr("96 % of the responses hit the token limit, at most "
                        "90 % may"));
}

TEST(HealthRulesTest, EntropyFloorOfAPolicyThatCollapses) {
  Series series;
  double entropy = 1;
  for (int step = 1; step <= 12; ++step) {
    StepHealth health = Good();
    health.entropy = entropy /= 2.5;
    series.steps.push_back(health);
  }
  const auto reports = RunSeries({}, series);
  // 0.4^8 = 0.00066.
  EXPECT_THAT(BrokenSteps(reports, "entropy_floor"),
              ElementsAre(8, 9, 10, 11, 12));
  EXPECT_EQ(reports[9].verdict, HealthReport::kWarn);
  EXPECT_THAT(reports[9].advice,
              HasSubstr("entropy is 0.0001 nats, below 0.001"));
}

TEST(HealthRulesTest, MismatchThatDrifts) {
  Series series;
  for (int step = 1; step <= 20; ++step) {
    StepHealth health = Good();
    health.logprob_diff_mean = 0.0007 * step;
    series.steps.push_back(health);
  }
  const auto reports = RunSeries({}, series);
  EXPECT_EQ(BrokenSteps(reports, "mismatch").front(), 8);  // 0.0056.
  EXPECT_EQ(reports[9].verdict, HealthReport::kWarn);
  EXPECT_THAT(reports[9].advice,
              HasSubstr("sampler and learner differ by 0.007, at most 0.005"));
  EXPECT_EQ(reports[16].verdict, HealthReport::kStop);  // 15, 16, 17: 0.0105.
}

// What older policies sampled says nothing of the workers of this one.
TEST(HealthRulesTest, WithoutFreshSamplesThereIsNoMismatch) {
  HealthRules rules{HealthConfig()};
  for (int step = 1; step <= 20; ++step) {
    StepHealth health = Good();
    health.logprob_diff_mean = std::nullopt;
    const HealthReport report = rules.Check(step, health);
    EXPECT_EQ(report.verdict, HealthReport::kOk);
    EXPECT_THAT(report.line, HasSubstr("sampler and learner not compared"));
    EXPECT_THAT(report.line, Not(HasSubstr("differ by")));
  }
}

TEST(HealthRulesTest, UnscorableWhereAVerifierFails) {
  StepHealth bad = Good();
  bad.unscorable_fraction = 0.5;
  EXPECT_EQ(ThreeTimes({}, bad).verdict, HealthReport::kStop);
  EXPECT_THAT(ThreeTimes({}, bad).advice,
              AllOf(StartsWith("health/unscorable: 50 % of the samples"),
                    HasSubstr("ponder verify data")));
}

TEST(HealthRulesTest, LengthCollapse) {
  Series series;
  for (int step = 1; step <= 11; ++step) {
    StepHealth health = Good();
    health.response_length = step <= 5 ? 98 + step : 135 - 12 * step;
    series.steps.push_back(health);
  }
  const auto reports = RunSeries({}, series);
  // 101 tokens in the first five steps; 27 of step 9 are less than 30.3.
  EXPECT_THAT(BrokenSteps(reports, "length_collapse"), ElementsAre(9, 10, 11));
  EXPECT_EQ(reports[10].verdict, HealthReport::kWarn);
  EXPECT_THAT(reports[10].advice,
              HasSubstr("responses have 3.0 tokens, less than 30 % of the "
                        "101.0 that they had in the stage's first steps"));
}

Series GamedReward() {
  Series series;
  for (int step = 1; step <= 20; ++step) {
    StepHealth health = Good();
    health.reward = 0.2 + 0.03 * step;
    series.steps.push_back(health);
  }
  series.accuracy = {{0, 0.30}, {5, 0.40}, {10, 0.38}, {15, 0.30}};
  return series;
}

TEST(HealthRulesTest, RewardHacking) {
  const auto reports = RunSeries({}, GamedReward());
  // The fall from 40 to 38 % is within health.max_accuracy_drop.
  EXPECT_THAT(BrokenSteps(reports, "reward_hacking"),
              ElementsAre(16, 17, 18, 19, 20));
  EXPECT_EQ(reports[17].verdict, HealthReport::kWarn);
  EXPECT_THAT(reports[17].advice,
              StartsWith("health/reward_hacking: held-out accuracy fell from "
                         "40.0 % to 30.0 % while the training reward rose from "
                         "0.290 to 0.590, for 3 steps; "));
}

TEST(HealthRulesTest, RewardHackingAgainstTheStagesStart) {
  Series series = GamedReward();
  series.accuracy = {{0, 0.40}, {15, 0.20}};
  const auto reports = RunSeries({}, series);
  EXPECT_THAT(reports[17].advice,
              HasSubstr("from 40.0 % to 20.0 % while the training reward rose "
                        "from 0.290 to 0.590"));
}

TEST(HealthRulesTest, NoRewardHackingWhereTheRewardFallsToo) {
  Series series = GamedReward();
  for (StepHealth& health : series.steps) health.reward = 1 - health.reward;
  EXPECT_THAT(BrokenSteps(RunSeries({}, series), "reward_hacking"), IsEmpty());
}

TEST(HealthRulesTest, RewardHackingEndsWithABetterEvaluation) {
  Series series = GamedReward();
  series.accuracy[17] = 0.39;
  EXPECT_THAT(BrokenSteps(RunSeries({}, series), "reward_hacking"),
              ElementsAre(16, 17));
}

TEST(HealthRulesTest, GradientThatIsNotANumber) {
  StepHealth bad = Good();
  bad.grad_norm = NAN;
  EXPECT_EQ(ThreeTimes({}, bad).verdict, HealthReport::kStop);
  EXPECT_THAT(ThreeTimes({}, bad).advice, HasSubstr("health/grad_norm"));
  // What is not a number breaks its rule.
  bad = Good();
  bad.clip_ratio = NAN;
  EXPECT_EQ(ThreeTimes({}, bad).verdict, HealthReport::kStop);
}

TEST(HealthRulesTest, StopsOnTheRulesThatAreNamed) {
  HealthConfig config;
  config.add_stop_on(HealthConfig::reward_hacking);
  EXPECT_EQ(RunSeries(config, GamedReward())[17].verdict, HealthReport::kStop);
  StepHealth bad = Good();
  bad.unscorable_fraction = 0.5;
  EXPECT_EQ(ThreeTimes(config, bad).verdict, HealthReport::kWarn);
  config.add_stop_on(HealthConfig::unscorable);
  EXPECT_EQ(ThreeTimes(config, bad).verdict, HealthReport::kStop);
}

// Cut in two at every step, a run reports what it reports in one piece.
TEST(HealthRulesTest, ResumedRulesGoOn) {
  const Series series = GamedReward();
  const auto whole = RunSeries({}, series);
  HealthRules rules((HealthConfig()));
  rules.Evaluated(series.accuracy.at(0));
  for (int step = 1; step <= 20; ++step) {
    HealthRules resumed((HealthConfig()));
    resumed.FromJson(nlohmann::ordered_json::parse(rules.ToJson().dump()));
    rules = resumed;
    const HealthReport report = rules.Check(step, series.steps[step - 1]);
    EXPECT_EQ(report.warnings, whole[step - 1].warnings) << step;
    EXPECT_EQ(report.verdict, whole[step - 1].verdict) << step;
    const auto it = series.accuracy.find(step);
    if (it != series.accuracy.end()) rules.Evaluated(it->second);
  }
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
