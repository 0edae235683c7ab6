// What a person watches: runs that are made to break, status, cost, samples.

#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ponder_process.h"
#include "tests/support/tiny_run.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class WatchTest : public TinyRunTest {
 protected:
  // Problems whose gold answer is `answer` and that are solved by 1, 2 or 3.
  std::string ProblemsWithAnswer(const std::string& name,
                                 const std::string& answer) const {
    std::string text;
    for (int i = 0; i < 12; ++i) {
      absl::StrAppend(&text, R"({"id": ")", name, i, R"(", "prompt": "pick )",
                      i, R"(", "answer": ")", answer,
                      R"(", "response": "\\boxed{)", answer, "}\"}\n");
    }
    return folder_.Write(name + ".jsonl", text);
  }

  // A cold start on `tiny`, then GRPO on another data set.
  static std::string StagesOn(const std::string& data, int steps,
                              const std::string& fields = "") {
    return absl::StrCat(R"(stage {
  name: "cold_start"
  evaluate: false
  sft {
    steps: 60 batch_size: 16 data: "tiny"
    optimizer { learning_rate: 1e-2 warmup_steps: 5 beta2: 0.98 }
  }
}
stage {
  name: "grpo"
  evaluate: false
  grpo {
    steps: )",
                        steps, " prompts_per_step: 6 samples_per_prompt: 4\n",
                        "data: \"", data, "\"\n", fields, "\n  }\n}\n");
  }

  // Runs it, and expects that a health rule ends it.
  std::string ExpectStopped(const TinyConfig& config,
                            const std::vector<std::string>& settings = {}) {
    std::vector<std::string> arguments = Arguments(config);
    for (const std::string& setting : settings) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    const PonderResult result = RunPonder(arguments);
    EXPECT_EQ(result.exit_code, 1) << result.err;
    EXPECT_THAT(result.err, HasSubstr("stopped by a health rule: "));
    return result.err;
  }
};

TEST_F(WatchTest, TruncationOfEveryResponse) {
  TinyConfig config = Config("cut", ColdStart() + Grpo(20));
  const std::string err =
      ExpectStopped(config, {"prompt.max_response_tokens=4"});
  EXPECT_THAT(err, HasSubstr("health/truncation: 100 % of the responses hit "
                             "the token limit, at most 90 % may, for 3 steps; "
                             "raise prompt.max_response_tokens"));
  const std::string run = RunFolder("cut");
  const std::vector<double> rule =
      Series(ReadMetrics(run, "grpo"), "health/truncation");
  EXPECT_THAT(rule, AllOf(SizeIs(8), Each(1)));
  EXPECT_EQ(CheckpointSteps(run).back(), 68);
  const PonderResult status = RunPonder({"status", run});
  EXPECT_EQ(status.exit_code, 0) << status.err;
  EXPECT_THAT(status.out,
              AllOf(HasSubstr("cut: failed\n"), HasSubstr("cut 100 %"),
                    HasSubstr("error       the run was stopped by a health")));
}

// Gold answers that the policy never gives: no group has a signal.
TEST_F(WatchTest, ZeroSignalWhereEverythingIsWrong) {
  TinyConfig config = Config("hopeless", StagesOn("hopeless", 20));
  config.more = absl::StrCat("data { name: \"hopeless\" path: \"",
                             ProblemsWithAnswer("hopeless", "77"),
                             "\" }\nhealth { stop_on: zero_signal }\n");
  EXPECT_THAT(ExpectStopped(config),
              HasSubstr("health/zero_signal: 100 % of the groups have no two "
                        "different rewards, with 0 % of the samples right"));
}

TEST_F(WatchTest, UnscorableWhereAPlugInFails) {
  TinyConfig config = Config("unscorable", ColdStart() + Grpo(20));
  const std::string plugin = folder_.Write(
      "broken.py", "def score(completions, **kwargs):\n  raise ValueError()\n");
  config.more =
      absl::StrCat("reward { verifier { name: \"broken\" python: \"", plugin,
                   ":score\" } component { name: \"accuracy\" } "
                   "component { name: \"broken\" } }\n");
  EXPECT_THAT(ExpectStopped(config),
              HasSubstr("health/unscorable: 100 % of the samples are "
                        "unscorable, at most 20 % may be"));
}

// A policy that was taught one answer only. A little entropy bonus makes a
// gradient, without which entropy is not measured.
TEST_F(WatchTest, EntropyFloorOfAPolicyWithoutChoice) {
  TinyConfig config =
      Config("sure", ColdStart(150) + Grpo(20, "entropy_coef: 1e-6"));
  config.data_path = ProblemsWithAnswer("one", "1");
  config.more =
      "health { min_entropy: 0.05 stop_on: entropy_floor "
      "max_zero_signal_fraction: 1 }\n";
  const std::string err = ExpectStopped(config);
  EXPECT_THAT(err, HasSubstr("health/entropy_floor: entropy is "));
  EXPECT_THAT(err, HasSubstr("below 0.05"));
}

// A policy that answers at once half of the time, and a reward that only counts
// tokens: the rest of the answers become short too.
TEST_F(WatchTest, LengthCollapse) {
  TinyConfig config = Config(
      "short", StagesOn("tiny", 80, "optimizer { learning_rate: 2e-3 }"));
  std::string rows;
  for (int i = 0; i < 24; ++i) {
    absl::StrAppend(&rows, R"({"prompt": "pick )", i % 12,
                    R"(", "answer": "1", "response": ")", i < 12 ? "so " : "",
                    R"(\\boxed{1}"})", "\n");
  }
  config.data_path = folder_.Write("two_lengths.jsonl", rows);
  config.more =
      "reward { component { name: \"accuracy\" weight: 0 } component { name: "
      "\"length\" length { cache_tokens: 14 } } }\n"
      "health { stop_on: length_collapse min_length_ratio: 0.93 "
      "max_zero_signal_fraction: 1 }\n";
  EXPECT_THAT(ExpectStopped(config),
              HasSubstr("health/length_collapse: responses have "));
}

// A policy that says 2 more often than 1 learns that 1 pays in training; on
// held-out problems 2 is right.
TEST_F(WatchTest, RewardHacking) {
  TinyConfig config = Config(
      "gamed",
      StagesOn("ones", 60, "eval_every: 4 optimizer { learning_rate: 1e-3 }"));
  config.eval_samples = 0;
  std::string mostly_two;
  for (int i = 0; i < 36; ++i) {
    const int answer = i < 12 ? 1 : 2;  // Of each prompt.
    absl::StrAppend(&mostly_two, R"({"prompt": "pick )", i % 12,
                    R"(", "answer": ")", answer, R"(", "response": "\\boxed{)",
                    answer, "}\"}\n");
  }
  config.data_path = folder_.Write("mostly_two.jsonl", mostly_two);
  config.more = absl::StrCat("data { name: \"ones\" path: \"",
                             ProblemsWithAnswer("ones", "1"),
                             "\" }\neval_data { name: \"held_out\" path: \"",
                             ProblemsWithAnswer("twos", "2"),
                             "\" }\nhealth { stop_on: reward_hacking }\n");
  const std::string err = ExpectStopped(config);
  EXPECT_THAT(err, HasSubstr("health/reward_hacking: held-out accuracy fell "
                             "from 100.0 % to "));
  EXPECT_THAT(err, HasSubstr(" while the training reward rose from "));
}

TEST_F(WatchTest, StatusOfARunThatGoesOnAndOfOneThatWasKilled) {
  const TinyConfig config = Config("run", ColdStart() + Grpo(100000));
  PonderProcess process(Arguments(config));
  const std::string run = RunFolder("run");
  ASSERT_TRUE(WaitUntil(
      [&] { return !process.Running() || StepsDone(run, "grpo") >= 2; }));
  PonderResult result = RunPonder({"status", run});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("run: running\n"), HasSubstr("grpo, 2 of 2"),
                    HasSubstr(" of 100000, "), HasSubstr(" left\n"),
                    HasSubstr("last step   reward "),
                    HasSubstr(absl::StrCat("trainer (", process.pid(),
                                           ") alive, reward server (")),
                    HasSubstr("worker 1 (")));
  result = RunPonder({"status", run, "--json"});
  Json json = Json::parse(result.out);
  EXPECT_EQ(json["state"], "running");
  EXPECT_EQ(json["total"], 100000);
  EXPECT_GT(json["seconds_left"], 0);
  EXPECT_GE(json["last_step"]["step"], 62);
  ASSERT_THAT(json["processes"], SizeIs(3));
  for (const Json& p : json["processes"]) EXPECT_EQ(p["alive"], true);

  process.Signal(SIGKILL);
  process.Wait();
  EXPECT_THAT(process.Leftovers(), SizeIs(0));
  result = RunPonder({"status", run});
  EXPECT_THAT(result.out, AllOf(HasSubstr("run: killed\n"),
                                HasSubstr("ponder train --resume ")));
  json = Json::parse(RunPonder({"status", run, "--json"}).out);
  for (const Json& p : json["processes"]) EXPECT_EQ(p["alive"], false);
}

TEST_F(WatchTest, WhatARunCosts) {
  TinyConfig config =
      Config("run", ColdStart(40) + Grpo(6, "eval_every: 3", true));
  config.more = absl::StrCat("eval_data { name: \"tiny\" path: \"",
                             folder_.File("tiny.jsonl"), "\" }\n");
  const PonderResult result = RunPonder(Arguments(config));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  // On a pipe each step has its line.
  for (int step = 1; step <= 6; ++step) {
    EXPECT_THAT(result.err, HasSubstr(absl::StrCat("\ngrpo ", step, "/6  ")));
  }
  EXPECT_THAT(result.err, HasSubstr("a point gained"));
  const std::string run = RunFolder("run");
  const Json stage = ReadJson(run + "/summary.json")["stages"][1];
  double sum = 0;
  for (const char* phase : {"generation", "reward", "learning", "evaluation"}) {
    const double seconds = stage["phases"][phase]["core_seconds"].get<double>();
    EXPECT_GT(seconds, 0) << phase;
    sum += seconds;
  }
  EXPECT_NEAR(sum, stage["core_seconds"].get<double>(), 1e-6);
  EXPECT_TRUE(stage.contains("accuracy_points_gained"));
  const std::vector<Json> metrics = ReadMetrics(run, "grpo");
  const std::vector<double> hours = Series(metrics, "cost/core_hours");
  for (size_t i = 1; i < hours.size(); ++i) EXPECT_GE(hours[i], hours[i - 1]);
  EXPECT_THAT(Series(metrics, "cost/core_hours/evaluation"), Each(Gt(0)));
  EXPECT_THAT(Series(metrics, "cost/tokens").back(), Gt(0));
  const Json status = Json::parse(RunPonder({"status", run, "--json"}).out);
  EXPECT_EQ(status["state"], "done");
  EXPECT_TRUE(status["last_evaluation"].contains("val-core/tiny/acc_strict"));
}

TEST_F(WatchTest, EverySampleIsKeptWithItsTokens) {
  const std::string run = Run(Config("run", ColdStart() + Grpo(2)));
  std::vector<Json> lines;
  for (const absl::string_view line : absl::StrSplit(
           Bytes(run + "/samples/grpo.jsonl"), '\n', absl::SkipEmpty())) {
    lines.push_back(Json::parse(line.begin(), line.end()));
  }
  // 2 steps of 6 prompts with 4 samples.
  ASSERT_THAT(lines, SizeIs(48));
  for (const Json& line : lines) {
    EXPECT_EQ(line["token_bytes"].size(), line["tokens"].get<size_t>());
    EXPECT_EQ(line["logprobs"].size(), line["tokens"].get<size_t>());
    size_t bytes = 0;
    for (const Json& length : line["token_bytes"])
      bytes += length.get<size_t>();
    EXPECT_EQ(bytes, line["response"].get<std::string>().size());
    EXPECT_FALSE(line["reason"].get<std::string>().empty());
  }
  EXPECT_EQ(lines[47]["step"], 62);
  EXPECT_EQ(lines[47]["group"], 5);
  EXPECT_EQ(lines[47]["sample"], 3);
}

}  // namespace
}  // namespace ponder
