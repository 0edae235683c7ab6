// What must be exact in a run: sampler against learner, and a run against its
// twins.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ponder_process.h"
#include "tests/support/tiny_run.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::SizeIs;

class ExactnessTest : public TinyRunTest {
 protected:
  // A run with learning rate 0 samples from the policy that it learns: both
  // sides have the same numbers, and no weight changes.
  void ExpectNothingChanges(const std::string& name, const std::string& policy,
                            const std::string& grpo_fields) {
    TinyConfig config =
        Config(name, ColdStart() +
                         Grpo(3, absl::StrCat("optimizer { learning_rate: 0 } ",
                                              grpo_fields)));
    config.policy = policy;
    const std::string run = Run(config);
    const std::vector<Json> metrics = ReadMetrics(run, "grpo");
    EXPECT_THAT(Series(metrics, "rollout_corr/max_abs_diff"),
                ElementsAre(0, 0, 0));
    EXPECT_THAT(Series(metrics, "actor/ppo_kl"), ElementsAre(0, 0, 0));
    // There was something to learn from.
    EXPECT_THAT(Series(metrics, "actor/grad_norm"), Contains(Gt(0)));
    EXPECT_EQ(CheckpointSteps(run).back(), 63);
    EXPECT_TRUE(
        Bytes(absl::StrCat(run, "/checkpoints/step_60/model.safetensors")) ==
        NewestWeights(run));
  }

  // Everything that does not measure time.
  void ExpectTwins(const std::string& a, const std::string& b) {
    for (const char* name :
         {"critic/rewards/mean", "response_length/mean", "actor/pg_loss",
          "actor/entropy", "actor/grad_norm", "actor/ppo_kl",
          "rollout_corr/max_abs_diff"}) {
      EXPECT_EQ(Series(ReadMetrics(a, "grpo"), name),
                Series(ReadMetrics(b, "grpo"), name))
          << name;
    }
    EXPECT_EQ(Bytes(a + "/samples/grpo.jsonl"),
              Bytes(b + "/samples/grpo.jsonl"));
    EXPECT_TRUE(NewestWeights(a) == NewestWeights(b));
  }
};

TEST_F(ExactnessTest, LearningRateZeroChangesNothing) {
  ExpectNothingChanges("fp32", "", "");
}

TEST_F(ExactnessTest, LearningRateZeroChangesNothingInBfloat16) {
  ExpectNothingChanges("bf16",
                       absl::StrCat("dtype: BFLOAT16\n", RandomPolicy()), "");
}

TEST_F(ExactnessTest, LearningRateZeroChangesNothingInTwoUpdates) {
  ExpectNothingChanges("two", "", "updates_per_step: 2");
}

TEST_F(ExactnessTest, SamplerIsLearnerWhileThePolicyMoves) {
  for (const bool bf16 : {false, true}) {
    TinyConfig config = Config(bf16 ? "bf16" : "fp32", ColdStart() + Grpo(6));
    if (bf16) config.policy = absl::StrCat("dtype: BFLOAT16\n", RandomPolicy());
    const std::string run = Run(config);
    const std::vector<Json> metrics = ReadMetrics(run, "grpo");
    EXPECT_THAT(Series(metrics, "rollout_corr/max_abs_diff"),
                AllOf(SizeIs(6), Each(0)));
    EXPECT_FALSE(
        Bytes(absl::StrCat(run, "/checkpoints/step_60/model.safetensors")) ==
        NewestWeights(run));
  }
}

TEST_F(ExactnessTest, SameSeedSameRun) {
  const std::string stages = ColdStart() + Grpo(5);
  const std::string first = Run(Config("first", stages));
  const std::string second = Run(Config("second", stages));
  ExpectTwins(first, second);
  EXPECT_EQ(Series(ReadMetrics(first, "cold_start"), "train/loss"),
            Series(ReadMetrics(second, "cold_start"), "train/loss"));

  TinyConfig other = Config("other", stages);
  std::vector<std::string> arguments = Arguments(other);
  arguments.insert(arguments.end(), {"--set", "seed=8"});
  const PonderResult result = RunPonder(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FALSE(NewestWeights(first) == NewestWeights(RunFolder("other")));
}

TEST_F(ExactnessTest, TwoWorkersSampleAsOne) {
  const std::string stages = ColdStart() + Grpo(5);
  const std::string one = Run(Config("one", stages));
  TinyConfig config = Config("two", stages);
  config.workers = 2;
  ExpectTwins(one, Run(config));
}

// A stage that only looks at an older policy leaves the newest as it is.
TEST_F(ExactnessTest, SamplingFromAnOlderPolicyKeepsTheNewest) {
  const std::string run = Run(
      Config("older", ColdStart() + Grpo(3) +
                          "stage { name: \"look\" init_from: \"cold_start\" "
                          "sample { prompts: 2 samples_per_prompt: 2 } }"));
  EXPECT_EQ(CheckpointSteps(run).back(), 63);
  EXPECT_FALSE(
      Bytes(absl::StrCat(run, "/checkpoints/step_60/model.safetensors")) ==
      NewestWeights(run));
  EXPECT_TRUE(Bytes(absl::StrCat(run, "/export/model.safetensors")) ==
              NewestWeights(run));
}

}  // namespace
}  // namespace ponder
