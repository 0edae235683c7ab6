// A small quickstart learns: cold start, then reinforcement learning on 256
// problems with nothing but verdicts.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/ponder_process.h"
#include "tests/support/tiny_run.h"

namespace ponder {
namespace {

// Greedy accuracy in percent after the stage.
double Greedy(const Json& summary, const std::string& stage,
              const std::string& set) {
  for (const Json& entry : summary["stages"]) {
    if (entry["name"] == stage) {
      return 100 * entry["accuracy"][set]["greedy"].get<double>();
    }
  }
  ADD_FAILURE() << "no stage " << stage;
  return 0;
}

TEST(QuickstartTest, ReinforcementLearningRaisesAccuracy) {
  const TestFolder folder;
  PonderProcess process({"train", "--config",
                         "tests/e2e/quickstart_small.textproto", "--set",
                         absl::StrCat("runs_dir=", folder.path())});
  // Of an idle machine it takes a twelfth.
  ASSERT_EQ(process.Wait(absl::Minutes(18)), 0) << process.StandardError();
  EXPECT_TRUE(process.Leftovers().empty());

  const std::string run = folder.File("quickstart_small");
  const Json summary = ReadJson(run + "/summary.json");
  const double before = Greedy(summary, "cold_start", "math");
  const double after = Greedy(summary, "grpo", "math");
  RecordProperty("math_before", absl::StrCat(before));
  RecordProperty("math_after", absl::StrCat(after));
  EXPECT_GE(after, before + 5) << process.StandardError();
  EXPECT_GE(Greedy(summary, "grpo", "code"),
            Greedy(summary, "cold_start", "code") + 5);

  // Nobody told the policy to think: it pays.
  const std::vector<Json> steps = ReadMetrics(run, "grpo");
  EXPECT_GT(Series(steps, "response/thinking_frac").back(),
            Series(steps, "response/thinking_frac").front());
  EXPECT_GT(Series(steps, "response_length/mean").back(),
            Series(steps, "response_length/mean").front());

  // The sampler was the learner in every step.
  for (const double diff : Series(steps, "rollout_corr/max_abs_diff")) {
    EXPECT_EQ(diff, 0);
  }
  EXPECT_EQ(Series(steps, "critic/rewards/mean").size(), 13u);
}

}  // namespace
}  // namespace ponder
