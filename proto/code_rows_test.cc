#include "proto/code_rows.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/value_codec.h"

namespace ponder {
namespace {

TestSuite Suite(const std::string& text) {
  const auto row = ParseJson(text, "row");
  EXPECT_TRUE(row.ok()) << row.status();
  const auto suite = TestSuiteFromRow(*row);
  EXPECT_TRUE(suite.ok()) << suite.status();
  EXPECT_TRUE(suite.ok() && suite->has_value()) << text;
  return suite.ok() && suite->has_value() ? **suite : TestSuite();
}

TEST(CodeRowsTest, HumanEval) {
  const TestSuite suite = Suite(
      R"json({"task_id": "HumanEval/0", "prompt": "def f(x):\n  'Doc'\n",
      "entry_point": "f", "canonical_solution": "  return x",
      "test": "def check(candidate):\n  assert candidate(1) == 1\n"})json");
  EXPECT_EQ(suite.kind(), "assert");
  EXPECT_EQ(suite.fn(), "f");
  EXPECT_EQ(suite.preamble(), "def f(x):\n  'Doc'\n");
  EXPECT_EQ(suite.hidden_size(), 1);
}

TEST(CodeRowsTest, Mbpp) {
  const TestSuite suite = Suite(
      R"json({"text": "Add.", "code": "def f(a): return a", "task_id": 1,
      "test_setup_code": "import math",
      "test_list": ["assert f(1) == 1", "assert f(2) == 2"]})json");
  EXPECT_EQ(suite.kind(), "assert");
  ASSERT_EQ(suite.hidden_size(), 2);
  EXPECT_EQ(suite.hidden(1).code(), "import math\nassert f(2) == 2");
  EXPECT_EQ(Suite(R"json({"prompt": "p", "test_imports": ["import re"],
                          "test_list": ["assert f()"]})json")
                .hidden(0)
                .code(),
            "import re\nassert f()");
}

TEST(CodeRowsTest, AppsAndTaco) {
  const TestSuite stdio = Suite(
      R"json({"input_output": "{\"inputs\": [\"1\\n\", [\"2\", \"3\"]], \"outputs\": [\"2\\n\", [\"5\"]]}"})json");
  EXPECT_EQ(stdio.kind(), "stdio");
  EXPECT_EQ(stdio.hidden(1).stdin(), "2\n3\n");
  EXPECT_EQ(stdio.hidden(1).stdout(), "5\n");
  const TestSuite call = Suite(
      R"json({"input_output": {"fn_name": "f", "inputs": [[1, 2]],
          "outputs": [[3]]}})json");
  EXPECT_EQ(call.kind(), "call");
  EXPECT_EQ(call.fn(), "f");
  EXPECT_EQ(call.hidden(0).args().values_size(), 2);
  // APPS's list around what a function returns, or a list that it returns.
  EXPECT_EQ(call.hidden(0).expected().list().values(0).int_value(), 3);
  EXPECT_EQ(call.hidden(0).also_expected(0).int_value(), 3);
}

TEST(CodeRowsTest, CodeContests) {
  const TestSuite suite = Suite(
      R"json({"public_tests": {"input": ["1\n"], "output": ["2\n"]},
          "private_tests": {"input": [], "output": []},
          "generated_tests": {"input": ["3\n"], "output": ["4\n"]}})json");
  EXPECT_EQ(suite.visible_size(), 1);
  EXPECT_EQ(suite.hidden(0).stdout(), "4\n");
}

TEST(CodeRowsTest, OpenR1) {
  const TestSuite suite = Suite(
      R"json({"verification_info": {"language": "python", "test_cases": [
          {"input": "1\n", "output": "2\n", "type": "stdin_stdout"}]}})json");
  EXPECT_EQ(suite.kind(), "stdio");
  EXPECT_EQ(suite.language(), "python");
  const TestSuite call = Suite(
      R"json({"verification_info": {"language": "python", "test_cases": [
          {"fn_name": "f", "input": "1\n2", "output": "3",
           "type": "function_call"}]}})json");
  EXPECT_EQ(call.fn(), "f");
  EXPECT_EQ(call.hidden(0).args().values_size(), 2);
  EXPECT_EQ(call.hidden(0).expected().int_value(), 3);
  const TestSuite codeforces = Suite(
      R"json({"official_tests": [{"input": "1\n", "output": "2\n"}],
          "generated_checker": "print(1)"})json");
  EXPECT_EQ(codeforces.checker_code(), "print(1)");
}

TEST(CodeRowsTest, Verl) {
  EXPECT_EQ(Suite(R"json({"reward_model": {"ground_truth":
              "{\"inputs\": [\"1\"], \"outputs\": [\"2\"]}"}})json")
                .hidden(0)
                .stdout(),
            "2");
}

TEST(CodeRowsTest, OtherRowsHaveNone) {
  for (const char* text :
       {R"({"prompt": "1 + 1", "answer": "2"})",
        R"({"reward_model": {"ground_truth": "42"}})", "[1]"}) {
    const auto row = ParseJson(text, "row");
    const auto suite = TestSuiteFromRow(*row);
    EXPECT_TRUE(suite.ok() && !suite->has_value()) << text;
  }
  const auto row = ParseJson(R"({"inputs": ["1"], "outputs": []})", "row");
  EXPECT_TRUE(absl::IsInvalidArgument(TestSuiteFromRow(*row).status()));
}

}  // namespace
}  // namespace ponder
