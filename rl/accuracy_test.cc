#include "rl/accuracy.h"

#include <bit>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/philox.h"
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

SampleVerdict Right() { return {true, true, true, "7"}; }
SampleVerdict Wrong(const std::string& answer) {
  return {true, false, false, answer};
}
SampleVerdict Unscorable() { return {}; }

TEST(MajorityTest, TheAnswerThatMostSamplesGive) {
  EXPECT_EQ(MajorityCorrect({Right(), Right(), Wrong("1")}), 1);
  EXPECT_EQ(MajorityCorrect({Right(), Wrong("1"), Wrong("1")}), 0);
  // Wrong answers that differ do not vote together.
  EXPECT_EQ(
      MajorityCorrect({Right(), Right(), Wrong("1"), Wrong("2"), Wrong("3")}),
      1);
  EXPECT_EQ(MajorityCorrect({Right(), Wrong("1")}), 0.5);
  EXPECT_EQ(MajorityCorrect({Right(), Wrong("1"), Wrong("2")}), 1.0 / 3);
  // Who gives no answer has no vote.
  EXPECT_EQ(MajorityCorrect({Right(), Wrong(""), Wrong("")}), 1);
  EXPECT_EQ(MajorityCorrect({Wrong(""), Wrong("")}), 0);
  EXPECT_EQ(MajorityCorrect({Right(), Unscorable(), Unscorable()}), 1);
  EXPECT_EQ(MajorityCorrect({Unscorable()}), std::nullopt);
  EXPECT_EQ(MajorityCorrect({}), std::nullopt);
}

// Of n throws of a coin the interval is about 1.96 deviations of the mean.
TEST(BootstrapTest, AgreesWithTheNormalInterval) {
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) values.push_back(i % 10 < 3 ? 1 : 0);
  const Figure figure = BootstrapMean(values);
  const double half = 1.96 * std::sqrt(0.3 * 0.7 / 1000);
  EXPECT_DOUBLE_EQ(figure.value, 0.3);
  EXPECT_NEAR(figure.low, 0.3 - half, 0.1 * half);
  EXPECT_NEAR(figure.high, 0.3 + half, 0.1 * half);
  EXPECT_EQ(figure.problems, 1000);
}

// The truth is within the interval in about 95 % of experiments.
TEST(BootstrapTest, CoversTheTruth) {
  RandomStream random(StreamKey().Add("coverage").key());
  int covered = 0;
  for (int experiment = 0; experiment < 200; ++experiment) {
    std::vector<double> values;
    for (int i = 0; i < 60; ++i) values.push_back(random.Double() < 0.4);
    const Figure figure = BootstrapMean(values);
    covered += figure.low <= 0.4 && 0.4 <= figure.high;
  }
  EXPECT_GE(covered, 180);
  EXPECT_LT(covered, 200);
}

TEST(BootstrapTest, NoSpreadIsNoInterval) {
  const Figure figure = BootstrapMean({1, 1, 1});
  EXPECT_EQ(figure.low, 1);
  EXPECT_EQ(figure.high, 1);
  EXPECT_EQ(BootstrapMean({}).problems, 0);
}

ProblemResult Problem(const std::string& id, const SampleVerdict& greedy,
                      const std::vector<SampleVerdict>& samples) {
  ProblemResult result = ProblemResult::Of(greedy, samples);
  result.set = "set";
  result.id = id;
  return result;
}

TEST(FiguresTest, OfThreeProblems) {
  SampleVerdict bare = Wrong("7");
  bare.flexible = true;  // Right, but not in the form that was asked for.
  const std::vector<ProblemResult> problems = {
      Problem("a", Right(), {Right(), Right(), Wrong("1"), Wrong("2")}),
      Problem("b", bare, {bare, Wrong("1"), Wrong("1"), Wrong("1")}),
      Problem("c", Unscorable(),
              {Unscorable(), Right(), Unscorable(), Unscorable()})};
  const Figures figures = FiguresOf(problems, 4);
  std::vector<std::string> names;
  for (const auto& [name, figure] : figures) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"greedy", "greedy_flexible",
                                             "avg@4", "avg@4_flexible", "maj@4",
                                             "pass@2", "pass@4"}));
  EXPECT_DOUBLE_EQ(ValueOf(figures, "greedy"), 1.0 / 2);  // c is unscorable.
  EXPECT_DOUBLE_EQ(ValueOf(figures, "greedy_flexible"), 1);
  EXPECT_DOUBLE_EQ(ValueOf(figures, "avg@4"), (0.5 + 0 + 1) / 3);
  EXPECT_DOUBLE_EQ(ValueOf(figures, "avg@4_flexible"), (0.5 + 0.25 + 1) / 3);
  EXPECT_DOUBLE_EQ(ValueOf(figures, "maj@4"), (1.0 + 0 + 1) / 3);
  EXPECT_DOUBLE_EQ(ValueOf(figures, "pass@2"), (5.0 / 6 + 0 + 1) / 3);
  EXPECT_DOUBLE_EQ(ValueOf(figures, "pass@4"), 2.0 / 3);
  EXPECT_EQ(FiguresOf(problems, 0).size(), 2u);
}

TEST(ResultsTest, AreReadAsTheyWereWritten) {
  const std::string path =
      testing::TempDir() + "/accuracy_test/eval/results.jsonl";
  std::vector<ProblemResult> written = {
      Problem("a", Right(), {Right(), Wrong("1")}),
      Problem("b", Unscorable(), {Unscorable()})};
  written[0].difficulty = "3";
  ASSERT_TRUE(WriteResults(path, written).ok());
  const auto read = ReadResults(path);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*read)[i].ToJson(), written[i].ToJson());
  }
  std::filesystem::remove_all(testing::TempDir() + "/accuracy_test");
}

TEST(ReadResultsTest, WhatIsNoResultIsNamed) {
  const std::string path = testing::TempDir() + "/results.jsonl";
  for (const char* line :
       {R"({"set": "a", "id": 3, "scored": 1, "correct": 1})",
        R"({"set": "a", "id": "3", "scored": 1, "correct": 1, "greedy": 1})",
        R"({"set": "a", "id": "3", "scored": "1", "correct": 1})",
        R"({"set": "a", "id": "3", "scored": 1, "correct": 1,)"
        R"( "majority": true})"}) {
    ASSERT_TRUE(WriteFileAtomically(path, line).ok());
    const auto results = ReadResults(path);
    EXPECT_FALSE(results.ok()) << line;
    EXPECT_NE(std::string(results.status().message()).find("line 1"),
              std::string::npos);
  }
}

// The problems differ much, B is a little better on each: only a paired test
// can see it.
TEST(CompareTest, PairsTheProblems) {
  std::vector<ProblemResult> a, b;
  for (int i = 0; i < 40; ++i) {
    std::vector<SampleVerdict> samples;
    for (int s = 0; s < 20; ++s) {
      samples.push_back(s < i % 19 ? Right() : Wrong("1"));
    }
    const std::string id = absl::StrCat("p", i);
    a.push_back(Problem(id, Right(), samples));
    samples[19] = Right();
    b.push_back(Problem(id, i % 2 == 0 ? Right() : Wrong("1"), samples));
  }
  b.push_back(Problem("only in b", Right(), {Right()}));
  const std::vector<PairedDifference> found = Compare(a, b);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].figure, "greedy");
  EXPECT_DOUBLE_EQ(found[0].difference.value, -0.5);
  EXPECT_LT(found[0].p_value, 0.001);
  EXPECT_EQ(found[1].figure, "avg");
  EXPECT_NEAR(found[1].difference.value, 0.05, 1e-12);
  EXPECT_NEAR(found[1].difference.low, 0.05, 1e-12);
  EXPECT_LT(found[1].p_value, 0.001);
  EXPECT_EQ(found[1].difference.problems, 40);
  // Unpaired, the two intervals overlap.
  EXPECT_LT(found[1].b.low, found[1].a.high);
  // The same twice is no difference.
  EXPECT_EQ(Compare(a, a)[1].p_value, 1);
}

TEST(CompareTest, SeveralSetsAreComparedTogetherToo) {
  std::vector<ProblemResult> a, b;
  for (const char* set : {"one", "two"}) {
    for (int i = 0; i < 10; ++i) {
      const std::string id = absl::StrCat("p", i);
      a.push_back(Problem(id, Wrong("1"), {Wrong("1")}));
      b.push_back(
          Problem(id, set[0] == 'o' ? Right() : Wrong("1"), {Wrong("1")}));
      a.back().set = b.back().set = set;
    }
  }
  std::map<std::string, double> gains;
  for (const PairedDifference& d : Compare(a, b)) {
    if (d.figure == "greedy") gains[d.set] = d.difference.value;
  }
  EXPECT_EQ(gains, (std::map<std::string, double>{
                       {"one", 1}, {"two", 0}, {kAllSets, 0.5}}));
}

}  // namespace
}  // namespace ponder
