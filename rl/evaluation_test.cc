#include "rl/evaluation.h"

#include <bit>
#include <cstdint>

#include "gtest/gtest.h"

namespace ponder {
namespace {

// Share of the ways to draw k of n samples that have one of the first c.
double BruteForce(int n, int c, int k) {
  const uint32_t correct = (1u << c) - 1;
  int64_t ways = 0, hits = 0;
  for (uint32_t drawn = 0; drawn < (1u << n); ++drawn) {
    if (std::popcount(drawn) != k) continue;
    ++ways;
    hits += (drawn & correct) != 0;
  }
  return static_cast<double>(hits) / static_cast<double>(ways);
}

TEST(PassAtKTest, IsTheShareOfDrawsWithACorrectOne) {
  for (int n = 1; n <= 10; ++n) {
    for (int c = 0; c <= n; ++c) {
      for (int k = 1; k <= n; ++k) {
        EXPECT_NEAR(PassAtK(n, c, k), BruteForce(n, c, k), 1e-12)
            << n << " " << c << " " << k;
      }
    }
  }
}

TEST(PassAtKTest, LargeNumbersDoNotOverflow) {
  EXPECT_NEAR(PassAtK(100000, 1, 1), 1e-5, 1e-12);
  EXPECT_NEAR(PassAtK(100000, 1, 50000), 0.5, 1e-9);
  EXPECT_EQ(PassAtK(100000, 0, 1000), 0);
  EXPECT_EQ(PassAtK(100000, 100000, 1), 1);
}

TEST(HasThoughtTest, TextBetweenTheTags) {
  EXPECT_TRUE(HasThought("<think>a</think>b", false));
  EXPECT_TRUE(HasThought("  <think>\na\n</think>", false));
  EXPECT_TRUE(HasThought("Well. <think>a</think>b", false));
}

TEST(HasThoughtTest, ABlankThoughtIsNone) {
  EXPECT_FALSE(HasThought("<think></think>b", false));
  EXPECT_FALSE(HasThought("<think> \t\r\n</think>b", false));
  EXPECT_FALSE(HasThought(" \n</think>b", true));
}

TEST(HasThoughtTest, AnUnclosedThoughtIsNone) {
  EXPECT_FALSE(HasThought("<think>a", false));
  EXPECT_FALSE(HasThought("a", true));
  EXPECT_FALSE(HasThought("", true));
}

TEST(HasThoughtTest, ThePromptMayHaveOpenedIt) {
  EXPECT_TRUE(HasThought("a</think>b", true));
  EXPECT_FALSE(HasThought("a</think>b", false));
  // It is opened again: what counts is what follows.
  EXPECT_FALSE(HasThought("a<think> </think>b", true));
}

TEST(HasThoughtTest, TagsTheWrongWayRound) {
  EXPECT_FALSE(HasThought("a</think><think>b", false));
  EXPECT_TRUE(HasThought("a</think><think>b", true));
}

TEST(SetAccuracyTest, NamesSayHowManySamples) {
  SetAccuracy accuracy;
  accuracy.k = 8;
  accuracy.greedy = 0.5;
  accuracy.pass_at_k = 0.75;
  const auto json = accuracy.ToJson();
  EXPECT_EQ(json["greedy"], 0.5);
  EXPECT_EQ(json["pass@8"], 0.75);
  EXPECT_TRUE(json.contains("avg@8"));
  accuracy.k = 0;
  EXPECT_FALSE(accuracy.ToJson().contains("avg@0"));
}

}  // namespace
}  // namespace ponder
