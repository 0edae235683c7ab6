#include "reward/length_penalty.h"

#include "gtest/gtest.h"

namespace ponder {
namespace {

TEST(LengthPenaltyTest, IsEquation13OfDapo) {
  const auto dapo = [](int64_t n) { return LengthPenalty(n, 20480, 4096); };
  EXPECT_EQ(dapo(0), 0);
  EXPECT_EQ(dapo(16384), 0);
  EXPECT_EQ(dapo(16384 + 1024), -0.25);
  EXPECT_EQ(dapo(16384 + 3072), -0.75);
  EXPECT_EQ(dapo(20480), -1);
  EXPECT_EQ(dapo(1'000'000), -1);
}

TEST(LengthPenaltyTest, NeverRises) {
  for (int64_t n = 1; n < 120; ++n) {
    EXPECT_LE(LengthPenalty(n, 100, 30), LengthPenalty(n - 1, 100, 30)) << n;
  }
}

TEST(LengthPenaltyTest, SmallestSizes) {
  EXPECT_EQ(LengthPenalty(9, 10, 1), 0);
  EXPECT_EQ(LengthPenalty(10, 10, 1), -1);
  EXPECT_EQ(LengthPenalty(5, 10, 10), -0.5);
  EXPECT_EQ(LengthPenalty(5, 10, 99), -0.5);
}

}  // namespace
}  // namespace ponder
