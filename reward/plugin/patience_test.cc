#include "reward/plugin/patience.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);

absl::Time At(double seconds) {
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

TEST(PatienceTest, RestsAfterThreeTimeoutsInARow) {
  Patience patience(kTimeout);
  EXPECT_TRUE(patience.MayAsk(At(0)).ok());
  patience.OnOver(/*failed=*/true, At(0), At(10));
  patience.OnOver(/*failed=*/true, At(10), At(20));
  EXPECT_TRUE(patience.MayAsk(At(20)).ok());
  patience.OnOver(/*failed=*/true, At(20), At(30));
  const absl::Status status = patience.MayAsk(At(59));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status));
  EXPECT_EQ(std::string(status.message()),
            "it did not answer the last 3 batches in time and is left alone "
            "for 30s");
  // And then one more decides.
  EXPECT_TRUE(patience.MayAsk(At(60)).ok());
  patience.OnOver(/*failed=*/true, At(60), At(70));
  EXPECT_FALSE(patience.MayAsk(At(99)).ok());
  EXPECT_TRUE(patience.MayAsk(At(100)).ok());
  patience.OnOver(/*failed=*/false, At(100), At(109));
  patience.OnOver(/*failed=*/true, At(109), At(119));
  patience.OnOver(/*failed=*/true, At(119), At(129));
  EXPECT_TRUE(patience.MayAsk(At(129)).ok());
}

TEST(PatienceTest, WhatFailsAtOnceIsAskedAgain) {
  Patience patience(kTimeout);
  for (int i = 0; i < 10; ++i) {
    patience.OnOver(/*failed=*/true, At(i), At(i + 0.5));
  }
  EXPECT_TRUE(patience.MayAsk(At(10)).ok());
}

TEST(PatienceTest, AnAnswerInBetweenCounts) {
  Patience patience(kTimeout);
  for (int i = 0; i < 10; ++i) {
    patience.OnOver(/*failed=*/true, At(20 * i), At(20 * i + 10));
    patience.OnOver(/*failed=*/i % 2 == 0, At(20 * i + 10), At(20 * i + 11));
    EXPECT_TRUE(patience.MayAsk(At(20 * i + 11)).ok());
  }
}

}  // namespace
}  // namespace ponder
