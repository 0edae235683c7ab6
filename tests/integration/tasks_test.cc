// Every generated task's own solutions are right for its verifier.

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ponder_process.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

class TasksTest : public testing::TestWithParam<const char*> {};

TEST_P(TasksTest, OwnSolutionsScoreOne) {
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

INSTANTIATE_TEST_SUITE_P(All, TasksTest,
                         testing::Values("countdown", "chain_sum",
                                         "number_sorting", "quickstart_math",
                                         "quickstart_code"));

}  // namespace
}  // namespace ponder
