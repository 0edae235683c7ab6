#include "reward/plugin/process_verifier.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/barrier.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "reward/plugin/plugin_test_fixture.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Commands of the tests are Python programs; this is what they begin with.
constexpr char kCommandHead[] = R"(
import json, os, sys, time
def say(**answer): print(json.dumps(answer), flush=True)
say(ready=True)
)";

class ProcessVerifierTest : public PluginTest {
 protected:
  PluginVerifier Command(const std::string& program) {
    PluginVerifier config = Config();
    config.set_command(absl::StrCat(
        "exec /usr/bin/python3 ",
        Write(absl::StrCat("command", num_files_++, ".py"), program)));
    return config;
  }

  // The process ends, however busy the machine is.
  static bool Ends(pid_t pid) {
    const UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!fd.is_open()) return errno == ESRCH;
    pollfd ended = {fd.get(), POLLIN, 0};
    return poll(&ended, 1, /*timeout=*/60000) == 1;
  }
};

TEST_F(ProcessVerifierTest, AnswersGoToTheirSamples) {
  // In the opposite order.
  const auto verifier = MustLoad(Command(absl::StrCat(kCommandHead, R"(
batch = []
for line in sys.stdin:
    batch.append(json.loads(line))
    if batch[-1]["remaining"] > 0: continue
    for request in reversed(batch):
        say(id=request["id"], score=float(request["response"]), reason="ok")
    batch = []
)")));
  ASSERT_NE(verifier, nullptr);
  EXPECT_EQ(verifier->num_threads(), 1);
  EXPECT_EQ(verifier->max_samples(), 16);
  for (int repeat = 0; repeat < 2; ++repeat) {
    const auto scores = Score(
        *verifier, PluginSamples().Add("", "0.5").Add("", "1").Add("", "-2"));
    ASSERT_EQ(scores.size(), 3);
    EXPECT_EQ(scores[0].value, 0.5);
    EXPECT_EQ(scores[0].verdict, WRONG);
    EXPECT_EQ(scores[1].value, 1);
    EXPECT_EQ(scores[1].verdict, CORRECT);
    EXPECT_TRUE(scores[1].flexible_correct);
    EXPECT_EQ(scores[2].value, -2);
    EXPECT_EQ(scores[2].reason, "mine: ok");
  }
  EXPECT_TRUE(Score(*verifier, PluginSamples()).empty());
}

TEST_F(ProcessVerifierTest, TheExampleScores) {
  PluginVerifier config = Config();
  config.set_command("python3 examples/verifiers/command/last_line.py");
  const auto verifier = MustLoad(config);
  ASSERT_NE(verifier, nullptr);
  const auto scores =
      Score(*verifier,
            PluginSamples().Add("4", "2+2\n 4 \n").Add("4", "44").Add("", "4"));
  ASSERT_EQ(scores.size(), 3);
  EXPECT_EQ(scores[0].verdict, CORRECT) << scores[0].reason;
  EXPECT_EQ(scores[1].verdict, WRONG) << scores[1].reason;
  EXPECT_EQ(scores[2].verdict, UNSCORABLE);
  EXPECT_EQ(scores[2].reason, "verifier mine: the row has no answer");
}

TEST_F(ProcessVerifierTest, CorrectFromIsTheConfigurations) {
  PluginVerifier config = Python(
      "def f(completions, **kwargs): return [float(c) for c in completions]");
  config.set_correct_from(0.25);
  const auto verifier = MustLoad(config);
  ASSERT_NE(verifier, nullptr);
  EXPECT_EQ(ScoreOne(*verifier, "", "0.25").verdict, CORRECT);
  EXPECT_EQ(ScoreOne(*verifier, "", "0.24").verdict, WRONG);
}

TEST_F(ProcessVerifierTest, RequestHoldsTheSample) {
  const auto verifier = MustLoad(Command(absl::StrCat(kCommandHead, R"(
for line in sys.stdin:
    request = json.loads(line)
    say(id=request.pop("id"), score=1,
        reason=json.dumps(request, sort_keys=True))
)")));
  ASSERT_NE(verifier, nullptr);
  PluginSamples samples;
  samples.Add("4", "2+2=4 <|im_end|>\n",
              R"({"level": 3, "big": 12345678901234567890123, "t": [null]})");
  PromptMessage* message = samples.problem(0).add_messages();
  message->set_role("user");
  message->set_content("2+2?");
  samples.response(0).set_truncated(true);
  samples.response(0).set_thought_opened(true);
  EXPECT_EQ(
      Score(*verifier, samples)[0].reason,
      R"(mine: {"answer": "4", "messages": [{"content": "2+2?", )"
      R"("role": "user"}], "problem_id": "p1", "prompt": "What is it?", )"
      R"("remaining": 0, "response": "2+2=4", "response_ids": [7, 8], )"
      R"("row": {"big": 12345678901234567890123, "level": 3, "t": [null]}, )"
      R"("thought_opened": true, "truncated": true})");
}

// What a command does wrong with request 7, and what is said of it.
TEST_F(ProcessVerifierTest, WhatACommandDoesWrongIsUnscorable) {
  const std::vector<std::pair<std::string, std::string>> faults = {
      {"print('hello', flush=True)",
       R"(a line that is no JSON object: "hello")"},
      {"print('[1]', flush=True)", "no JSON object"},
      {"say(score=1)", "an answer without the request's \"id\""},
      {"say(id=id + 1, score=1)", "it answered id 3; asked were 2 to 2"},
      {"print('{\"id\": %d, \"score\": NaN}' % id, flush=True)",
       "no JSON object"},
      {"print('{\"id\": %d, \"score\": 1e999}' % id, flush=True)",
       "no JSON object"},
      {"say(id=id, score='1')", R"(its score is not a number: "1")"},
      {"say(id=id, score=True)", "its score is not a number: true"},
      {"say(id=id, score=10 ** 400)", "no JSON object"},
      {"say(id=id)", "its answer has no \"score\""},
      {"say(id=id, score=None)", "it gave no score"},
      {"say(id=id, score=None, reason='no gold')", "no gold"},
      {"sys.stdout.write('x' * (2 << 20)); sys.stdout.flush()",
       "a line of more than 1048576 bytes"},
      {"sys.stderr.write('one\\ntwo\\n'); sys.stderr.flush(); os._exit(3)",
       "its process ended with exit code 3; its last lines: one | two (0 of 1 "
       "answers had come)"},
      {"os.kill(os.getpid(), 11)", "was ended by signal 11"},
      {"os._exit(0)", "ended with exit code 0"},
      {"os.close(1); time.sleep(1000)", "it closed its standard output"},
  };
  for (const auto& [fault, reason] : faults) {
    const auto verifier = MustLoad(Command(absl::StrCat(kCommandHead, R"(
for line in sys.stdin:
    request = json.loads(line)
    id = request["id"]
    if request["response"] != "fault": say(id=id, score=1)
    else: )",
                                                        fault, "\n")));
    ASSERT_NE(verifier, nullptr);
    const PluginSamples right = PluginSamples().Add("", "a").Add("", "b");
    EXPECT_EQ(Score(*verifier, right)[1].verdict, CORRECT);
    const VerifierScore score = ScoreOne(*verifier, "", "fault");
    EXPECT_EQ(score.verdict, UNSCORABLE) << fault;
    EXPECT_THAT(score.reason,
                AllOf(StartsWith("verifier mine: "), HasSubstr(reason)));
    EXPECT_FALSE(score.timed_out);
    // And goes on.
    for (const VerifierScore& next : Score(*verifier, right)) {
      EXPECT_EQ(next.verdict, CORRECT) << fault << ": " << next.reason;
    }
  }
}

TEST_F(ProcessVerifierTest, IntegersOfAnySizeAreScores) {
  const auto verifier = MustLoad(Command(absl::StrCat(kCommandHead, R"(
for line in sys.stdin:
    request = json.loads(line)
    say(id=request["id"], score=-10 ** 30)
)")));
  ASSERT_NE(verifier, nullptr);
  EXPECT_EQ(ScoreOne(*verifier, "", "x").value, -1e30);
}

TEST_F(ProcessVerifierTest, TooManyAnswersAreUnscorable) {
  const auto verifier = MustLoad(Command(absl::StrCat(kCommandHead, R"(
for line in sys.stdin:
    request = json.loads(line)
    answer = json.dumps({"id": request["id"], "score": 1}) + "\n"
    sys.stdout.write(answer * (2 if request["response"] == "twice" else 1))
    sys.stdout.flush()
)")));
  ASSERT_NE(verifier, nullptr);
  const VerifierScore score = ScoreOne(*verifier, "", "twice");
  EXPECT_EQ(score.verdict, UNSCORABLE);
  EXPECT_THAT(score.reason, HasSubstr("it answered id 0 twice"));
  EXPECT_EQ(ScoreOne(*verifier, "", "once").verdict, CORRECT);
}

// A line that comes between two batches belongs to neither.
TEST_F(ProcessVerifierTest, LinesThatNobodyAskedForSpoilNoBatch) {
  const auto verifier =
      MustLoad(Command(absl::StrCat(kCommandHead, R"(
import threading
def surplus(id):
    os.read(os.open(")",
                                    folder_, R"(/go", os.O_RDONLY), 1)
    say(id=id, score=0)
    os.close(os.open(")",
                                    folder_, R"(/said", os.O_WRONLY))
for line in sys.stdin:
    request = json.loads(line)
    say(id=request["id"], score=1, reason=str(os.getpid()))
    if request["response"] == "surplus":
        threading.Thread(target=surplus, args=[request["id"] + 1]).start()
)")));
  ASSERT_NE(verifier, nullptr);
  const std::string go = folder_ + "/go";
  const std::string said = folder_ + "/said";
  ASSERT_EQ(mkfifo(go.c_str(), 0600), 0);
  ASSERT_EQ(mkfifo(said.c_str(), 0600), 0);
  const VerifierScore first = ScoreOne(*verifier, "", "surplus");
  EXPECT_EQ(first.verdict, CORRECT);
  // Lets it write, and waits until it has.
  UniqueFd(open(go.c_str(), O_WRONLY));
  UniqueFd(open(said.c_str(), O_RDONLY));
  const VerifierScore second = ScoreOne(*verifier, "", "x");
  EXPECT_EQ(second.verdict, CORRECT) << second.reason;
  EXPECT_NE(second.reason, first.reason);  // By another process.
}

TEST_F(ProcessVerifierTest, ProcessThatHangsIsKilledWithItsChildren) {
  PluginVerifier config = Python(R"(
import os, subprocess, time
def f(completions, **kwargs):
    if completions[0] == "hang":
        print(subprocess.Popen(["sleep", "1000"]).pid, flush=True)
        print(os.getpid(), flush=True)
        time.sleep(1000)
    return [1.0] * len(completions)
)");
  config.set_timeout_seconds(2);
  const auto verifier = MustLoad(config);
  ASSERT_NE(verifier, nullptr);
  testing::internal::CaptureStderr();
  const VerifierScore score = ScoreOne(*verifier, "", "hang");
  const VerifierScore next = ScoreOne(*verifier, "", "x");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(score.verdict, UNSCORABLE);
  EXPECT_TRUE(score.timed_out);
  EXPECT_THAT(score.reason, HasSubstr("did not answer within 2s"));
  EXPECT_EQ(next.verdict, CORRECT) << next.reason;
  EXPECT_THAT(
      log,
      HasSubstr("[mine] ponder: unscorable, 1 responses: it did not answer"));
  int num_pids = 0;
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(absl::StripPrefix(line, "[mine] "), &pid)) continue;
    ++num_pids;
    EXPECT_TRUE(Ends(pid));
  }
  EXPECT_EQ(num_pids, 2);
}

// What queues up for it must not wait longer than the run does.
TEST_F(ProcessVerifierTest, OneThatAlwaysHangsIsLeftAlone) {
  PluginVerifier config = Python(R"(
import time
def f(completions, **kwargs): time.sleep(1000)
)");
  config.set_timeout_seconds(0.5);
  const auto verifier = MustLoad(config);
  ASSERT_NE(verifier, nullptr);
  for (int i = 0; i < Patience::kMostInARow; ++i) {
    EXPECT_THAT(ScoreOne(*verifier, "", "a").reason,
                HasSubstr("did not answer within 500ms"));
  }
  const VerifierScore score = ScoreOne(*verifier, "", "a");
  EXPECT_EQ(score.verdict, UNSCORABLE);
  EXPECT_TRUE(score.timed_out);
  EXPECT_THAT(score.reason, HasSubstr("is left alone for 1.5s"));
}

TEST_F(ProcessVerifierTest, LeavesNoProcessBehind) {
  auto verifier = MustLoad(Python(R"(
import os, time
def f(completions, **kwargs):
    child = os.fork()
    if child == 0: time.sleep(1000)
    return [float(child), float(os.getpid())]
)"));
  ASSERT_NE(verifier, nullptr);
  const auto scores =
      Score(*verifier, PluginSamples().Add("", "a").Add("", "b"));
  ASSERT_EQ(scores.size(), 2);
  ASSERT_EQ(scores[0].verdict, CORRECT) << scores[0].reason;
  verifier.reset();
  EXPECT_TRUE(Ends(static_cast<pid_t>(scores[0].value)));
  EXPECT_TRUE(Ends(static_cast<pid_t>(scores[1].value)));
}

// A child that goes on where its parent does must not answer as well.
TEST_F(ProcessVerifierTest, ChildThatReturnsAnswersNothing) {
  const auto verifier = MustLoad(Python(R"(
import os
def f(completions, **kwargs):
    child = os.fork()
    if child != 0: os.waitpid(child, 0)
    return [float(child != 0)] * len(completions)
)"));
  ASSERT_NE(verifier, nullptr);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ScoreOne(*verifier, "", "a").verdict, CORRECT);
  }
}

TEST_F(ProcessVerifierTest, PrintsOfTenMegabytesGoToTheLog) {
  const auto verifier = MustLoad(Python(R"(
import subprocess
def f(completions, **kwargs):
    for i in range(10): print("x" * 1000000)
    subprocess.run(["echo", "of a child"])
    print('{"id": 0, "score": 0}')
    return [1.0] * len(completions)
)"));
  ASSERT_NE(verifier, nullptr);
  testing::internal::CaptureStderr();
  const VerifierScore score = ScoreOne(*verifier, "", "a");
  const VerifierScore next = ScoreOne(*verifier, "", "a");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(score.verdict, CORRECT) << score.reason;
  EXPECT_EQ(next.verdict, CORRECT) << next.reason;
  EXPECT_GT(log.size(), 10000000);
  EXPECT_THAT(log.substr(0, 100), StartsWith("[mine] xxxx"));
  EXPECT_THAT(log, HasSubstr("\n[mine] of a child\n"));
}

TEST_F(ProcessVerifierTest, AnyBytesOfAnySizeArrive) {
  const auto verifier = MustLoad(Python(R"(
def f(completions, **kwargs):
    return [float(len(c)) + c.count("\ufffd") / 1e3 for c in completions]
)"));
  ASSERT_NE(verifier, nullptr);
  // A lone surrogate as UTF-8 would write it, bytes of no character, a 0, a
  // character of four bytes that is cut off, and one that is not.
  const std::string broken(
      "\xed\xa0\x80|\xff\xfe|\0|\xf0\x9f\x98|\xf0\x9f\x98\x80", 17);
  const std::string large(size_t{1} << 20, 'a');
  const auto scores = Score(*verifier, PluginSamples()
                                           .Add("", broken)
                                           .Add("", large)
                                           .Add("", large + "\xff")
                                           .Add("", "\u2028\r\n\x01"));
  EXPECT_EQ(scores[0].value, 14.008);
  EXPECT_EQ(scores[1].value, 1048576);
  EXPECT_EQ(scores[2].value, 1048577.001);
  EXPECT_EQ(scores[3].value, 4);
}

TEST_F(ProcessVerifierTest, EndsWhileAFunctionHangs) {
  auto verifier = MustLoad(Python(R"(
import time
def f(completions, **kwargs): time.sleep(1000)
)"));
  ASSERT_NE(verifier, nullptr);
  CancelToken cancel;
  cancel.Cancel();
  const PluginSamples samples = PluginSamples().Add("", "a");
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(absl::IsCancelled(
        verifier->Score(samples.samples(), &cancel).status()));
  }
  verifier.reset();  // Within the test's time limit.
}

// Of many callers none waits for all others to finish.
TEST_F(ProcessVerifierTest, CallersAreServedInTurn) {
  constexpr int kCallers = 8;
  constexpr int kCalls = 100;
  PluginVerifier config = Python(
      "def f(completions, **kwargs): return [float(c) for c in completions]");
  for (const int workers : {1, 3}) {
    config.set_workers(workers);
    const auto verifier = MustLoad(config);
    ASSERT_NE(verifier, nullptr);
    EXPECT_EQ(verifier->num_threads(), workers);
    absl::Barrier all_here(kCallers);
    absl::Mutex mu;
    std::vector<int> served;  // Callers in the order of their answers.
    std::vector<std::thread> callers;
    for (int caller = 0; caller < kCallers; ++caller) {
      callers.emplace_back([&, caller] {
        all_here.Block();
        for (int call = 0; call < kCalls; ++call) {
          const int number = caller * kCalls + call;
          const auto scores =
              Score(*verifier, PluginSamples()
                                   .Add("", absl::StrCat(number))
                                   .Add("", absl::StrCat(-number)));
          EXPECT_EQ(scores[0].value, number);
          EXPECT_EQ(scores[1].value, -number);
          absl::MutexLock lock(&mu);
          served.push_back(caller);
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    const std::set<int> in_first_half(served.begin(),
                                      served.begin() + kCallers * kCalls / 2);
    EXPECT_EQ(in_first_half.size(), kCallers);
  }
}

TEST_F(ProcessVerifierTest, ProcessThatCannotBeStartedAgainIsUnscorable) {
  const auto verifier = MustLoad(Python(R"(
import os
def f(completions, **kwargs):
    os.remove(__file__)
    os._exit(1)
)"));
  ASSERT_NE(verifier, nullptr);
  EXPECT_EQ(ScoreOne(*verifier, "", "a").verdict, UNSCORABLE);
  const VerifierScore score = ScoreOne(*verifier, "", "a");
  EXPECT_EQ(score.verdict, UNSCORABLE);
  EXPECT_THAT(score.reason, AllOf(HasSubstr("cannot be started again"),
                                  HasSubstr("there is no such file")));
}

TEST_F(ProcessVerifierTest, BadCommandsAreRefusedAtTheStart) {
  PluginVerifier config = Config();
  config.set_command("no-such-program --flag");
  EXPECT_THAT(LoadError(config),
              AllOf(StartsWith("verifier mine: its process ended with exit "
                               "code 127; its last lines: "),
                    HasSubstr("no-such-program")));
  config.set_command("echo hello; cat");
  EXPECT_THAT(LoadError(config),
              HasSubstr("the first line that it wrote is \"hello\"; wanted "
                        "{\"ready\": true}"));
  config.set_command(R"(echo '{"error": "no licence"}')");
  EXPECT_EQ(LoadError(config), "verifier mine: no licence");
}

}  // namespace
}  // namespace ponder
