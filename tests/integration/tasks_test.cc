// Every generated task's own solutions are right for its verifier.

#include <signal.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ponder_process.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

class OwnSolutionsTest : public testing::TestWithParam<const char*> {};

TEST_P(OwnSolutionsTest, ScoreOne) {
  const TestFolder folder;
  // Solutions of code are run in the sandbox, which takes its time.
  const int count = GetParam() == std::string("quickstart_code") ? 20 : 200;
  const std::string path = folder.File("rows.jsonl");
  const PonderResult made =
      RunPonder({"data", "make", GetParam(), "--count", absl::StrCat(count),
                 "--seed", "3", "--thinking-share", "0.5", "--out", path});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const PonderResult verified = RunPonder({"verify", "data", path});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_THAT(verified.out,
              HasSubstr(absl::StrCat(count, " of ", count, " score 1")));
}

INSTANTIATE_TEST_SUITE_P(All, OwnSolutionsTest,
                         testing::Values("countdown", "chain_sum",
                                         "number_sorting", "quickstart_math",
                                         "quickstart_code"));

TEST(TasksTest, MoreThanFitsIsRefused) {
  const TestFolder folder;
  const PonderResult result =
      RunPonder({"data", "make", "chain_sum", "--count", "100000000000",
                 "--out", folder.File("rows.jsonl")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("wanted at most 10000000"));
}

// A command that saves nothing ends at the first signal.
TEST(TasksTest, ASignalEndsIt) {
  const TestFolder folder;
  const std::string path = folder.File("rows.jsonl");
  PonderProcess process(
      {"data", "make", "countdown", "--count", "10000000", "--out", path});
  process.Signal(SIGTERM);
  const int code = process.Wait();
  EXPECT_NE(code, -1) << "it did not end";
  EXPECT_NE(code, 0);
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace ponder
