#include "rl/data/data_set.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::StartsWith;

absl::StatusOr<std::vector<DataRow>> Parse(const std::string& content,
                                           const DataSet& config = {}) {
  return ParseDataRows(config, content, "f.jsonl");
}

DataRow One(const std::string& line, const DataSet& config = {}) {
  const auto rows = Parse(line + "\n", config);
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? rows->at(0) : DataRow{};
}

std::string Error(const std::string& content, const DataSet& config = {}) {
  const auto rows = Parse(content, config);
  return rows.ok() ? "no error" : std::string(rows.status().message());
}

TEST(DataSetTest, OwnRow) {
  const DataRow row =
      One(R"({"id": "p1", "prompt": "1+1=", "answer": 2, "verifier": "math",)"
          R"( "response": "\\boxed{2}", "size": 12345678901234567890123,)"
          R"( "tags": ["a", null]})");
  EXPECT_EQ(row.id, "p1");
  EXPECT_EQ(row.prompt, "1+1=");
  EXPECT_EQ(row.answer, "2");
  EXPECT_EQ(row.response, "\\boxed{2}");
  ASSERT_EQ(row.row.fields_size(), 3);
  EXPECT_EQ(row.row.fields(0).name(), "answer");
  EXPECT_EQ(row.row.fields(0).value().int_value(), 2);
  EXPECT_EQ(row.row.fields(1).name(), "size");
  EXPECT_EQ(row.row.fields(1).value().big_int(), "12345678901234567890123");
  EXPECT_EQ(row.row.fields(2).value().list().values_size(), 2);
}

TEST(DataSetTest, CodeRow) {
  const DataRow row =
      One(R"({"prompt": "p", "tests": {"kind": "call", "fn": "f",)"
          R"( "visible": [], "hidden": [[[1, 2], 3]]}})");
  EXPECT_EQ(row.verifier, "code");
  EXPECT_EQ(row.tests.fn(), "f");
  EXPECT_EQ(row.tests.hidden(0).expected().int_value(), 3);
}

TEST(DataSetTest, Gsm8kRow) {
  const DataRow row =
      One(R"({"question": "How many?", "answer": "2+1=3\n#### 3"})");
  EXPECT_EQ(row.prompt, "How many?");
  EXPECT_EQ(row.answer, "2+1=3\n#### 3");
  EXPECT_EQ(row.response, row.answer);
  EXPECT_EQ(row.verifier, "math");
  ASSERT_EQ(row.row.fields_size(), 1);
  EXPECT_EQ(row.row.fields(0).name(), "answer");
}

TEST(DataSetTest, TrlRows) {
  const DataRow plain =
      One(R"({"prompt": "p", "completion": "c", "ground_truth": "g"})");
  EXPECT_EQ(plain.response, "c");
  EXPECT_EQ(plain.answer, "g");

  const DataRow chat =
      One(R"({"prompt": [{"role": "system", "content": "s"},)"
          R"( {"role": "user", "content": "u"}],)"
          R"( "completion": [{"role": "assistant", "content": "c"}],)"
          R"( "solution": "$4$"})");
  EXPECT_EQ(chat.prompt, "u");
  EXPECT_EQ(chat.messages.size(), 2);
  EXPECT_EQ(chat.response, "c");
  EXPECT_EQ(chat.answer, "$4$");
  // TRL's reward functions ask for the column by its name.
  ASSERT_EQ(chat.row.fields_size(), 1);
  EXPECT_EQ(chat.row.fields(0).name(), "solution");
  const Problem problem = ProblemOfRow(chat);
  ASSERT_EQ(problem.messages_size(), 2);
  EXPECT_EQ(problem.messages(1).role(), "user");
  EXPECT_EQ(problem.messages(1).content(), "u");
  EXPECT_EQ(problem.answer(), "$4$");
  EXPECT_EQ(problem.row().fields_size(), 1);

  const DataRow messages =
      One(R"({"messages": [{"role": "user", "content": "u"},)"
          R"( {"role": "assistant", "content": "a"}]})");
  EXPECT_EQ(messages.prompt, "u");
  EXPECT_EQ(messages.response, "a");
  EXPECT_EQ(messages.messages.size(), 2);
  EXPECT_EQ(ProblemOfRow(messages).messages_size(), 1);  // Without the answer.

  EXPECT_EQ(One(R"({"text": "whole"})").text, "whole");
}

TEST(DataSetTest, VerlRow) {
  const DataRow row =
      One(R"({"data_source": "openai/gsm8k",)"
          R"( "prompt": [{"role": "user", "content": "u"}], "ability": "math",)"
          R"( "reward_model": {"style": "rule", "ground_truth": "72"},)"
          R"( "extra_info": {"split": "train", "index": 0}})");
  EXPECT_EQ(row.prompt, "u");
  EXPECT_EQ(row.answer, "72");
  std::vector<std::string> names;
  for (const Field& field : row.row.fields()) names.push_back(field.name());
  EXPECT_THAT(names, testing::ElementsAre("data_source", "ability",
                                          "reward_model", "extra_info"));
}

DataRow Verl(const std::string& ground_truth, const DataSet& config = {}) {
  return One(
      absl::StrCat(R"({"data_source": "d", "prompt": [{"role": "user",)",
                   R"( "content": "u"}], "reward_model": {"style": "rule",)",
                   R"( "ground_truth": )", ground_truth, "}}"),
      config);
}

TEST(DataSetTest, VerlProgramsThatReadAndPrint) {
  // As an object, as the text of one, and with lists of lines.
  for (const std::string truth :
       {R"({"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]})",
        R"("{\"inputs\": [\"1 2\\n\", \"3 4\\n\"], \"outputs\": )"
        R"([\"3\\n\", \"7\\n\"]}")",
        R"({"inputs": [["1 2"], ["3 4"]], "outputs": [["3"], [7]],)"
        R"( "fn_name": null})"}) {
    const DataRow row = Verl(truth);
    EXPECT_EQ(row.verifier, "code") << truth;
    EXPECT_EQ(row.tests.kind(), "stdio");
    ASSERT_EQ(row.tests.hidden_size(), 2);
    EXPECT_EQ(row.tests.hidden(1).stdin(), "3 4\n");
    EXPECT_EQ(row.tests.hidden(1).stdout(), "7\n");
    EXPECT_EQ(row.answer, "");
  }
}

TEST(DataSetTest, VerlFunctions) {
  for (const std::string truth :
       {R"({"fn_name": "f", "inputs": ["[1, 2]\n\"x\""], "outputs": ["3"]})",
        R"({"fn_name": "f", "inputs": [[[1, 2], "x"]], "outputs": [3]})"}) {
    const DataRow row = Verl(truth);
    EXPECT_EQ(row.tests.kind(), "call") << truth;
    EXPECT_EQ(row.tests.fn(), "f");
    ASSERT_EQ(row.tests.hidden_size(), 1);
    const TestCase& test = row.tests.hidden(0);
    ASSERT_EQ(test.args().values_size(), 2);
    EXPECT_EQ(test.args().values(0).list().values(1).int_value(), 2);
    EXPECT_EQ(test.args().values(1).string_value(), "x");
    EXPECT_EQ(test.expected().int_value(), 3);
  }
}

TEST(DataSetTest, TinyZerosCountdown) {
  const DataRow row = Verl(R"({"target": 98, "numbers": [44, 19, 35]})");
  EXPECT_EQ(row.verifier, "countdown");
  ASSERT_GE(row.row.fields_size(), 2);
  EXPECT_EQ(row.row.fields(0).name(), "target");
  EXPECT_EQ(row.row.fields(0).value().int_value(), 98);
  EXPECT_EQ(row.row.fields(1).name(), "numbers");
  EXPECT_EQ(row.row.fields(1).value().list().values_size(), 3);
}

TEST(DataSetTest, VerlAnswersThatOnlyLookLikeMore) {
  for (const std::string truth : {R"("{1, 2}")", R"("{\"a\": 1}")", "72"}) {
    EXPECT_EQ(Verl(truth).verifier, "math") << truth;
    EXPECT_FALSE(Verl(truth).answer.empty()) << truth;
  }
  // A verifier of the user's own reads the ground truth itself.
  DataSet config;
  config.set_verifier("mine");
  const DataRow row = Verl(R"({"inputs": 1, "outputs": 2})", config);
  EXPECT_EQ(row.verifier, "mine");
  EXPECT_EQ(row.tests.kind(), "");
}

TEST(DataSetTest, VerlRowsThatNoRuleCanScore) {
  const std::string model =
      R"({"prompt": "p", "reward_model": {"style": "model"}})";
  EXPECT_THAT(Error(model), StartsWith("f.jsonl:1: reward_model.style is"));
  DataSet config;
  config.set_verifier("mine");
  EXPECT_EQ(One(model, config).verifier, "mine");
  EXPECT_THAT(Error(R"({"prompt": "p", "reward_model": {"ground_truth":)"
                    R"( {"inputs": ["1"], "outputs": []}}})"),
              HasSubstr("lists of the same length"));
}

TEST(DataSetTest, ConfiguredColumns) {
  DataSet config;
  config.set_prompt_field("in.text");
  config.set_answer_field("gold");
  config.set_response_field("full");
  config.set_verifier("other");
  const std::string line =
      R"({"in": {"text": "t"}, "gold": 1.5, "full": "f", "prompt": "no"})";
  const DataRow row = One(line, config);
  EXPECT_EQ(row.prompt, "t");
  EXPECT_EQ(row.answer, "1.5");
  EXPECT_EQ(row.response, "f");
  EXPECT_EQ(row.verifier, "other");
  config.set_answer_field("gould");
  EXPECT_EQ(Error(line, config),
            "f.jsonl:1: no column \"gould\", which answer_field names; the row "
            "has in, gold, full, prompt");
}

TEST(DataSetTest, IdsAreStableAndUnique) {
  const std::string a = R"({"prompt": "a"})";
  const std::string b = R"({"prompt": "b"})";
  const auto rows = Parse(a + "\n" + b + "\n" + a + "\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->at(0).id, One(a).id);
  EXPECT_EQ(rows->at(0).id, "3aed686885f4fc41");
  EXPECT_NE(rows->at(0).id, rows->at(1).id);
  EXPECT_EQ(rows->at(2).id, rows->at(0).id + "-2");
  EXPECT_EQ(Error("{\"id\": 7, \"prompt\": \"a\"}\n\n"
                  "{\"id\": \"7\", \"prompt\": \"b\"}\n"),
            "f.jsonl:3: id \"7\" is that of line 1 too; ids must differ");
}

TEST(DataSetTest, BadInputIsOneSentenceWithItsPlace) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "f.jsonl: holds no rows"},
      {"\n \n", "f.jsonl: holds no rows"},
      {"{\"prompt\": \"a\"}\n{\"prompt\": }\n", "f.jsonl:2: column 12: "},
      {"[1]\n", "f.jsonl:1: holds array; wanted one JSON object"},
      {"{\"q\": 1, \"a\": 2}",
       "f.jsonl:1: no column prompt, question, problem or messages; the row "
       "has q, a"},
      {"{\"prompt\": 7}", "f.jsonl:1: column prompt is number"},
      {"{\"prompt\": [{\"role\": \"user\"}]}", "f.jsonl:1: message 1"},
      {"{\"prompt\": [{\"role\": \"system\", \"content\": \"s\"}]}",
       "f.jsonl:1: column prompt has no message of role user"},
      {"{\"prompt\": \"a\", \"tests\": {\"kind\": \"x\"}}",
       "f.jsonl:1: tests.kind: got \"x\""},
      {"{\"prompt\": \"a\", \"verifier\": 1}", "f.jsonl:1: column verifier"},
  };
  for (const auto& [content, want] : cases) {
    EXPECT_THAT(Error(content), StartsWith(want)) << content;
    EXPECT_EQ(Error(content).find('\n'), std::string::npos) << content;
  }
  DataSet config;
  config.set_path("$RUN/none.jsonl");
  const auto rows = LoadDataRows(config, "/nowhere");
  EXPECT_THAT(std::string(rows.status().message()),
              HasSubstr("/nowhere/none.jsonl"));
}

TEST(DataSetTest, EveryFieldMayHaveAnotherName) {
  DataSet config;
  config.set_prompt_field("task");
  config.set_answer_field("gold.value");
  config.set_tests_field("checks");
  config.set_verifier_field("meta.judge");
  config.set_id_field("uid");
  const DataRow row =
      One(R"({"uid": 7, "task": "a", "gold": {"value": "2"}, "meta": {"judge":)"
          R"( "code"}, "checks": {"kind": "stdio", "hidden": [{"stdin": "",)"
          R"( "stdout": "2"}]}, "tests": "others'", "level": 3})",
          config);
  EXPECT_EQ(row.id, "7");
  EXPECT_EQ(row.prompt, "a");
  EXPECT_EQ(row.answer, "2");
  EXPECT_EQ(row.verifier, "code");
  EXPECT_EQ(row.tests.kind(), "stdio");
  EXPECT_EQ(row.tests.hidden_size(), 1);
  // What no field names is kept.
  std::vector<std::string> kept;
  for (const Field& field : row.row.fields()) kept.push_back(field.name());
  EXPECT_THAT(kept, IsSupersetOf({"tests", "level"}));
  config.set_tests_field("none");
  EXPECT_THAT(
      Error(R"({"uid": 7, "task": "a", "gold": {"value": "2"}})", config),
      HasSubstr("no column \"none\", which tests_field names"));
}

class DataSetFilesTest : public testing::Test {
 protected:
  DataSetFilesTest() { std::filesystem::create_directories(folder_); }
  ~DataSetFilesTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& content) const {
    const std::string path = absl::StrCat(folder_, "/", name);
    EXPECT_TRUE(WriteFileAtomically(path, content).ok());
    return path;
  }

  const std::string folder_ =
      absl::StrCat(testing::TempDir(), "/data_set_test_", getpid());
};

TEST_F(DataSetFilesTest, ParquetIsNamedWithWhatConvertsIt) {
  DataSet config;
  for (const char* name : {"a.parquet", "b.jsonl"}) {
    config.set_path(Write(name, "PAR1\x15\x04"));
    const absl::Status status = LoadDataRows(config, "").status();
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(name), HasSubstr("scripts/parquet-to-jsonl"),
                      HasSubstr("pyarrow")));
  }
}

TEST_F(DataSetFilesTest, FiltersByTheColumnOfPassRates) {
  DataSet config;
  config.set_path(Write("rows.jsonl",
                        "{\"prompt\": \"a\", \"pass_rate\": 0}\n"
                        "{\"prompt\": \"b\", \"pass_rate\": 0.5}\n"
                        "{\"prompt\": \"c\", \"pass_rate\": 1}\n"
                        "{\"prompt\": \"d\"}\n"));
  EXPECT_EQ(LoadDataRows(config, "")->rows.size(), 4);
  config.set_min_pass_rate(0.1);
  config.set_max_pass_rate(0.9);
  const auto some = LoadDataRows(config, "");
  ASSERT_TRUE(some.ok()) << some.status();
  ASSERT_EQ(some->rows.size(), 1);
  EXPECT_EQ(some->rows[0].prompt, "b");
  EXPECT_THAT(some->note, HasSubstr("1 of 4 rows have a pass rate of 0.1 to "
                                    "0.9; 1 have none"));
  config.set_min_pass_rate(0.6);
  EXPECT_THAT(std::string(LoadDataRows(config, "").status().message()),
              HasSubstr("none is left"));
}

TEST_F(DataSetFilesTest, PassRatesOfASampleStageAreJoinedById) {
  DataSet config;
  config.set_name("mine");
  config.set_path(Write("rows.jsonl",
                        "{\"id\": \"p1\", \"prompt\": \"a\"}\n"
                        "{\"id\": \"p2\", \"prompt\": \"b\"}\n"
                        "{\"id\": \"p3\", \"prompt\": \"c\"}\n"));
  Write("rates.jsonl",
        "{\"set\": \"mine\", \"id\": \"p1\", \"pass_rate\": 0.25}\n"
        "{\"set\": \"other\", \"id\": \"p2\", \"pass_rate\": 0.25}\n"
        "{\"set\": \"mine\", \"id\": \"p3\", \"pass_rate\": 1}\n");
  config.set_pass_rates("$RUN/rates.jsonl");
  const auto all = LoadDataRows(config, folder_);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->rows[0].pass_rate, 0.25);
  EXPECT_EQ(all->rows[1].pass_rate, std::nullopt);
  config.set_max_pass_rate(0.5);
  EXPECT_EQ(LoadDataRows(config, folder_)->rows.size(), 1);
  Write("rates.jsonl", "{\"pass_rate\": 1}\n");
  EXPECT_THAT(std::string(LoadDataRows(config, folder_).status().message()),
              HasSubstr("rates.jsonl:1: wanted"));
}

TEST(DataSetTest, LimitAndByteOrderMark) {
  DataSet config;
  config.set_limit(2);
  const auto rows = Parse(
      "\xEF\xBB\xBF{\"prompt\": \"a\"}\r\n"
      "{\"prompt\": \"b\"}\r\nbroken",
      config);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->size(), 2);
}

TEST(DataSetTest, ReadsOpenAisGsm8kAsItIs) {
  const char* shared = std::getenv("PONDER_SHARED_DATA");
  const std::string path = absl::StrCat(
      shared != nullptr ? shared : "../shared/data", "/gsm8k/train.jsonl");
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << path << " is not there";
  }
  DataSet config;
  config.set_path(path);
  const auto rows = LoadDataRows(config, "");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->name, "train");
  EXPECT_EQ(rows->rows.size(), 7473);
  for (const DataRow& row : rows->rows) {
    ASSERT_FALSE(row.prompt.empty());
    ASSERT_THAT(row.answer, HasSubstr("#### "));
  }
}

}  // namespace
}  // namespace ponder
