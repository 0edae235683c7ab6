#include "rl/data/tasks/generate.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rl/data/data_set.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

GeneratedSet Ask(const std::string& task, int count, int held_out) {
  GeneratedSet set;
  set.set_task(task);
  set.set_count(count);
  set.set_held_out_count(held_out);
  return set;
}

std::string BoxedAnswer(const std::string& response) {
  const size_t begin = response.rfind("\\boxed{");
  if (begin == std::string::npos || response.back() != '}') return "none";
  return response.substr(begin + 7, response.size() - begin - 8);
}

class EveryTask : public testing::TestWithParam<std::string> {};

TEST_P(EveryTask, PartsShareNoProblem) {
  const auto split = GenerateProblems(Ask(GetParam(), 300, 100));
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_EQ(split->training.size(), 300);
  EXPECT_EQ(split->held_out.size(), 100);
  std::set<std::string> forms, ids;
  for (const auto* part : {&split->training, &split->held_out}) {
    for (const GeneratedProblem& problem : *part) {
      EXPECT_TRUE(forms.insert(problem.canonical).second);
      EXPECT_TRUE(ids.insert(problem.id).second);
      EXPECT_FALSE(problem.prompt.empty());
      EXPECT_FALSE(problem.response.empty());
      EXPECT_EQ(problem.verifier == "code", !problem.tests.is_null());
    }
  }
}

TEST_P(EveryTask, IsDeterministicAndTheHeldOutPartStays) {
  const auto a = GenerateProblems(Ask(GetParam(), 20, 10));
  const auto b = GenerateProblems(Ask(GetParam(), 40, 10));
  GeneratedSet other = Ask(GetParam(), 20, 10);
  other.set_seed(2);
  const auto c = GenerateProblems(other);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_NE(a->held_out[0].prompt, c->held_out[0].prompt);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(ProblemToJson(a->held_out[i]), ProblemToJson(b->held_out[i]));
    EXPECT_EQ(ProblemToJson(a->training[i]), ProblemToJson(b->training[i]));
  }
}

TEST_P(EveryTask, ThinkingShareIsKeptAndChangesNothingElse) {
  GeneratedSet set = Ask(GetParam(), 1000, 0);
  set.set_thinking_share(0.3);
  const auto some = GenerateProblems(set);
  set.set_thinking_share(1);
  const auto all = GenerateProblems(set);
  ASSERT_TRUE(some.ok() && all.ok());
  int thinking = 0;
  for (int i = 0; i < 1000; ++i) {
    thinking += some->training[i].response[0] == '<';
    EXPECT_EQ(some->training[i].prompt, all->training[i].prompt);
    EXPECT_THAT(all->training[i].response, StartsWith("<think>"));
    const std::string& a = some->training[i].response;
    const std::string& b = all->training[i].response;
    const size_t thought = b.find("</think>");
    ASSERT_NE(thought, std::string::npos);
    EXPECT_TRUE(a == b || a == b.substr(thought + 8));
  }
  EXPECT_NEAR(thinking, 300, 60);  // Four standard deviations.
}

INSTANTIATE_TEST_SUITE_P(All, EveryTask,
                         testing::Values("quickstart_math", "quickstart_code",
                                         "countdown", "chain_sum",
                                         "number_sorting"),
                         [](const auto& info) { return info.param; });

// Value of an expression over integers with exact division; reads only what
// countdown writes. Collects the numbers that it meets.
class Evaluator {
 public:
  explicit Evaluator(const std::string& text) : text_(text) {}
  int64_t Sum() {
    int64_t value = Product();
    while (Peek() == '+' || Peek() == '-') {
      value = Take() == '+' ? value + Product() : value - Product();
    }
    return value;
  }
  std::vector<int64_t> numbers;

 private:
  char Peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  char Take() {
    const char c = Peek();
    ++at_;
    return c;
  }
  int64_t Product() {
    int64_t value = Atom();
    while (Peek() == '*' || Peek() == '/') {
      if (Take() == '*') {
        value *= Atom();
      } else {
        const int64_t divisor = Atom();
        EXPECT_EQ(value % divisor, 0);
        value /= divisor;
      }
    }
    return value;
  }
  int64_t Atom() {
    if (Peek() == '(') {
      Take();
      const int64_t value = Sum();
      EXPECT_EQ(Take(), ')');
      return value;
    }
    int64_t value = 0;
    while (Peek() >= '0' && Peek() <= '9') value = value * 10 + (Take() - '0');
    numbers.push_back(value);
    return value;
  }
  const std::string text_;
  size_t at_ = 0;
};

TEST(CountdownTest, SolutionsUseEachNumberOnceAndHitTheTarget) {
  GeneratedSet set = Ask("countdown", 500, 0);
  set.set_min_size(2);
  set.set_max_size(6);
  const auto split = GenerateProblems(set);
  ASSERT_TRUE(split.ok()) << split.status();
  for (const GeneratedProblem& problem : split->training) {
    Evaluator evaluator(BoxedAnswer(problem.response));
    EXPECT_EQ(evaluator.Sum(), problem.columns["target"].get<int64_t>())
        << problem.response;
    auto wanted = problem.columns["numbers"].get<std::vector<int64_t>>();
    std::sort(wanted.begin(), wanted.end());
    std::sort(evaluator.numbers.begin(), evaluator.numbers.end());
    EXPECT_EQ(evaluator.numbers, wanted);
    EXPECT_EQ(wanted.size(), problem.size);
  }
}

TEST(ChainSumTest, AnswersAreRight) {
  const auto split = GenerateProblems(Ask("chain_sum", 300, 0));
  ASSERT_TRUE(split.ok());
  for (const GeneratedProblem& problem : split->training) {
    std::string sum = problem.prompt.substr(8);  // Behind "Compute ".
    sum.pop_back();
    EXPECT_EQ(absl::StrCat(Evaluator(sum).Sum()), problem.answer);
    EXPECT_EQ(BoxedAnswer(problem.response), problem.answer);
  }
}

TEST(QuickstartMathTest, AnswersAreThoseOfAPocketCalculator) {
  const auto split = GenerateProblems(Ask("quickstart_math", 500, 0));
  ASSERT_TRUE(split.ok());
  for (const GeneratedProblem& problem : split->training) {
    const std::string text = problem.prompt.substr(7);  // Behind "mod 7: ".
    int total = text[0] - '0';
    for (size_t i = 1; i + 1 < text.size(); i += 2) {
      const int number = text[i + 1] - '0';
      if (text[i] == '+') total += number;
      if (text[i] == '-') total += 7 - number;
      if (text[i] == '*') total *= number;
      total %= 7;
    }
    EXPECT_EQ(absl::StrCat(total), problem.answer) << problem.prompt;
    EXPECT_EQ(BoxedAnswer(problem.response), problem.answer);
  }
}

TEST(QuickstartCodeTest, TestsFollowTheSwaps) {
  const auto split = GenerateProblems(Ask("quickstart_code", 500, 0));
  ASSERT_TRUE(split.ok());
  for (const GeneratedProblem& problem : split->training) {
    // Swap the values themselves: what was at the start letter ends where the
    // answer is.
    std::string places = "abcd";
    const std::string words = problem.prompt.substr(12);  // "S p1 p2 ...".
    for (size_t i = 2; i + 1 < words.size(); i += 3) {
      std::swap(places[words[i] - 'a'], places[words[i + 1] - 'a']);
    }
    const size_t held = places.find(words[0]);
    EXPECT_EQ(problem.response.back(), "abcd"[held]) << problem.prompt;
    ASSERT_EQ(problem.tests["hidden"].size(), 3u);
    for (const auto& test : problem.tests["hidden"]) {
      EXPECT_EQ(test[0][held], test[1]);
      EXPECT_EQ(std::set<int>(test[0].begin(), test[0].end()).size(), 4u);
    }
  }
}

TEST(NumberSortingTest, AnswersAreSorted) {
  const auto split = GenerateProblems(Ask("number_sorting", 300, 0));
  ASSERT_TRUE(split.ok());
  for (const GeneratedProblem& problem : split->training) {
    std::vector<int> numbers;
    const std::string& tuple = problem.answer;
    ASSERT_TRUE(tuple.front() == '(' && tuple.back() == ')') << tuple;
    for (const absl::string_view part :
         absl::StrSplit(tuple.substr(1, tuple.size() - 2), ", ")) {
      int number = -1;
      EXPECT_TRUE(absl::SimpleAtoi(part, &number));
      numbers.push_back(number);
    }
    const bool up = problem.prompt.find(" ascending ") != std::string::npos;
    if (!up) std::reverse(numbers.begin(), numbers.end());
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    EXPECT_EQ(numbers.size(), problem.size);
    EXPECT_EQ(BoxedAnswer(problem.response), problem.answer);
  }
}

TEST(GenerateTest, WritesRowsThatAreRead) {
  const std::string folder =
      absl::StrCat(testing::TempDir(), "/generate_", getpid());
  for (const Task& task : GeneratedTasks()) {
    GeneratedSet set = Ask(task.name, 30, 20);
    set.set_path(absl::StrCat("$RUN/data/", task.name, ".jsonl"));
    set.set_held_out_path(absl::StrCat("$RUN/data/", task.name, "_test.jsonl"));
    const auto split = WriteGeneratedSet(set, folder);
    ASSERT_TRUE(split.ok()) << split.status();
    DataSet config;
    config.set_path(set.path());
    const auto training = LoadDataRows(config, folder);
    ASSERT_TRUE(training.ok()) << training.status();
    ASSERT_EQ(training->rows.size(), 30);
    EXPECT_EQ(training->rows[3].id, split->training[3].id);
    EXPECT_EQ(training->rows[3].response, split->training[3].response);
    EXPECT_EQ(training->rows[3].verifier, split->training[3].verifier);
    config.set_path(set.held_out_path());
    const auto held_out = LoadDataRows(config, folder);
    ASSERT_TRUE(held_out.ok()) << held_out.status();
    EXPECT_EQ(held_out->rows.size(), 20);
  }
  std::filesystem::remove_all(folder);
}

TEST(GenerateTest, FewProblemsAreSaidInASentence) {
  GeneratedSet set = Ask("number_sorting", 10000, 0);
  set.set_max_size(2);  // Two directions of 4950 pairs.
  EXPECT_THAT(std::string(GenerateProblems(set).status().message()),
              HasSubstr(" different problems of sizes 2 to 2; ask for fewer"));
}

TEST(GenerateTest, BadArgumentsAreNamed) {
  EXPECT_EQ(
      std::string(GenerateProblems(Ask("count_down", 1, 0)).status().message()),
      "no task is named \"count_down\"; did you mean \"countdown\"?");
  GeneratedSet set = Ask("countdown", 1, 0);
  set.set_max_size(100);
  EXPECT_EQ(std::string(GenerateProblems(set).status().message()),
            "countdown: sizes 3 to 100; wanted within 2 to 8");
}

}  // namespace
}  // namespace ponder
