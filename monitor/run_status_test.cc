#include "monitor/run_status.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RunStatusTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(testing::TempDir(), "/run_status_", getpid());
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/config.textproto") << "name: \"x\"\n";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  RunStatus Running() const {
    RunStatus status;
    status.stage = "grpo";
    status.stage_number = 3;
    status.stages = 4;
    status.step = 120;
    status.doing = "grpo";
    status.done = 20;
    status.total = 60;
    status.left = absl::Seconds(95);
    status.warnings = {"health/truncation: 20 % ..."};
    status.processes = {ProcessOf("trainer", getpid())};
    status.updated = absl::FromUnixSeconds(1000);
    return status;
  }

  std::string Text() const {
    const auto report = ReadRunReport(folder_);
    EXPECT_TRUE(report.ok()) << report.status();
    return RunReportText("RUN", *report, absl::FromUnixSeconds(1004));
  }

  std::string folder_;
};

TEST_F(RunStatusTest, SaysWhereARunStands) {
  ASSERT_TRUE(WriteRunStatus(folder_, Running()).ok());
  std::ofstream(folder_ + "/metrics.jsonl")
      << R"({"step": 100, "val-core/tiny/acc_strict": 0.5,)"
      << R"( "val-core/tiny/3/acc_strict": 0.25})"
      << "\n"
      << R"({"step": 119, "training/global_step": 119, "actor/lr": 1})"
      << "\n"
      << R"({"step": 120, "training/global_step": 120,)"
      << R"( "critic/rewards/mean": 0.625, "response_length/clip_ratio": 0.2})"
      << "\n{\"step\": 121, \"tra";
  EXPECT_EQ(Text(),
            absl::StrCat("RUN: running\n"
                         "  stage       grpo, 3 of 4; step 120 of the run\n"
                         "  doing       grpo 20 of 60, 1:35 left\n"
                         "  last news   0:04 ago\n"
                         "  processes   trainer (",
                         getpid(),
                         ") alive\n"
                         "  last step   reward 0.625, cut 20 %\n"
                         "  held out    step 100: tiny acc_strict 50.0 %\n"
                         "  warning     health/truncation: 20 % ...\n"));
  const auto json = RunReportJson(*ReadRunReport(folder_));
  EXPECT_EQ(json["state"], "running");
  EXPECT_EQ(json["processes"][0]["alive"], true);
  EXPECT_EQ(json["seconds_left"], 95);
  EXPECT_EQ(json["last_step"]["step"], 120);
  EXPECT_EQ(json["last_evaluation"]["step"], 100);
}

TEST_F(RunStatusTest, ATrainerThatIsGoneWasKilled) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) pause();
  RunStatus status = Running();
  status.processes = {ProcessOf("trainer", child)};
  EXPECT_TRUE(IsAlive(status.processes[0]));
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(IsAlive(status.processes[0]));
  ASSERT_TRUE(WriteRunStatus(folder_, status).ok());
  EXPECT_THAT(Text(), AllOf(HasSubstr("RUN: killed\n"), HasSubstr(") gone\n"),
                            HasSubstr("ponder train --resume RUN"),
                            Not(HasSubstr(" left"))));
}

TEST_F(RunStatusTest, AnotherProcessWithTheSameIdIsNotTheTrainer) {
  RunProcess process = ProcessOf("trainer", getpid());
  process.start_ticks -= 1;
  EXPECT_FALSE(IsAlive(process));
}

TEST_F(RunStatusTest, AFailedRunSaysWhy) {
  RunStatus status = Running();
  status.state = RunStatus::State::kFailed;
  status.error = "the disk is full";
  ASSERT_TRUE(WriteRunStatus(folder_, status).ok());
  EXPECT_THAT(Text(), AllOf(HasSubstr("RUN: failed\n"),
                            HasSubstr("error       the disk is full\n")));
}

TEST_F(RunStatusTest, WhatIsNoRunIsSaidInASentence) {
  const auto missing = ReadRunReport(folder_);
  EXPECT_THAT(std::string(missing.status().message()),
              HasSubstr("has no status.json"));
  std::ofstream(folder_ + "/status.json") << "{}";
  EXPECT_THAT(std::string(ReadRunReport(folder_).status().message()),
              HasSubstr("status.json is not what a run writes"));
  EXPECT_THAT(std::string(ReadRunReport("/none").status().message()),
              HasSubstr("/none: is no run"));
}

}  // namespace
}  // namespace ponder
