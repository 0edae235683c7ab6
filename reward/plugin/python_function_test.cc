// Python functions as TRL and verl call them, by libexec/verifier_runner.py.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "reward/plugin/plugin_test_fixture.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class PythonFunctionTest : public PluginTest {
 protected:
  static PluginVerifier Example(const std::string& function) {
    PluginVerifier config = Config();
    config.set_python("examples/verifiers/python/rewards.py:" + function);
    return config;
  }
};

TEST_F(PythonFunctionTest, TrlGetsListsByName) {
  const auto verifier = MustLoad(Python(R"(
def f(prompts, completions, completion_ids, solution, level, answer, id):
    assert prompts == ["What is it?"] * 2, prompts
    assert completions == ["a", "b"], completions
    assert completion_ids == [[7, 8]] * 2, completion_ids
    assert solution == ["s", None], solution
    assert level == [None, 12345678901234567890123], level
    assert answer == ["1", "x"], answer
    assert id == ["p1", "p2"], id
    return [1, 0]
)"));
  ASSERT_NE(verifier, nullptr);
  const auto scores =
      Score(*verifier, PluginSamples()
                           .Add("1", "a", R"({"solution": "s"})")
                           .Add("2", "b", R"({"level": 12345678901234567890123,
                                              "answer": "x"})"));
  ASSERT_EQ(scores.size(), 2);
  EXPECT_EQ(scores[0].verdict, CORRECT) << scores[0].reason;
  EXPECT_EQ(scores[1].verdict, WRONG) << scores[1].reason;
}

TEST_F(PythonFunctionTest, TrlGetsMessagesOfAConversation) {
  const auto verifier = MustLoad(Python(R"(
def f(prompts, completions, **kwargs):
    assert prompts == [[{"role": "user", "content": "hi"}], "What is it?"]
    assert completions[1] == "b"
    return [float(completions[0] == [{"role": "assistant", "content": "a"}]), 0]
)"));
  ASSERT_NE(verifier, nullptr);
  PluginSamples samples;
  samples.Add("", "a").Add("", "b");
  samples.problem(0).add_messages()->set_role("user");
  samples.problem(0).mutable_messages(0)->set_content("hi");
  const auto scores = Score(*verifier, samples);
  EXPECT_EQ(scores[0].verdict, CORRECT) << scores[0].reason;
}

TEST_F(PythonFunctionTest, NumbersOfEveryKind) {
  const auto verifier = MustLoad(Python(R"(
import decimal, fractions, pathlib
class Tensor:
    def __float__(self): return 0.25
def f(completions, **kwargs):
    return (True, 0, fractions.Fraction(1, 2), decimal.Decimal("0.125"),
            Tensor(), -3.5)
)"));
  ASSERT_NE(verifier, nullptr);
  PluginSamples samples;
  for (int i = 0; i < 6; ++i) samples.Add("", "a");
  std::vector<double> values;
  for (const VerifierScore& score : Score(*verifier, samples)) {
    EXPECT_NE(score.verdict, UNSCORABLE) << score.reason;
    values.push_back(score.value);
  }
  EXPECT_THAT(values, testing::ElementsAre(1, 0, 0.5, 0.125, 0.25, -3.5));
}

TEST_F(PythonFunctionTest, WhatIsNoNumberIsUnscorable) {
  const auto verifier = MustLoad(Python(R"(
def f(completions, **kwargs):
    return [None, float("nan"), float("-inf"), "1", [1], 1j, "\udc80", 1]
)"));
  ASSERT_NE(verifier, nullptr);
  PluginSamples samples;
  for (int i = 0; i < 8; ++i) samples.Add("", "a");
  const auto scores = Score(*verifier, samples);
  ASSERT_EQ(scores.size(), 8);
  const char* reasons[] = {"it returned None",
                           "it returned nan",
                           "it returned -inf",
                           "it returned '1', a text",
                           "it returned [1]",
                           "it returned 1j",
                           "it returned '\\udc80', a text"};
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(scores[i].verdict, UNSCORABLE);
    EXPECT_EQ(scores[i].reason, std::string("verifier mine: ") + reasons[i]);
  }
  EXPECT_EQ(scores[7].verdict, CORRECT);
}

TEST_F(PythonFunctionTest, TooFewAndTooManyAreUnscorable) {
  for (const char* scores_text : {"[1]", "[1, 1, 1]", "[]"}) {
    const auto verifier = MustLoad(Python(
        std::string("def f(completions, **kwargs): return ") + scores_text));
    ASSERT_NE(verifier, nullptr);
    for (const VerifierScore& score :
         Score(*verifier, PluginSamples().Add("", "a").Add("", "b"))) {
      EXPECT_EQ(score.verdict, UNSCORABLE);
      EXPECT_THAT(score.reason, MatchesRegex("verifier mine: it returned [013] "
                                             "scores for 2 completions"));
    }
  }
  const auto verifier =
      MustLoad(Python("def f(completions, **kwargs): return 1.0"));
  ASSERT_NE(verifier, nullptr);
  EXPECT_THAT(ScoreOne(*verifier, "", "a").reason,
              HasSubstr("it returned float; wanted a list"));
}

// An error of one response does not spoil the others of its batch.
TEST_F(PythonFunctionTest, ErrorsAreUnscorableOneByOne) {
  const auto verifier = MustLoad(Python(R"(
import sys
def f(completions, **kwargs):
    if "exit" in completions: sys.exit(2)
    return [1 / int(c) for c in completions]
)"));
  ASSERT_NE(verifier, nullptr);
  const auto scores = Score(
      *verifier,
      PluginSamples().Add("", "1").Add("", "0").Add("", "exit").Add("", "1"));
  EXPECT_EQ(scores[0].verdict, CORRECT);
  EXPECT_EQ(scores[1].verdict, UNSCORABLE);
  EXPECT_THAT(scores[1].reason,
              MatchesRegex("verifier mine: ZeroDivisionError: division by zero "
                           ".file[0-9]*.py:5."));
  EXPECT_EQ(scores[2].verdict, UNSCORABLE);
  EXPECT_THAT(scores[2].reason, HasSubstr("SystemExit: 2"));
  EXPECT_EQ(scores[3].verdict, CORRECT);
}

TEST_F(PythonFunctionTest, VerlGetsItsFourArguments) {
  const auto verifier = MustLoad(Python(R"(
def f(data_source, solution_str, ground_truth, extra_info=None):
    if solution_str == "number": return 0.5
    if solution_str == "raise": raise ValueError(ground_truth)
    if solution_str == "none": return None
    if solution_str == "no score": return {"acc": 1}
    return {"score": float([data_source, ground_truth, extra_info] ==
                           ["gsm8k", ["4", 4], {"split": "train"}])}
)"));
  ASSERT_NE(verifier, nullptr);
  const std::string row = R"({"data_source": "gsm8k",
      "reward_model": {"style": "rule", "ground_truth": ["4", 4]},
      "extra_info": {"split": "train"}})";
  const auto scores = Score(*verifier, PluginSamples()
                                           .Add("[\"4\", 4]", "x", row)
                                           .Add("4", "number")
                                           .Add("gold", "raise")
                                           .Add("4", "none")
                                           .Add("4", "no score"));
  EXPECT_EQ(scores[0].verdict, CORRECT) << scores[0].reason;
  EXPECT_EQ(scores[1].value, 0.5);
  EXPECT_THAT(scores[2].reason, HasSubstr("ValueError: gold"));
  EXPECT_EQ(scores[3].verdict, UNSCORABLE);
  EXPECT_THAT(scores[4].reason,
              EndsWith("it returned a dict without \"score\""));
}

TEST_F(PythonFunctionTest, AsyncFunctionsShareALoop) {
  const auto verifier = MustLoad(Python(R"(
import asyncio
lock = None
async def f(completions, **kwargs):
    global lock
    if lock is None: lock = asyncio.get_running_loop()
    await asyncio.sleep(0)
    return [float(lock is asyncio.get_running_loop())] * len(completions)
)"));
  ASSERT_NE(verifier, nullptr);
  EXPECT_EQ(ScoreOne(*verifier, "", "a").verdict, CORRECT);
  EXPECT_EQ(ScoreOne(*verifier, "", "a").verdict, CORRECT);
  const auto verl =
      MustLoad(Python("async def f(solution_str, ground_truth):\n"
                      "    return solution_str == ground_truth\n"));
  ASSERT_NE(verl, nullptr);
  EXPECT_EQ(ScoreOne(*verl, "a", "a").verdict, CORRECT);
  EXPECT_EQ(ScoreOne(*verl, "a", "b").verdict, WRONG);
}

TEST_F(PythonFunctionTest, FilesBesideItCanBeImported) {
  Write("helper_of_mine.py", "GOLD = '4'\n");
  const auto verifier = MustLoad(Python(R"(
import dataclasses, helper_of_mine
@dataclasses.dataclass
class Grader:
    gold: str
    def __call__(self, completions, **kwargs):
        return [float(c == self.gold) for c in completions]
f = Grader(helper_of_mine.GOLD)
)"));
  ASSERT_NE(verifier, nullptr);
  EXPECT_EQ(ScoreOne(*verifier, "", "4").verdict, CORRECT);
}

TEST_F(PythonFunctionTest, WhatCannotBeLoadedIsRefusedAtTheStart) {
  EXPECT_THAT(
      LoadError(Python("import no_such_module\n")),
      MatchesRegex("verifier mine: .*/file0.py: ModuleNotFoundError: No "
                   "module named 'no_such_module' .file0.py:1."));
  EXPECT_THAT(LoadError(Python("def f(:\n")), HasSubstr("SyntaxError"));
  EXPECT_THAT(LoadError(Python("import os; os._exit(0)\n")),
              HasSubstr("its process ended with exit code 0"));
  EXPECT_THAT(LoadError(Python("def g(completions): pass\nh = 3\n")),
              EndsWith(".py has no function f; it has g"));
  EXPECT_THAT(LoadError(Python("f = 1\n")), EndsWith("it has none"));
  EXPECT_THAT(
      LoadError(Python("def f(response, gold): pass\n")),
      HasSubstr(
          "f(response, gold) is neither TRL's kind of function, which has "
          "a parameter named prompts, completions or completion_ids, nor "
          "verl's, which has solution_str"));
  PluginVerifier config = Config();
  config.set_python("no/such/file.py:f");
  EXPECT_THAT(
      LoadError(config),
      AllOf(HasSubstr("verifier mine: no/such/file.py: there is no such "
                      "file (looked for in /")));
  config = Python("def f(completions): pass\n");
  config.set_interpreter("/no/such/python3");
  EXPECT_EQ(LoadError(config),
            "verifier mine: cannot start /no/such/python3: No such file or "
            "directory");
}

TEST_F(PythonFunctionTest, TheExamplesScore) {
  const auto last_line = MustLoad(Example("last_line"));
  const auto brevity = MustLoad(Example("brevity"));
  const auto verl = MustLoad(Example("compute_score"));
  ASSERT_TRUE(last_line != nullptr && brevity != nullptr && verl != nullptr);
  EXPECT_EQ(ScoreOne(*last_line, "4", "2+2\n4\n").verdict, CORRECT);
  EXPECT_EQ(ScoreOne(*last_line, "4", "4\nor 5").verdict, WRONG);
  EXPECT_EQ(ScoreOne(*last_line, "", "4").verdict, UNSCORABLE);
  EXPECT_EQ(ScoreOne(*brevity, "", "4").value, 100.0 / 102);
  EXPECT_EQ(ScoreOne(*verl, "4", "Answer: 4").verdict, CORRECT);
  EXPECT_EQ(ScoreOne(*verl, "4", "Answer: 5").value, 0.1);
  EXPECT_EQ(ScoreOne(*verl, "4", "4").value, 0);
}

}  // namespace
}  // namespace ponder
