// Verifiers that a user plugs in, in a run of the real program.

#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ponder_process.h"
#include "tests/support/tiny_run.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kRewards[] = R"(
import os
def boxed(completions, answer, **kwargs):
    return [float("\\boxed{%s}" % a in c) for c, a in zip(completions, answer)]
def flaky(completions, **kwargs):
    os._exit(3)
def picky(completions, answer, **kwargs):
    return [None if a == "1" else 0.5 for a in answer]
)";

class PluginsTest : public TinyRunTest {
 protected:
  PluginsTest() { folder_.Write("rewards.py", kRewards); }

  // `reward` with FOLDER for the folder of rewards.py; rows are scored by
  // "boxed".
  TinyConfig PluginConfig(const std::string& name, const std::string& reward) {
    TinyConfig config = Config(name, absl::StrCat(ColdStart(), Grpo(3)));
    config.more = absl::StrReplaceAll(
        absl::StrCat("reward {\n  verifier { name: \"boxed\" python: "
                     "\"FOLDER/rewards.py:boxed\" workers: 1 }\n  ",
                     reward, "\n}\n"),
        {{"FOLDER", folder_.path()}});
    return config;
  }

  std::vector<std::string> ArgumentsByBoxed(const TinyConfig& config) const {
    std::vector<std::string> arguments = Arguments(config);
    arguments.insert(arguments.end(), {"--set", "data.verifier=boxed"});
    return arguments;
  }
};

TEST_F(PluginsTest, APluginThatAlwaysFailsNeitherStopsNorScores) {
  const TinyConfig config = PluginConfig("flaky", R"(
    verifier { name: "flaky" python: "FOLDER/rewards.py:flaky" workers: 1 }
    verifier { name: "picky" python: "FOLDER/rewards.py:picky" workers: 1 }
    component { name: "accuracy" }
    component { name: "flaky" weight: 0 }
    component { name: "picky" weight: 0 })");
  const PonderResult result = RunPonder(ArgumentsByBoxed(config));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<Json> metrics = ReadMetrics(RunFolder("flaky"), "grpo");
  EXPECT_THAT(Series(metrics, "rewards/flaky/unscorable_frac"), Each(1.0));
  EXPECT_THAT(Series(metrics, "rewards/picky/mean"), Each(0.5));
  EXPECT_THAT(Series(metrics, "reward/unscorable_frac"), Each(0.0));
  EXPECT_THAT(Series(metrics, "rewards/accuracy/correct_frac"),
              Contains(Gt(0.0)));
  EXPECT_THAT(Bytes(RunFolder("flaky") + "/logs/reward_server.log"),
              HasSubstr("[flaky] ponder: unscorable, "));
}

// With a weight, what it does not score has no reward, and the run says so
// rather than to train on nothing.
TEST_F(PluginsTest, WithAWeightItsResponsesHaveNoReward) {
  const TinyConfig config = PluginConfig("weighted", R"(
    verifier { name: "flaky" python: "FOLDER/rewards.py:flaky" workers: 1 }
    component { name: "accuracy" }
    component { name: "flaky" weight: 0.5 })");
  const PonderResult result = RunPonder(ArgumentsByBoxed(config));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<Json> metrics = ReadMetrics(RunFolder("weighted"), "grpo");
  EXPECT_THAT(Series(metrics, "rewards/flaky/unscorable_frac"), Each(1.0));
  EXPECT_THAT(Series(metrics, "actor/grad_norm"), Each(0.0));
  // The verdicts are those of the row's verifier all the same.
  EXPECT_THAT(Series(metrics, "reward/correct_frac"), Contains(Gt(0.0)));
}

TEST_F(PluginsTest, WhatCannotBeLoadedEndsTheRunBeforeItTrains) {
  const TinyConfig config = PluginConfig(
      "missing",
      R"(verifier { name: "lost" python: "FOLDER/rewards.py:lost" })");
  const PonderResult result = RunPonder(ArgumentsByBoxed(config));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("verifier lost: "),
                    HasSubstr("has no function lost; it has boxed, flaky, "
                              "picky")));
  EXPECT_THAT(ReadMetrics(RunFolder("missing")), IsEmpty());
}

TEST_F(PluginsTest, KilledServersLeaveNoProcess) {
  const TinyConfig config = PluginConfig("server", "");
  const std::vector<std::string> arguments = Arguments(config);
  ASSERT_EQ(arguments[1], "--config");
  for (const int signal : {SIGKILL, SIGTERM}) {
    PonderProcess server({"reward-server", "--config", arguments[2]});
    ASSERT_TRUE(WaitUntil([&] {
      return absl::StrContains(server.StandardOutput(), "port");
    })) << server.StandardError();
    ASSERT_EQ(server.Children("verifier_runner").size(), 1);
    server.Signal(signal);
    EXPECT_NE(server.Wait(), -1);
    EXPECT_THAT(server.Leftovers(), IsEmpty());
  }
}

}  // namespace
}  // namespace ponder
