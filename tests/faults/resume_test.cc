// A run that is stopped or killed, and gone on with, ends where it would have
// ended.

#include <signal.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ponder_process.h"
#include "tests/support/tiny_run.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Lt;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int kColdSteps = 60;
constexpr int kGrpoSteps = 24;

class ResumeTest : public TinyRunTest {
 protected:
  TinyConfig LongConfig(const std::string& name,
                        const std::string& grpo_fields = "") const {
    TinyConfig config =
        Config(name, ColdStart(kColdSteps) + Grpo(kGrpoSteps, grpo_fields));
    config.more = "checkpoint { every_steps: 4 }\n";
    return config;
  }

  void WaitForStep(PonderProcess& process, const std::string& name,
                   const std::string& stage, size_t step) const {
    ASSERT_TRUE(WaitUntil([&] {
      return !process.Running() || StepsDone(RunFolder(name), stage) >= step;
    }));
    ASSERT_TRUE(process.Running())
        << "it ended too early: " << process.StandardError();
  }

  // A long evaluation in the middle of GRPO and one behind it.
  TinyConfig EvaluatedConfig(const std::string& name) const {
    TinyConfig config =
        Config(name, ColdStart(kColdSteps) + Grpo(8, "eval_every: 4", true));
    config.more = absl::StrCat(
        "checkpoint { every_steps: 0 }\neval_data { name: \"tiny\" path: \"",
        config.data_path, "\" }\n");
    config.eval_samples = 64;
    return config;
  }

  // Starts the run and signals it once `stage` has done `step` steps.
  // Leaves what it said in error_.
  void Interrupt(const TinyConfig& config, const std::string& stage,
                 size_t step, int signal) {
    PonderProcess process(Arguments(config));
    WaitForStep(process, config.name, stage, step);
    process.Signal(signal);
    const int code = process.Wait();
    error_ = process.StandardError();
    SCOPED_TRACE(error_);
    EXPECT_NE(code, 0);
    EXPECT_NE(code, -1) << "it did not end";
    EXPECT_EQ(code == 128 + SIGKILL, signal == SIGKILL);
    EXPECT_THAT(process.Leftovers(), IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(
        absl::StrCat(RunFolder(config.name), "/summary.json")));
  }

  void Resume(const std::string& name) {
    PonderProcess process({"train", "--resume", RunFolder(name)});
    EXPECT_EQ(process.Wait(), 0) << process.StandardError();
    EXPECT_THAT(process.Leftovers(), IsEmpty());
  }

  // Same weights as the run that nobody disturbed, and each step logged once.
  void ExpectAsUndisturbed(const std::string& name,
                           const std::string& grpo_fields = "") {
    ExpectAsUndisturbed(name, LongConfig("whole", grpo_fields));
  }
  void ExpectAsUndisturbed(const std::string& name, const TinyConfig& config) {
    const std::string whole = Run(config);
    EXPECT_TRUE(NewestWeights(RunFolder(name)) == NewestWeights(whole));
    EXPECT_EQ(Series(ReadMetrics(RunFolder(name)), "step"),
              Series(ReadMetrics(whole), "step"));
    for (const char* metric :
         {"critic/rewards/mean", "actor/pg_loss", "actor/grad_norm"}) {
      EXPECT_EQ(Series(ReadMetrics(RunFolder(name), "grpo"), metric),
                Series(ReadMetrics(whole, "grpo"), metric))
          << metric;
    }
    EXPECT_EQ(Bytes(RunFolder(name) + "/samples/grpo.jsonl"),
              Bytes(whole + "/samples/grpo.jsonl"));
    // The same counts: nothing is counted twice, nothing is lost.
    const Json got = ReadJson(RunFolder(name) + "/summary.json");
    const Json want = ReadJson(whole + "/summary.json");
    ASSERT_EQ(got["stages"].size(), want["stages"].size());
    for (size_t i = 0; i < want["stages"].size(); ++i) {
      for (const char* field : {"name", "steps", "tokens", "samples"}) {
        EXPECT_EQ(got["stages"][i][field], want["stages"][i][field]) << field;
      }
      EXPECT_EQ(got["stages"][i].value("accuracy", Json()),
                want["stages"][i].value("accuracy", Json()));
    }
    EXPECT_THAT(HalfWritten(RunFolder(name)), IsEmpty());
  }

  // The error says how to go on, in one line, and a checkpoint is there.
  void ExpectHowToGoOn(const std::string& name) {
    EXPECT_THAT(error_, HasSubstr(absl::StrCat("ponder train --resume ",
                                               RunFolder(name))));
    EXPECT_FALSE(CheckpointSteps(RunFolder(name)).empty());
    EXPECT_THAT(HalfWritten(RunFolder(name)), IsEmpty());
  }

  std::string error_;
};

TEST_F(ResumeTest, InterruptedInGrpo) {
  Interrupt(LongConfig("stopped"), "grpo", 5, SIGINT);
  ExpectHowToGoOn("stopped");
  // Stopped at once, not at the next regular checkpoint's step.
  EXPECT_THAT(CheckpointSteps(RunFolder("stopped")).back(),
              Lt(kColdSteps + kGrpoSteps));
  Resume("stopped");
  ExpectAsUndisturbed("stopped");
}

TEST_F(ResumeTest, InterruptedInSft) {
  Interrupt(LongConfig("stopped"), "cold_start", 7, SIGINT);
  ExpectHowToGoOn("stopped");
  EXPECT_THAT(CheckpointSteps(RunFolder("stopped")).back(), Lt(kColdSteps));
  Resume("stopped");
  ExpectAsUndisturbed("stopped");
}

TEST_F(ResumeTest, InterruptedTwiceAndWithAReferencePolicy) {
  const std::string fields = "kl_coef: 0.05";
  Interrupt(LongConfig("stopped", fields), "grpo", 3, SIGINT);
  {
    PonderProcess process({"train", "--resume", RunFolder("stopped")});
    WaitForStep(process, "stopped", "grpo", 10);
    process.Signal(SIGTERM);
    EXPECT_NE(process.Wait(), 0);
  }
  Resume("stopped");
  ExpectAsUndisturbed("stopped", fields);
}

// All updates are done; what they made must not be lost.
TEST_F(ResumeTest, InterruptedInTheEvaluationBehindAStage) {
  Interrupt(EvaluatedConfig("stopped"), "grpo", 8, SIGINT);
  ExpectHowToGoOn("stopped");
  EXPECT_EQ(CheckpointSteps(RunFolder("stopped")).back(), kColdSteps + 8);
  Resume("stopped");
  ExpectAsUndisturbed("stopped", EvaluatedConfig("whole"));
}

TEST_F(ResumeTest, InterruptedInTheEvaluationWithinAStage) {
  Interrupt(EvaluatedConfig("stopped"), "grpo", 4, SIGINT);
  ExpectHowToGoOn("stopped");
  EXPECT_EQ(CheckpointSteps(RunFolder("stopped")).back(), kColdSteps + 4);
  Resume("stopped");
  ExpectAsUndisturbed("stopped", EvaluatedConfig("whole"));
}

TEST_F(ResumeTest, KilledInTheEvaluationBehindAStage) {
  Interrupt(EvaluatedConfig("killed"), "grpo", 8, SIGKILL);
  Resume("killed");
  ExpectAsUndisturbed("killed", EvaluatedConfig("whole"));
}

TEST_F(ResumeTest, KilledAgainAndAgain) {
  Interrupt(LongConfig("killed"), "cold_start", 10, SIGKILL);
  size_t steps = 10;
  bool finished = false;
  while (!finished) {
    steps += 9;  // Every fourth step is saved, so it gets on.
    PonderProcess process({"train", "--resume", RunFolder("killed")});
    ASSERT_TRUE(WaitUntil([&] {
      return !process.Running() ||
             ReadMetrics(RunFolder("killed")).size() >= steps;
    }));
    finished = !process.Running();
    if (finished) {
      EXPECT_EQ(process.Wait(), 0);
    }
    process.Signal(SIGKILL);
    process.Wait();
    EXPECT_THAT(process.Leftovers(), IsEmpty());
    ASSERT_LT(steps, 1000u) << process.StandardError();
  }
  ExpectAsUndisturbed("killed");
}

// Killed behind the last checkpoint, before the summary.
TEST_F(ResumeTest, KilledAtTheVeryEnd) {
  const std::string run = Run(LongConfig("killed"));
  const Json summary = ReadJson(run + "/summary.json");
  std::filesystem::remove(run + "/summary.json");
  std::filesystem::remove_all(run + "/export");
  Resume("killed");
  const Json again = ReadJson(run + "/summary.json");
  for (const char* field : {"run", "stages", "checkpoint", "export"}) {
    EXPECT_EQ(again[field], summary[field]) << field;
  }
  EXPECT_TRUE(std::filesystem::exists(run + "/export/model.safetensors"));
}

TEST_F(ResumeTest, OnlyOneProcessRunsARun) {
  PonderProcess process(Arguments(LongConfig("run")));
  WaitForStep(process, "run", "cold_start", 3);
  const PonderResult second =
      RunPonder({"train", "--resume", RunFolder("run")});
  EXPECT_NE(second.exit_code, 0);
  EXPECT_THAT(second.err, HasSubstr(RunFolder("run")));
  EXPECT_EQ(process.Wait(), 0) << process.StandardError();
  EXPECT_THAT(Series(ReadMetrics(RunFolder("run")), "step"),
              SizeIs(kColdSteps + kGrpoSteps));
}

TEST_F(ResumeTest, KilledInGrpo) {
  Interrupt(LongConfig("killed"), "grpo", 10, SIGKILL);
  Resume("killed");
  ExpectAsUndisturbed("killed");
}

TEST_F(ResumeTest, KilledInSft) {
  Interrupt(LongConfig("killed"), "cold_start", 9, SIGKILL);
  Resume("killed");
  ExpectAsUndisturbed("killed");
}

// Before the first checkpoint there is nothing to go on from but the start.
TEST_F(ResumeTest, KilledBeforeTheFirstCheckpoint) {
  Interrupt(LongConfig("killed"), "cold_start", 1, SIGKILL);
  std::filesystem::remove_all(RunFolder("killed") + "/checkpoints");
  Resume("killed");
  ExpectAsUndisturbed("killed");
}

// What a stage has learned is kept before it is evaluated.
TEST_F(ResumeTest, AStageIsNotTrainedTwiceForItsEvaluation) {
  TinyConfig config = Config("evaluated", ColdStart(kColdSteps));
  config.stages.replace(config.stages.find("evaluate: false"), 15,
                        "evaluate: true");
  config.more = absl::StrCat(
      "checkpoint { every_steps: 0 }\neval_data { name: \"tiny\" path: \"",
      config.data_path, "\" }\n");
  config.eval_samples = 512;
  const std::string run = RunFolder("evaluated");
  PonderProcess process(Arguments(config));
  ASSERT_TRUE(WaitUntil([&] {
    return !process.Running() ||
           absl::StrContains(ReadFile(run + "/status.json").value_or(""),
                             "evaluate cold_start");
  }));
  process.Signal(SIGKILL);
  process.Wait();
  ASSERT_FALSE(std::filesystem::exists(run + "/summary.json"));
  EXPECT_THAT(CheckpointSteps(run), ElementsAre(kColdSteps));
  const PonderResult resumed = RunPonder({"train", "--resume", run});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, Not(HasSubstr("cold_start 1/60")));
  EXPECT_TRUE(
      ReadJson(run + "/summary.json")["stages"][0].contains("accuracy"));
}

// Of thousands of prompts none is sampled twice.
TEST_F(ResumeTest, SamplingGoesOnWithWhatItHas) {
  const auto config = [&](const std::string& name) {
    return Config(name, absl::StrCat(ColdStart(20), R"(stage {
  name: "many"
  sample { prompts: 600 samples_per_prompt: 8 keep {} }
}
)"));
  };
  const std::string groups = RunFolder("stopped") + "/samples/many.groups";
  PonderProcess process(Arguments(config("stopped")));
  ASSERT_TRUE(WaitUntil([&] {
    std::error_code error;
    return !process.Running() ||
           (std::filesystem::exists(groups) &&
            std::filesystem::file_size(groups, error) > 20000);
  }));
  process.Signal(SIGKILL);
  process.Wait();
  const PonderResult resumed =
      RunPonder({"train", "--resume", RunFolder("stopped")});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, Not(HasSubstr("many 1/600 ")));
  EXPECT_THAT(resumed.err, HasSubstr("many 600/600 "));
  EXPECT_FALSE(std::filesystem::exists(groups));
  // What it took before counts, too.
  const Json stage =
      ReadJson(RunFolder("stopped") + "/summary.json")["stages"][1];
  EXPECT_EQ(stage["samples"], 600 * 8);
  const std::string whole = Run(config("whole"));
  for (const char* file : {"samples", "pass_rates", "kept"}) {
    const std::string path = absl::StrCat("/samples/", file, ".jsonl");
    EXPECT_EQ(Bytes(RunFolder("stopped") + path), Bytes(whole + path)) << file;
  }
}

}  // namespace
}  // namespace ponder
