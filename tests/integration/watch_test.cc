// What a person watches: runs that are made to break, status, cost, samples.

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/coordinator.grpc.pb.h"
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

// A port of loopback that nobody has.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

// A worker that answers \boxed{1} and claims that each token had the
// probability e^-1, until the run ends or no longer answers.
class LyingWorker {
 public:
  explicit LyingWorker(const std::string& address)
      : stub_(Coordinator::NewStub(grpc::CreateChannel(
            address, grpc::InsecureChannelCredentials()))) {}

  void Work() {
    RegisterRequest request;
    request.set_name("liar");
    request.set_version(PONDER_VERSION);
    request.set_pid(getpid());
    RegisterResponse run;
    if (!Call(&Coordinator::Stub::Register, request, &run)) return;
    LeaseGroupsRequest ask;
    ask.set_worker_id(run.worker_id());
    ask.set_policy_version(-1);
    ask.set_max_groups(8);
    ask.set_wait_ms(1000);
    LeaseGroupsResponse work;
    while (Call(&Coordinator::Stub::LeaseGroups, ask, &work) &&
           !work.finished()) {
      if (work.policy_version() != ask.policy_version()) {
        ask.set_policy_checksum(Checksum(ask.worker_id(), work));
        ask.set_policy_version(work.policy_version());
      }
      for (const Lease& lease : work.leases()) {
        SubmitGroupResponse response;
        Call(&Coordinator::Stub::SubmitGroup, Answer(ask.worker_id(), lease),
             &response);
      }
      work.Clear();
    }
  }

 private:
  template <typename Request, typename Response>
  bool Call(grpc::Status (Coordinator::Stub::*method)(grpc::ClientContext*,
                                                      const Request&,
                                                      Response*),
            const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Minutes(2)));
    return ((*stub_).*method)(&context, request, response).ok();
  }

  // Of a policy that it has only the header of.
  uint32_t Checksum(const std::string& id, const LeaseGroupsResponse& work) {
    PullPolicyRequest request;
    request.set_worker_id(id);
    request.set_version(work.policy_version());
    grpc::ClientContext context;
    const auto reader = stub_->PullPolicy(&context, request);
    PolicyChunk chunk;
    EXPECT_TRUE(reader->Read(&chunk));
    context.TryCancel();
    return chunk.header().checksum();
  }

  static SubmitGroupRequest Answer(const std::string& id, const Lease& lease) {
    SubmitGroupRequest request;
    request.set_worker_id(id);
    request.set_group_id(lease.group_id());
    for (const SampleSpec& spec : lease.samples()) {
      Sample* sample = request.add_samples();
      sample->set_index(spec.index());
      sample->set_key(spec.key());
      sample->set_policy_version(lease.policy_version());
      sample->set_finish_reason("stop");
      sample->set_text("\\boxed{1}");
      for (const char letter : sample->text()) {
        sample->add_response_ids(static_cast<unsigned char>(letter));
        sample->add_logprobs(-1);
      }
      // Rewards that differ within the group, so that there is a signal.
      sample->mutable_score()->set_verdict(spec.index() == 0 ? CORRECT : WRONG);
      sample->mutable_score()->set_reward(spec.index() == 0 ? 1 : 0);
    }
    return request;
  }

  const std::unique_ptr<Coordinator::Stub> stub_;
};

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

// A worker that does not sample from the policy that is trained joins a run.
TEST_F(WatchTest, MismatchOfAWorkersLogProbabilities) {
  const std::string address = absl::StrCat("127.0.0.1:", FreePort());
  TinyConfig config = Config("liar", ColdStart() + Grpo(1000000));
  std::vector<std::string> arguments = Arguments(config);
  arguments.insert(arguments.end(),
                   {"--set", absl::StrCat("rollout.listen=", address)});
  PonderProcess run(arguments);
  const std::string folder = RunFolder("liar");
  ASSERT_TRUE(WaitUntil([&] { return StepsDone(folder, "grpo") >= 1; }))
      << run.StandardError();
  std::thread worker([&] { LyingWorker(address).Work(); });
  EXPECT_EQ(run.Wait(), 1) << run.StandardError();
  worker.join();
  EXPECT_THAT(run.StandardError(),
              HasSubstr("stopped by a health rule: health/mismatch: "
                        "log-probabilities of sampler and learner differ by "));
  const std::vector<Json> metrics = ReadMetrics(folder, "grpo");
  const std::vector<double> rule = Series(metrics, "health/mismatch");
  const std::vector<double> difference =
      Series(metrics, "rollout_corr/mean_abs_diff");
  ASSERT_EQ(rule.size(), difference.size());
  EXPECT_EQ(rule.front(), 0);
  EXPECT_EQ(difference.front(), 0);
  EXPECT_EQ(rule.back(), 1);
  EXPECT_GT(difference.back(), 0.01);
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
