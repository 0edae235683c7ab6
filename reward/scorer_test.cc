#include "reward/scorer.h"

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "reward/builtin_verifiers.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

Problem MathProblem(const std::string& answer) {
  Problem problem;
  problem.set_id("p");
  problem.set_verifier("math");
  problem.set_answer(answer);
  return problem;
}

void AddComponent(const std::string& name, double weight, Problem* problem) {
  RewardComponent* component = problem->add_components();
  component->set_name(name);
  component->set_weight(weight);
}

ResponseToScore Response(const std::string& text) {
  ResponseToScore response;
  response.set_index(3);
  response.set_text(text);
  return response;
}

ScoredResponse Score(const Problem& problem, const ResponseToScore& response) {
  const Scorer scorer(BuiltInVerifiers(nullptr, {}, "no sandbox"));
  const auto scored = scorer.Score(problem, response, nullptr);
  EXPECT_TRUE(scored.ok()) << scored.status();
  return scored.ok() ? *scored : ScoredResponse();
}

TEST(ScorerTest, WeighsComponents) {
  Problem problem = MathProblem("6");
  AddComponent("accuracy", 1, &problem);
  AddComponent("format", 0.25, &problem);
  const ScoredResponse both =
      Score(problem, Response("<think>2*3</think>\\boxed{6}"));
  EXPECT_EQ(both.index(), 3);
  EXPECT_EQ(both.verdict(), CORRECT);
  EXPECT_EQ(both.reward(), 1.25);
  EXPECT_EQ(both.extracted(), "6");
  ASSERT_EQ(both.components_size(), 2);
  EXPECT_EQ(both.components(1).value(), 1);
  EXPECT_EQ(Score(problem, Response("\\boxed{6}")).reward(), 1);
  EXPECT_EQ(Score(problem, Response("<think>x</think>\\boxed{7}")).reward(),
            0.25);
}

TEST(ScorerTest, AccuracyIsTheDefault) {
  const ScoredResponse right = Score(MathProblem("6"), Response("\\boxed{6}"));
  EXPECT_EQ(right.reward(), 1);
  ASSERT_EQ(right.components_size(), 1);
  EXPECT_EQ(right.components(0).name(), "accuracy");
  const ScoredResponse loose = Score(MathProblem("6"), Response("so 6 it is"));
  EXPECT_EQ(loose.verdict(), WRONG);
  EXPECT_EQ(loose.reward(), 0);
  EXPECT_TRUE(loose.flexible_correct());
}

TEST(ScorerTest, TruncatedIsWrong) {
  ResponseToScore response = Response("<think>x</think>\\boxed{6}");
  response.set_truncated(true);
  Problem problem = MathProblem("6");
  AddComponent("accuracy", 1, &problem);
  AddComponent("format", 1, &problem);
  const ScoredResponse scored = Score(problem, response);
  EXPECT_EQ(scored.verdict(), WRONG);
  EXPECT_EQ(scored.reward(), 0);
}

TEST(ScorerTest, UnscorableHasNoReward) {
  Problem problem = MathProblem("");
  AddComponent("accuracy", 1, &problem);
  AddComponent("format", 1, &problem);
  ResponseToScore response = Response("<think>x</think>\\boxed{6}");
  for (const bool truncated : {false, true}) {
    response.set_truncated(truncated);
    const ScoredResponse scored = Score(problem, response);
    EXPECT_EQ(scored.verdict(), UNSCORABLE);
    EXPECT_FALSE(scored.has_reward());
    EXPECT_FALSE(scored.components(0).has_value());
    EXPECT_TRUE(scored.components(1).has_value());
  }
  // With weight 0 it is shown, and the reward is the rest.
  problem.mutable_components(0)->set_weight(0);
  response.set_truncated(false);
  EXPECT_EQ(Score(problem, response).reward(), 1);
}

TEST(ScorerTest, RefusesWhatItDoesNotKnow) {
  const Scorer scorer(BuiltInVerifiers(nullptr, {}, "bubblewrap is missing"));
  const auto message = [&](const Problem& problem) {
    const auto scored = scorer.Score(problem, Response("x"), nullptr);
    EXPECT_FALSE(scored.ok());
    return std::string(scored.status().message());
  };
  Problem problem = MathProblem("6");
  problem.set_verifier("maths");
  EXPECT_THAT(message(problem),
              HasSubstr("got \"maths\", wanted one of code, countdown, "));
  problem = MathProblem("6");
  AddComponent("style", 1, &problem);
  EXPECT_THAT(message(problem), HasSubstr("component: got \"style\""));
  problem = MathProblem("6");
  AddComponent("accuracy", std::numeric_limits<double>::quiet_NaN(), &problem);
  EXPECT_THAT(message(problem), HasSubstr("not a number"));
  problem = Problem();
  problem.set_verifier("code");
  EXPECT_THAT(message(problem), HasSubstr("bubblewrap is missing"));
}

TEST(ScorerTest, AnswersAreValidUtf8) {
  const ScoredResponse scored =
      Score(MathProblem("6"), Response("\\boxed{\xff\xc3\xa9\xe2\x82}"));
  EXPECT_EQ(scored.extracted(), "?\xc3\xa9??");
}

TEST(ExtractProgramTest, LastFencedBlock) {
  EXPECT_EQ(ExtractProgram("x = 1\n"), "x = 1\n");
  EXPECT_EQ(ExtractProgram("Here:\n```python\na\n```\nor\n```py\nb\n```\nEnd"),
            "b\n");
  EXPECT_EQ(ExtractProgram("```\na\n```"), "a\n");
  EXPECT_EQ(ExtractProgram("```Python3\na\n```\n"), "a\n");
  // Output that is shown behind the program is not the program.
  EXPECT_EQ(ExtractProgram("```python\na\n```\n```text\n42\n```"), "a\n");
  EXPECT_EQ(ExtractProgram("```cpp\nint main\n```"), "");
  // Cut off, or the end was left out.
  EXPECT_EQ(ExtractProgram("```python\na\nb"), "a\nb");
  EXPECT_EQ(ExtractProgram("  ```python\n  a\n  ```"), "  a\n");
  EXPECT_EQ(ExtractProgram("```python"), "");
  EXPECT_EQ(ExtractProgram(""), "");
}

class CodeScorerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto pool = SandboxPool::Create(1);
    if (!pool.ok()) GTEST_SKIP() << pool.status();
    pool_ = *std::move(pool);
    CodeVerifier::Options options;
    options.limits.wall = absl::Seconds(1);
    options.limits.cpu = absl::Seconds(1);
    scorer_ =
        std::make_unique<Scorer>(BuiltInVerifiers(pool_.get(), options, ""));

    problem_.set_id("add");
    problem_.set_verifier("code");
    problem_.mutable_tests()->set_kind("call");
    problem_.mutable_tests()->set_fn("add");
    for (const bool hidden : {false, true}) {
      TestCase* test = hidden ? problem_.mutable_tests()->add_hidden()
                              : problem_.mutable_tests()->add_visible();
      test->mutable_args()->add_values()->set_int_value(hidden ? 5 : 1);
      test->mutable_args()->add_values()->set_int_value(2);
      test->mutable_expected()->set_int_value(hidden ? 7 : 3);
    }
  }

  ScoredResponse ScoreCode(const std::string& text) {
    const auto scored = scorer_->Score(problem_, Response(text), nullptr);
    EXPECT_TRUE(scored.ok()) << scored.status();
    return scored.ok() ? *scored : ScoredResponse();
  }

  std::unique_ptr<SandboxPool> pool_;
  std::unique_ptr<Scorer> scorer_;
  Problem problem_;
};

TEST_F(CodeScorerTest, JudgesTheProgram) {
  const std::string right =
      "<think>easy</think>Here:\n```python\ndef add(a, b):\n  return a + "
      "b\n```\n";
  const ScoredResponse scored = ScoreCode(right);
  EXPECT_EQ(scored.verdict(), CORRECT) << scored.reason();
  EXPECT_EQ(scored.reward(), 1);
  EXPECT_EQ(scored.reason(), "all 2 tests pass");
  EXPECT_EQ(scored.extracted(), "def add(a, b):\n  return a + b\n");
  // From memory, and just the same.
  const ScoredResponse again = ScoreCode(right);
  EXPECT_EQ(again.reason(), scored.reason());
  EXPECT_EQ(again.verdict(), CORRECT);

  // The visible example alone is not enough.
  const ScoredResponse partly =
      ScoreCode("def add(a, b):\n  return 3<|endoftext|>");
  EXPECT_EQ(partly.verdict(), WRONG);
  EXPECT_THAT(partly.reason(), HasSubstr("WA in test 2 of 2: returned 3"));
  EXPECT_EQ(ScoreCode("").verdict(), WRONG);
  EXPECT_EQ(ScoreCode("<think>def add(a, b): return a + b").verdict(), WRONG);
}

TEST_F(CodeScorerTest, EndlessProgramIsWrongAndTimedOut) {
  const ScoredResponse scored =
      ScoreCode("def add(a, b):\n  while True: pass\n");
  EXPECT_EQ(scored.verdict(), WRONG);
  EXPECT_EQ(scored.reward(), 0);
  EXPECT_TRUE(scored.timed_out());
}

TEST_F(CodeScorerTest, BadTestsAreUnscorable) {
  problem_.mutable_tests()->set_checker("nonsense");
  const ScoredResponse scored = ScoreCode("def add(a, b): return a + b");
  EXPECT_EQ(scored.verdict(), UNSCORABLE);
  EXPECT_FALSE(scored.has_reward());
}

Problem CountdownProblem(const std::vector<int64_t>& numbers) {
  Problem problem;
  problem.set_id("p");
  problem.set_verifier("countdown");
  problem.set_answer("24");
  Field* target = problem.mutable_row()->add_fields();
  target->set_name("target");
  target->mutable_value()->set_int_value(24);
  Field* list = problem.mutable_row()->add_fields();
  list->set_name("numbers");
  for (const int64_t number : numbers) {
    list->mutable_value()->mutable_list()->add_values()->set_int_value(number);
  }
  return problem;
}

TEST(ScorerTest, CountdownReadsTheRowsColumns) {
  const Problem problem = CountdownProblem({4, 6});
  const ScoredResponse right = Score(problem, Response("\\boxed{6*4}"));
  EXPECT_EQ(right.verdict(), CORRECT);
  EXPECT_EQ(right.reward(), 1);
  EXPECT_EQ(right.extracted(), "6*4");
  const ScoredResponse wrong = Score(problem, Response("\\boxed{24}"));
  EXPECT_EQ(wrong.verdict(), WRONG);
  EXPECT_EQ(wrong.reward(), 0);
  EXPECT_THAT(wrong.reason(), HasSubstr("it uses 24"));
}

TEST(ScorerTest, CountdownRowThatIsNoneIsUnscorable) {
  for (const char* lost : {"target", "numbers"}) {
    Problem problem = CountdownProblem({4, 6});
    for (Field& field : *problem.mutable_row()->mutable_fields()) {
      if (field.name() == lost) field.mutable_value()->set_string_value("4, 6");
    }
    ResponseToScore response = Response("\\boxed{6*4}");
    for (const bool truncated : {false, true}) {
      response.set_truncated(truncated);
      const ScoredResponse scored = Score(problem, response);
      EXPECT_EQ(scored.verdict(), UNSCORABLE);
      EXPECT_FALSE(scored.has_reward());
      if (!truncated) {
        EXPECT_THAT(scored.reason(), HasSubstr(lost));
      }
    }
  }
}

}  // namespace
}  // namespace ponder
