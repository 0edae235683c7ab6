#include "reward/scorer.h"

#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/verifier_names.h"
#include "reward/builtin_verifiers.h"
#include "sandbox/sandbox_pool.h"

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

// Says what it is told to, and counts how often it was asked.
class FixedVerifier final : public Verifier {
 public:
  explicit FixedVerifier(VerifierScore score) : score_(std::move(score)) {}

  absl::StatusOr<std::vector<VerifierScore>> Score(
      absl::Span<const SampleToScore> samples, const CancelToken*) override {
    ++num_calls;
    return std::vector<VerifierScore>(samples.size(), score_);
  }

  int num_calls = 0;

 private:
  const VerifierScore score_;
};

VerifierScore ValueOf(Verdict verdict, double value) {
  VerifierScore score;
  score.verdict = verdict;
  score.value = value;
  score.reason = "because";
  return score;
}

// A scorer with a plug-in "mine" that always says the same.
class PluginScorer {
 public:
  explicit PluginScorer(VerifierScore score) : scorer_(Map(std::move(score))) {}

  ScoredResponse Score(const Problem& problem,
                       const ResponseToScore& response) {
    const auto scored = scorer_.Score(problem, response, nullptr);
    EXPECT_TRUE(scored.ok()) << scored.status();
    return scored.ok() ? *scored : ScoredResponse();
  }
  int num_calls() const { return mine_->num_calls; }

 private:
  VerifierMap Map(VerifierScore score) {
    VerifierMap map = BuiltInVerifiers(nullptr, {}, "no sandbox");
    auto mine = std::make_unique<FixedVerifier>(std::move(score));
    mine_ = mine.get();
    map["mine"] = std::move(mine);
    return map;
  }

  FixedVerifier* mine_ = nullptr;
  const Scorer scorer_;
};

TEST(ScorerTest, BuiltInVerifiersAreThoseThatConfigurationsMayName) {
  std::vector<std::string> names;
  for (const auto& [name, verifier] : BuiltInVerifiers(nullptr, {}, "")) {
    names.push_back(name);
  }
  EXPECT_THAT(names,
              testing::ElementsAreArray(std::vector<std::string>(
                  std::begin(kBuiltInVerifiers), std::end(kBuiltInVerifiers))));
}

TEST(ScorerTest, PluginIsAVerifierAndAComponent) {
  PluginScorer scorer(ValueOf(WRONG, 0.5));
  Problem problem = MathProblem("6");
  problem.set_verifier("mine");
  const ScoredResponse as_verifier = scorer.Score(problem, Response("x"));
  EXPECT_EQ(as_verifier.verdict(), WRONG);
  EXPECT_EQ(as_verifier.reward(), 0.5);
  EXPECT_EQ(as_verifier.reason(), "because");

  problem.set_verifier("math");
  AddComponent("accuracy", 1, &problem);
  AddComponent("mine", -2, &problem);
  const ScoredResponse both = scorer.Score(problem, Response("\\boxed{6}"));
  EXPECT_EQ(both.verdict(), CORRECT);
  EXPECT_EQ(both.reward(), 0);
  EXPECT_EQ(both.components(1).name(), "mine");
  EXPECT_EQ(both.components(1).value(), 0.5);
  EXPECT_EQ(both.components(1).verdict(), WRONG);
  EXPECT_EQ(both.components(1).reason(), "because");
}

// Twice the row's verifier is still one call.
TEST(ScorerTest, AVerifierIsAskedOnce) {
  PluginScorer scorer(ValueOf(CORRECT, 3));
  Problem problem = MathProblem("6");
  problem.set_verifier("mine");
  AddComponent("accuracy", 1, &problem);
  AddComponent("mine", 0.5, &problem);
  EXPECT_EQ(scorer.Score(problem, Response("x")).reward(), 4.5);
  EXPECT_EQ(scorer.num_calls(), 1);
}

TEST(ScorerTest, AComponentForcesItsVerifier) {
  PluginScorer scorer(ValueOf(CORRECT, 1));
  Problem problem = MathProblem("6");
  problem.set_verifier("mine");
  AddComponent("math", 1, &problem);
  const ScoredResponse scored = scorer.Score(problem, Response("\\boxed{7}"));
  EXPECT_EQ(scored.verdict(), CORRECT);  // The row's own.
  EXPECT_EQ(scored.reward(), 0);
  EXPECT_EQ(scored.components(0).verdict(), WRONG);
}

// A plug-in cannot make a score of what is none.
TEST(ScorerTest, NoFabricatedScores) {
  for (const VerifierScore& bad :
       {ValueOf(UNSCORABLE, 1), ValueOf(VERDICT_UNSPECIFIED, 1),
        ValueOf(CORRECT, std::numeric_limits<double>::quiet_NaN()),
        ValueOf(WRONG, -std::numeric_limits<double>::infinity())}) {
    PluginScorer scorer(bad);
    Problem problem = MathProblem("6");
    AddComponent("accuracy", 1, &problem);
    AddComponent("mine", 0.1, &problem);
    const ScoredResponse scored = scorer.Score(problem, Response("\\boxed{6}"));
    EXPECT_EQ(scored.verdict(), CORRECT);
    EXPECT_FALSE(scored.has_reward());
    EXPECT_FALSE(scored.components(1).has_value());
    EXPECT_EQ(scored.components(1).verdict(), UNSCORABLE);
    EXPECT_FALSE(scored.components(1).reason().empty());
    problem.mutable_components(1)->set_weight(0);
    EXPECT_EQ(scorer.Score(problem, Response("\\boxed{6}")).reward(), 1);
  }
}

// The answer of a response that was cut off is wrong, and worth no more than
// its verifier gives it: -1 must not become 0.
TEST(ScorerTest, TruncatedPluginAnswers) {
  ResponseToScore response = Response("x");
  response.set_truncated(true);
  for (const auto& [score, want] : {std::pair(ValueOf(CORRECT, 1), 0.0),
                                    std::pair(ValueOf(WRONG, -1), -1.0),
                                    std::pair(ValueOf(WRONG, 0.5), 0.0)}) {
    PluginScorer scorer(score);
    Problem problem = MathProblem("6");
    problem.set_verifier("mine");
    const ScoredResponse scored = scorer.Score(problem, response);
    EXPECT_EQ(scored.verdict(), WRONG);
    EXPECT_EQ(scored.reward(), want);
    EXPECT_THAT(scored.reason(), HasSubstr("token limit"));
  }
  // A component that is not about the answer keeps its value.
  PluginScorer scorer(ValueOf(CORRECT, 1));
  Problem problem = MathProblem("6");
  AddComponent("mine", 1, &problem);
  AddComponent("math", 1, &problem);
  const ScoredResponse scored = scorer.Score(problem, response);
  EXPECT_EQ(scored.components(0).value(), 1);
  EXPECT_EQ(scored.components(1).value(), 0);
}

TEST(ScorerTest, LengthComponent) {
  Problem problem = MathProblem("6");
  AddComponent("length", 2, &problem);
  LengthOptions* options = problem.mutable_components(0)->mutable_length();
  options->set_max_tokens(100);
  ResponseToScore response = Response("\\boxed{6}");
  const auto reward = [&](int tokens) {
    response.clear_ids();
    for (int i = 0; i < tokens; ++i) response.add_ids(7);
    return Score(problem, response).reward();
  };
  EXPECT_EQ(reward(80), 0);  // A fifth of 100 is the cache.
  EXPECT_EQ(reward(90), 2 * -0.5);
  response.set_truncated(true);
  EXPECT_EQ(reward(100), 2 * -1);
  EXPECT_EQ(Score(problem, response).components(0).verdict(), WRONG);
  response.set_truncated(false);
  options->set_cache_tokens(50);
  EXPECT_EQ(reward(75), 2 * -0.5);
  EXPECT_EQ(reward(50), 0);
  EXPECT_EQ(Score(problem, response).components(0).verdict(), CORRECT);
  options->clear_max_tokens();
  EXPECT_FALSE(Score(problem, response).has_reward());
}

TEST(ScorerTest, RepetitionComponent) {
  Problem problem = MathProblem("6");
  AddComponent("repetition", 1, &problem);
  const ResponseToScore response = Response("the cat sat the cat sat");
  EXPECT_EQ(Score(problem, response).reward(), -0.25);
  problem.mutable_components(0)->mutable_repetition()->set_ngram_words(1);
  EXPECT_EQ(Score(problem, response).reward(), -0.5);
}

TEST(ScorerTest, LanguageComponent) {
  Problem problem = MathProblem("6");
  problem.set_prompt("How many eggs does she have in the basket?");
  AddComponent("language", 1, &problem);
  const ResponseToScore response =
      Response("<think>Sie hat die Eier in dem Korb.</think>\\boxed{6}");
  const ScoredResponse scored = Score(problem, response);
  EXPECT_EQ(scored.reward(), 0);
  EXPECT_THAT(scored.components(0).reason(),
              HasSubstr("0 of 7 words are in the language en"));
  LanguageOptions* options = problem.mutable_components(0)->mutable_language();
  options->set_target("de");
  EXPECT_EQ(Score(problem, response).reward(), 1);
  options->set_target("xx");
  EXPECT_FALSE(Score(problem, response).has_reward());
}

TEST(ScorerTest, CodeProblemWithoutTestsIsUnscorable) {
  auto pool = SandboxPool::Create(1);
  if (!pool.ok()) GTEST_SKIP() << pool.status();
  const Scorer scorer(BuiltInVerifiers(pool->get(), {}, ""));
  Problem problem;
  problem.set_verifier("code");
  const auto scored = scorer.Score(problem, Response("print(1)"), nullptr);
  ASSERT_TRUE(scored.ok()) << scored.status();
  EXPECT_EQ(scored->verdict(), UNSCORABLE);
  EXPECT_THAT(scored->reason(), HasSubstr("needs tests"));
}

absl::string_view Source(absl::string_view answer) {
  return ExtractProgram(answer, "").source;
}

TEST(ExtractProgramTest, LastFencedBlock) {
  EXPECT_EQ(Source("x = 1\n"), "x = 1\n");
  EXPECT_EQ(Source("Here:\n```python\na\n```\nor\n```py\nb\n```\nEnd"), "b\n");
  EXPECT_EQ(Source("```\na\n```"), "a\n");
  EXPECT_EQ(Source("```Python3\na\n```\n"), "a\n");
  // Output that is shown behind the program is not the program.
  EXPECT_EQ(Source("```python\na\n```\n```text\n42\n```"), "a\n");
  EXPECT_EQ(ExtractProgram("```cpp\nint main\n```", "").language, "cpp");
  EXPECT_EQ(ExtractProgram("```cpp\nint main\n```", "python").source, "");
  // Cut off, or the end was left out.
  EXPECT_EQ(Source("```python\na\nb"), "a\nb");
  EXPECT_EQ(Source("  ```python\n  a\n  ```"), "  a\n");
  EXPECT_EQ(Source("```python"), "");
  EXPECT_EQ(Source(""), "");
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
