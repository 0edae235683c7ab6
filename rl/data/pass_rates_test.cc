#include "rl/data/pass_rates.h"

#include "gtest/gtest.h"

namespace ponder {
namespace {

// Share of a fine grid of uniform numbers that is accepted.
double AcceptedShare(const PassRates& curriculum, const std::string& problem) {
  int accepted = 0;
  for (int i = 0; i < 1000; ++i) {
    accepted += curriculum.Accepts(problem, (i + 0.5) / 1000);
  }
  return accepted / 1000.0;
}

TEST(PassRatesTest, ProblemsSolvedHalfTheTimeComeMostOften) {
  PassRates curriculum({.floor = 0.1, .newest = 0.5});
  curriculum.Observe("half", 0.5);
  curriculum.Observe("quarter", 0.25);
  curriculum.Observe("never", 0);
  curriculum.Observe("always", 1);
  EXPECT_EQ(AcceptedShare(curriculum, "half"), 1);
  EXPECT_NEAR(AcceptedShare(curriculum, "quarter"), 0.75, 1e-9);
  EXPECT_NEAR(AcceptedShare(curriculum, "never"), 0.1, 1e-9);
  EXPECT_NEAR(AcceptedShare(curriculum, "always"), 0.1, 1e-9);
  EXPECT_EQ(AcceptedShare(curriculum, "not seen"), 1);
}

TEST(PassRatesTest, FollowsThePolicy) {
  PassRates curriculum({.floor = 0.1, .newest = 0.5});
  curriculum.Observe("a", 0);
  curriculum.Observe("a", 1);  // p = 0.5.
  EXPECT_EQ(AcceptedShare(curriculum, "a"), 1);
  curriculum.Observe("a", 1);  // p = 0.75.
  EXPECT_NEAR(AcceptedShare(curriculum, "a"), 0.75, 1e-9);
}

TEST(PassRatesTest, ACheckpointKeepsIt) {
  PassRates before({});
  before.Observe("a", 0.25);
  before.Observe("b", 1);
  PassRates after({});
  after.FromJson(before.ToJson());
  EXPECT_EQ(after.ToJson(), before.ToJson());
  EXPECT_NEAR(AcceptedShare(after, "a"), 0.75, 1e-9);
}

}  // namespace
}  // namespace ponder
