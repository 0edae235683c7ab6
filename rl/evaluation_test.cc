#include "rl/evaluation.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace ponder {
namespace {

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

TEST(SetAccuracyTest, ValuesAndIntervalsByName) {
  SetAccuracy accuracy;
  accuracy.figures = {{"greedy", {0.5, 0.4, 0.6, 10}},
                      {"pass@8", {0.75, 0.7, 0.8, 10}}};
  accuracy.by_difficulty["3"] = {{"greedy", {0.25, 0.2, 0.3, 4}}};
  const auto json = accuracy.ToJson();
  EXPECT_EQ(json["greedy"], 0.5);
  EXPECT_EQ(json["pass@8"], 0.75);
  EXPECT_EQ(json["interval"]["greedy"][1], 0.6);
  EXPECT_EQ(json["by_difficulty"]["3"]["greedy"], 0.25);
  EXPECT_EQ(json["by_difficulty"]["3"]["problems"], 4);

  Evaluation evaluation;
  evaluation.sets["set"] = accuracy;
  const Metrics metrics = EvaluationMetrics(evaluation);
  const auto value = [&](const std::string& name) {
    for (const auto& [known, v] : metrics) {
      if (known == name) return v;
    }
    return -1.0;
  };
  EXPECT_EQ(value("val-core/set/acc_strict"), 0.5);
  EXPECT_EQ(value("val-aux/set/pass@8/ci_high"), 0.8);
  EXPECT_EQ(value("val-core/set/3/acc_strict"), 0.25);

  // Of the sets, not of their difficulties; none without any.
  EXPECT_EQ(MeanAccuracy(metrics), 0.5);
  evaluation.sets["other"].figures = {{"greedy", {0.75, 0.7, 0.8, 10}}};
  EXPECT_EQ(MeanAccuracy(EvaluationMetrics(evaluation)), 0.625);
  EXPECT_EQ(MeanAccuracy({{"critic/rewards/mean", 1}}), std::nullopt);
}

}  // namespace
}  // namespace ponder
