#include "rl/advantage.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rl/golden_for_test.h"

namespace ponder {
namespace {

using ::testing::Each;
using Rewards = std::vector<std::optional<double>>;

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

GroupAdvantages AdvantagesOf(const std::string& kind, const Rewards& rewards) {
  std::vector<double> values;
  for (const std::optional<double>& reward : rewards) {
    values.push_back(reward.value_or(std::nan("")));
  }
  const at::Tensor tensor = at::tensor(values, at::kDouble);
  if (kind == "grpo") return GrpoAdvantages(tensor);
  if (kind == "dr_grpo") return DrGrpoAdvantages(tensor);
  EXPECT_EQ(kind, "rloo");
  return RlooAdvantages(tensor);
}

std::vector<double> Values(const GroupAdvantages& advantages) {
  const double* first = advantages.advantages.const_data_ptr<double>();
  return {first, first + advantages.advantages.numel()};
}

std::vector<double> Grpo(const Rewards& rewards) {
  return Values(AdvantagesOf("grpo", rewards));
}

// Wanted values: tests/parity/make_rl_golden.py, NumPy in float64.
TEST(AdvantagesTest, MatchPython) {
  int num_cases = 0;
  for (const auto& c : GoldenCases("advantages")) {
    const std::string kind = c["kind"];
    SCOPED_TRACE(c["name"].get<std::string>() + ", " + kind);
    Rewards rewards;
    for (const auto& r : c["rewards"]) {
      rewards.push_back(r.is_null() ? std::nullopt
                                    : std::optional<double>(r.get<double>()));
    }
    const std::vector<double> wanted = c["advantages"];
    const GroupAdvantages result = AdvantagesOf(kind, rewards);
    const std::vector<double> got = Values(result);
    ASSERT_EQ(got.size(), wanted.size());
    EXPECT_EQ(result.zero_spread, std::all_of(wanted.begin(), wanted.end(),
                                              [](double a) { return a == 0; }));
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(got[i], wanted[i], 1e-12) << i;
    }
    ++num_cases;
  }
  EXPECT_EQ(num_cases, 36);
}

// The table of the specification, at its six digits.
TEST(AdvantagesTest, TableOfTheSpecification) {
  const Rewards four = {1.0, 0.0, 0.0, 0.0};
  const Rewards eight = {1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
  struct Row {
    const char* kind;
    Rewards rewards;
    double correct, wrong;
  };
  for (const Row& row : {Row{"grpo", four, 1.499997, -0.499999},
                         Row{"grpo", eight, 1.620182, -0.540060},
                         Row{"rloo", four, 1, -0.333333},
                         Row{"rloo", eight, 0.857143, -0.285714}}) {
    const std::vector<double> got = Values(AdvantagesOf(row.kind, row.rewards));
    EXPECT_NEAR(got.front(), row.correct, 1e-6) << row.kind;
    EXPECT_NEAR(got.back(), row.wrong, 1e-6) << row.kind;
  }
}

TEST(GrpoAdvantagesTest, ClosedFormOfTwoSamples) {
  // Mean 0.5, deviation sqrt(0.5).
  const double a = 0.5 / (std::sqrt(0.5) + 1e-6);
  const std::vector<double> got = Grpo({1.0, 0.0});
  EXPECT_DOUBLE_EQ(got[0], a);
  EXPECT_DOUBLE_EQ(got[1], -a);
}

TEST(GrpoAdvantagesTest, SumIsZeroAndShiftsDoNotMatter) {
  const Rewards rewards = {0.25, 1.5, -0.5, std::nullopt, 0.125};
  const std::vector<double> a = Grpo(rewards);
  EXPECT_NEAR(Sum(a), 0, 1e-12);
  Rewards shifted = rewards;
  for (auto& r : shifted) {
    if (r) *r += 8;
  }
  EXPECT_EQ(Grpo(shifted), a);
}

TEST(GrpoAdvantagesTest, ScaleOfRewardsHardlyMatters) {
  const std::vector<double> a = Grpo({1.0, 0.0, 0.0});
  const std::vector<double> b = Grpo({64.0, 0.0, 0.0});
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5);
}

TEST(GrpoAdvantagesTest, PermutingAGroupPermutesItsAdvantages) {
  const Rewards rewards = {0.5, std::nullopt, 1.0, 0.0};
  const Rewards turned = {0.0, 1.0, std::nullopt, 0.5};
  std::vector<double> a = Grpo(rewards);
  std::reverse(a.begin(), a.end());
  EXPECT_EQ(Grpo(turned), a);
}

TEST(GrpoAdvantagesTest, AnUnscorableSampleIsAsIfItWereNotThere) {
  const std::vector<double> with = Grpo({1.0, std::nullopt, 0.0, 0.0});
  const std::vector<double> without = Grpo({1.0, 0.0, 0.0});
  EXPECT_EQ(with, (std::vector<double>{without[0], 0, without[1], without[2]}));
}

TEST(GrpoAdvantagesTest, NoSignalWithoutSpread) {
  for (const Rewards& rewards :
       {Rewards{}, Rewards{1.0}, Rewards{0.0, 0.0, 0.0}, Rewards{0.1, 0.1, 0.1},
        Rewards{std::nullopt, std::nullopt}, Rewards{1.0, std::nullopt},
        Rewards{1.0, std::nullopt, 1.0}}) {
    for (const char* kind : {"grpo", "dr_grpo", "rloo"}) {
      const GroupAdvantages got = AdvantagesOf(kind, rewards);
      EXPECT_TRUE(got.zero_spread);
      EXPECT_EQ(got.advantages.numel(), static_cast<int64_t>(rewards.size()));
      EXPECT_THAT(Values(got), Each(0.0));
    }
  }
}

}  // namespace
}  // namespace ponder
