#include "rl/advantage.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

using ::testing::Each;
using Rewards = std::vector<std::optional<double>>;

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// Wanted values: tests/parity/make_rl_golden.py, NumPy in float64.
TEST(GrpoAdvantagesTest, MatchesPython) {
  const auto text = ReadFile("tests/parity/golden/rl.json");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto golden = nlohmann::json::parse(*text);
  int num_cases = 0;
  for (const auto& c : golden["advantages"]) {
    SCOPED_TRACE(c["name"].get<std::string>());
    Rewards rewards;
    for (const auto& r : c["rewards"]) {
      rewards.push_back(r.is_null() ? std::nullopt
                                    : std::optional<double>(r.get<double>()));
    }
    const std::vector<double> wanted = c["advantages"];
    const GroupAdvantages got = GrpoAdvantages(rewards);
    ASSERT_EQ(got.advantages.size(), wanted.size());
    const bool flat = std::all_of(wanted.begin(), wanted.end(),
                                  [](double a) { return std::abs(a) < 1e-9; });
    EXPECT_EQ(got.zero_spread, flat);
    // The golden file also has advantages that are not divided by the
    // deviation; ours are those times one positive number.
    double factor = 1;
    if (!c["scale"].get<bool>() && !flat) {
      const size_t i = static_cast<size_t>(
          std::max_element(wanted.begin(), wanted.end()) - wanted.begin());
      factor = got.advantages[i] / wanted[i];
      EXPECT_GT(factor, 0);
    }
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(got.advantages[i], factor * wanted[i], 1e-9) << i;
    }
    ++num_cases;
  }
  EXPECT_EQ(num_cases, 24);
}

TEST(GrpoAdvantagesTest, ClosedFormOfTwoSamples) {
  // Mean 0.5, deviation sqrt(0.5).
  const double a = 0.5 / (std::sqrt(0.5) + 1e-6);
  const GroupAdvantages got = GrpoAdvantages({1.0, 0.0});
  EXPECT_DOUBLE_EQ(got.advantages[0], a);
  EXPECT_DOUBLE_EQ(got.advantages[1], -a);
  EXPECT_FALSE(got.zero_spread);
}

TEST(GrpoAdvantagesTest, SumIsZeroAndShiftsDoNotMatter) {
  const Rewards rewards = {0.25, 1.5, -0.5, std::nullopt, 0.125};
  const std::vector<double> a = GrpoAdvantages(rewards).advantages;
  EXPECT_NEAR(Sum(a), 0, 1e-12);
  Rewards shifted = rewards;
  for (auto& r : shifted) {
    if (r) *r += 8;
  }
  EXPECT_EQ(GrpoAdvantages(shifted).advantages, a);
}

TEST(GrpoAdvantagesTest, ScaleOfRewardsHardlyMatters) {
  const std::vector<double> a = GrpoAdvantages({1.0, 0.0, 0.0}).advantages;
  const std::vector<double> b = GrpoAdvantages({64.0, 0.0, 0.0}).advantages;
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5);
}

TEST(GrpoAdvantagesTest, PermutingAGroupPermutesItsAdvantages) {
  const Rewards rewards = {0.5, std::nullopt, 1.0, 0.0};
  const Rewards turned = {0.0, 1.0, std::nullopt, 0.5};
  std::vector<double> a = GrpoAdvantages(rewards).advantages;
  std::reverse(a.begin(), a.end());
  EXPECT_EQ(GrpoAdvantages(turned).advantages, a);
}

TEST(GrpoAdvantagesTest, AnUnscorableSampleIsAsIfItWereNotThere) {
  const std::vector<double> with =
      GrpoAdvantages({1.0, std::nullopt, 0.0, 0.0}).advantages;
  const std::vector<double> without =
      GrpoAdvantages({1.0, 0.0, 0.0}).advantages;
  EXPECT_EQ(with, (std::vector<double>{without[0], 0, without[1], without[2]}));
}

TEST(GrpoAdvantagesTest, NoSignalWithoutSpread) {
  for (const Rewards& rewards :
       {Rewards{}, Rewards{1.0}, Rewards{0.0, 0.0, 0.0}, Rewards{0.1, 0.1, 0.1},
        Rewards{std::nullopt, std::nullopt}, Rewards{1.0, std::nullopt},
        Rewards{1.0, std::nullopt, 1.0}}) {
    const GroupAdvantages got = GrpoAdvantages(rewards);
    EXPECT_TRUE(got.zero_spread);
    EXPECT_EQ(got.advantages.size(), rewards.size());
    EXPECT_THAT(got.advantages, Each(0.0));
  }
}

}  // namespace
}  // namespace ponder
