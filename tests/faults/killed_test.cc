// Processes of a run that are killed while it goes on.

#include <signal.h>

#include <set>
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
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kGrpoSteps = 30;

class KilledTest : public TinyRunTest {
 protected:
  TinyConfig Wanted(const std::string& name) const {
    return Config(name, ColdStart() + Grpo(kGrpoSteps));
  }

  // Waits for `step` steps of GRPO and kills the children whose command line
  // has `part`.
  void Kill(PonderProcess& process, const std::string& name, size_t step,
            const std::string& part) {
    ASSERT_TRUE(WaitUntil([&] {
      return !process.Running() || StepsDone(RunFolder(name), "grpo") >= step;
    }));
    std::vector<PonderProcess::Child> children;
    ASSERT_TRUE(WaitUntil([&] {
      children = process.Children(part);
      return !children.empty() || !process.Running();
    }));
    ASSERT_TRUE(process.Running()) << process.StandardError();
    for (const auto& child : children) kill(child.pid, SIGKILL);
  }

  // The same samples and weights as in a run that nobody disturbed.
  void ExpectAsUndisturbed(const std::string& name) {
    ExpectAsUndisturbed(name, Wanted("whole"));
  }
  void ExpectAsUndisturbed(const std::string& name, const TinyConfig& config) {
    const std::string whole = Run(config);
    const std::string run = RunFolder(name);
    EXPECT_TRUE(NewestWeights(run) == NewestWeights(whole));
    EXPECT_EQ(Bytes(run + "/samples/grpo.jsonl"),
              Bytes(whole + "/samples/grpo.jsonl"));
    EXPECT_EQ(ReadJson(run + "/summary.json")["stages"][1]["samples"],
              ReadJson(whole + "/summary.json")["stages"][1]["samples"]);
    EXPECT_THAT(Series(ReadMetrics(run, "grpo"), "reward/unscorable_frac"),
                Each(0));
  }
};

TEST_F(KilledTest, Worker) {
  PonderProcess process(Arguments(Wanted("run")));
  Kill(process, "run", 4, "worker");
  ASSERT_EQ(process.Wait(), 0) << process.StandardError();
  EXPECT_THAT(process.StandardError(),
              HasSubstr("warning: the worker 1 was ended by signal 9"));
  EXPECT_THAT(process.Leftovers(), IsEmpty());
  ExpectAsUndisturbed("run");
}

TEST_F(KilledTest, OneOfTwoWorkersAgainAndAgain) {
  const std::string stages = ColdStart() + Grpo(150);
  TinyConfig config = Config("run", stages);
  config.workers = 2;
  PonderProcess process(Arguments(config));
  for (const size_t step : {2, 9, 16}) {
    Kill(process, "run", step, "--name worker-2");
  }
  ASSERT_EQ(process.Wait(), 0) << process.StandardError();
  EXPECT_THAT(process.StandardError(),
              HasSubstr("warning: the worker 2 was ended"));
  EXPECT_THAT(process.Leftovers(), IsEmpty());
  ExpectAsUndisturbed("run", Config("whole", stages));
}

TEST_F(KilledTest, RewardServer) {
  PonderProcess process(Arguments(Wanted("run")));
  Kill(process, "run", 4, "reward-server");
  ASSERT_EQ(process.Wait(), 0) << process.StandardError();
  EXPECT_THAT(process.StandardError(),
              HasSubstr("warning: the reward server was ended by signal 9"));
  EXPECT_THAT(process.Leftovers(), IsEmpty());
  ExpectAsUndisturbed("run");
}

TEST_F(KilledTest, EverythingButTheTrainer) {
  PonderProcess process(Arguments(Wanted("run")));
  Kill(process, "run", 4, "");
  ASSERT_EQ(process.Wait(), 0) << process.StandardError();
  EXPECT_THAT(process.Leftovers(), IsEmpty());
  ExpectAsUndisturbed("run");
}

// A worker that cannot live ends the run, with a reason.
TEST_F(KilledTest, WorkerThatDiesAgainAndAgain) {
  PonderProcess process(Arguments(Wanted("run")));
  std::set<pid_t> killed;
  ASSERT_TRUE(WaitUntil([&] {
    for (const auto& child : process.Children("ponder worker")) {
      if (killed.insert(child.pid).second) kill(child.pid, SIGKILL);
    }
    return !process.Running();
  }));
  EXPECT_GT(process.Wait(), 0);
  EXPECT_THAT(process.StandardError(),
              HasSubstr("ponder: processes of the run keep dying"));
  EXPECT_THAT(process.StandardError(), HasSubstr("the worker 1 was ended"));
  EXPECT_THAT(killed, SizeIs(6));
  EXPECT_THAT(process.Leftovers(), IsEmpty());
  EXPECT_THAT(HalfWritten(RunFolder("run")), IsEmpty());
}

// The trainer's children end with it, whatever ends it.
// An update needs all of its learners: the run ends with a sentence, and what
// it has saved is whole. It goes on from there.
TEST_F(KilledTest, LearnerProcess) {
  TinyConfig config = Config("learner", ColdStart(20) + Grpo(400));
  config.more = "checkpoint { every_steps: 2 }\n";
  std::vector<std::string> arguments = Arguments(config);
  arguments.insert(arguments.end(), {"--set", "learner.processes=2"});
  PonderProcess process(arguments);
  const std::string run = RunFolder("learner");
  Kill(process, "learner", 3, "learner --port");
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.StandardError(),
              AllOf(HasSubstr("stage grpo failed"),
                    HasSubstr("one of its learner processes may be gone")));
  EXPECT_THAT(process.Leftovers(), IsEmpty());

  const size_t steps = StepsDone(run, "grpo");
  PonderProcess again({"train", "--resume", run});
  EXPECT_TRUE(WaitUntil([&] { return StepsDone(run, "grpo") > steps + 1; }))
      << again.StandardError();
  again.Signal(SIGINT);
  EXPECT_NE(again.Wait(), -1);
}

TEST_F(KilledTest, SecondSignalEndsAtOnce) {
  PonderProcess process(Arguments(Wanted("run")));
  ASSERT_TRUE(WaitUntil([&] {
    return !process.Running() || StepsDone(RunFolder("run"), "grpo") >= 2;
  }));
  process.Signal(SIGINT);
  process.Signal(SIGINT);
  EXPECT_GT(process.Wait(), 0);
  EXPECT_THAT(process.Leftovers(), IsEmpty());
}

}  // namespace
}  // namespace ponder
