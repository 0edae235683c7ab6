#include "sandbox/sandbox_service.h"

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/value_codec.h"
#include "sandbox/remote_sandbox.h"
#include "sandbox/sandbox_codec.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

constexpr char kAdd[] = "a, b = map(int, input().split())\nprint(a + b)\n";
// Would keep its slot for a minute.
constexpr char kForever[] = "import time\nprint(1, flush=True)\ntime.sleep(60)";

TestSuite Suite(const std::string& text) {
  const auto json = ParseJson(text, "suite");
  EXPECT_TRUE(json.ok()) << json.status();
  const auto suite = TestSuiteFromJson(*json);
  EXPECT_TRUE(suite.ok()) << suite.status();
  return *suite;
}

TestSuite SumSuite() {
  return Suite(R"({"kind":"stdio","visible":[["1 2\n","3\n"]],)"
               R"("hidden":[["5 7\n","12\n"],["-5 5\n","0\n"]]})");
}

TestSuite NoTests() {
  TestSuite suite;
  suite.set_kind("stdio");
  return suite;
}

RunLimits PatientLimits() {
  RunLimits limits;
  limits.wall = absl::Seconds(60);
  limits.suite_wall = absl::Seconds(60);
  return limits;
}

SandboxJob RunJob(int64_t id, const std::string& source) {
  SandboxJob job;
  job.set_id(id);
  job.set_source(source);
  job.set_stdin("");
  *job.mutable_limits() = RunLimitsToConfig(PatientLimits());
  return job;
}

// A stream on a connection of its own, hence a client of its own.
class Client {
 public:
  explicit Client(int port) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxSendMessageSize(-1);
    stub_ = SandboxService::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials(),
        arguments));
    stream_ = stub_->Execute(&context_);
  }

  bool Send(const SandboxJob& job) { return stream_->Write(job); }
  bool Receive(SandboxResult* result) { return stream_->Read(result); }
  void Cancel() { context_.TryCancel(); }
  grpc::Status HalfCloseAndFinish() {
    stream_->WritesDone();
    SandboxResult left;
    while (stream_->Read(&left)) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<SandboxService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<SandboxJob, SandboxResult>> stream_;
};

class SandboxServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    SandboxServer::Options options;
    options.pool.num_slots = 1;
    auto server = SandboxServer::Start(options);
    if (absl::IsFailedPrecondition(server.status())) {
      GTEST_SKIP() << server.status();
    }
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto remote = RemoteSandbox::Connect(Address());
    ASSERT_TRUE(remote.ok()) << remote.status();
    remote_ = *std::move(remote);
  }

  std::string Address() const {
    return absl::StrCat("127.0.0.1:", server_->port());
  }

  absl::StatusOr<JudgeReport> Judge(const std::string& source,
                                    const TestSuite& suite,
                                    const JudgeOptions& options = {}) {
    return remote_->Judge({source}, suite, RunLimits(), options, nullptr);
  }

  // The only slot is free again before its program ends by itself.
  void ExpectFreeSlot() {
    Client client(server_->port());
    SandboxJob job = RunJob(1, "print('here')");
    job.set_timeout_seconds(30);
    ASSERT_TRUE(client.Send(job));
    SandboxResult result;
    ASSERT_TRUE(client.Receive(&result));
    EXPECT_EQ(result.code(), 0) << result.error();
    EXPECT_EQ(result.stdout(), "here\n");
    EXPECT_TRUE(client.HalfCloseAndFinish().ok());
  }

  std::unique_ptr<SandboxServer> server_;
  std::unique_ptr<RemoteSandbox> remote_;
};

TEST_F(SandboxServiceTest, JudgesAsThePoolDoes) {
  EXPECT_EQ(remote_->num_slots(), 1);
  const auto right = Judge(kAdd, SumSuite());
  ASSERT_TRUE(right.ok()) << right.status();
  EXPECT_EQ(right->verdict, RunVerdict::kAccepted) << right->message;
  EXPECT_EQ(right->num_passed(), 3);
  EXPECT_GT(right->cpu, absl::ZeroDuration());
  EXPECT_GT(right->wall, absl::ZeroDuration());

  const std::string wrong = "print(12)";
  JudgeOptions all;
  all.stop_at_first_failure = false;
  const auto report = Judge(wrong, SumSuite(), all);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->verdict, RunVerdict::kWrongAnswer);
  EXPECT_EQ(report->num_passed(), 1);
  EXPECT_EQ(report->output.stdout_bytes, "12\n");
  const auto first = Judge(wrong, SumSuite());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->tests[2].verdict, RunVerdict::kNotRun);

  const auto error =
      Judge("import sys\nsys.stderr.write('e')\nsys.exit(3)", SumSuite());
  ASSERT_TRUE(error.ok()) << error.status();
  EXPECT_EQ(error->verdict, RunVerdict::kRuntimeError);
  EXPECT_EQ(error->exit_code, 3);
  EXPECT_EQ(error->output.stderr_bytes, "e");
}

TEST_F(SandboxServiceTest, RunsWithTheLimitsOfTheCall) {
  const auto report =
      remote_->Run({"print(input() * 2)"}, "ab\n", RunLimits(), nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->output.stdout_bytes, "abab\n");
  RunLimits limits;
  limits.output_bytes = 1000;
  const auto flood =
      remote_->Run({"while True: print('x' * 100)"}, "", limits, nullptr);
  ASSERT_TRUE(flood.ok()) << flood.status();
  EXPECT_EQ(flood->verdict, RunVerdict::kOutputLimit);
  EXPECT_EQ(flood->output.stdout_bytes.size(), 1000);
  EXPECT_TRUE(flood->output.stdout_truncated);
  limits.wall = absl::Milliseconds(200);
  const auto slow = remote_->Run({kForever}, "", limits, nullptr);
  ASSERT_TRUE(slow.ok()) << slow.status();
  EXPECT_EQ(slow->verdict, RunVerdict::kTimeLimit);
}

TEST_F(SandboxServiceTest, ErrorsStayErrors) {
  const auto none = Judge(kAdd, NoTests());
  EXPECT_TRUE(absl::IsInvalidArgument(none.status())) << none.status();
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("tests"));
  const auto language = remote_->Run({"x", "cobol"}, "", RunLimits(), nullptr);
  EXPECT_FALSE(language.ok());
  EXPECT_THAT(std::string(language.status().message()), HasSubstr("cobol"));
  RunLimits limits;
  limits.memory_bytes = 1;
  EXPECT_TRUE(absl::IsInvalidArgument(
      remote_->Run({"x"}, "", limits, nullptr).status()));
}

TEST_F(SandboxServiceTest, AStreamAnswersEachProgramOnce) {
  constexpr int kPrograms = 50;
  Client client(server_->port());
  std::thread writer([&client] {
    for (int i = 0; i < kPrograms; ++i) {
      EXPECT_TRUE(client.Send(RunJob(i, absl::StrCat("print(", i * i, ")"))));
    }
  });
  std::set<int64_t> ids;
  for (int i = 0; i < kPrograms; ++i) {
    SandboxResult result;
    ASSERT_TRUE(client.Receive(&result));
    EXPECT_EQ(result.code(), 0) << result.error();
    EXPECT_EQ(result.stdout(), absl::StrCat(result.id() * result.id(), "\n"));
    ids.insert(result.id());
  }
  writer.join();
  EXPECT_EQ(ids.size(), kPrograms);
  EXPECT_TRUE(client.HalfCloseAndFinish().ok());
}

// What a client sends too fast stays with the client.
TEST_F(SandboxServiceTest, ReadsNoFurtherWhileProgramsHaveNoResult) {
  constexpr int kPrograms = 40;
  Client client(server_->port());
  std::atomic<int> sent = 0;
  const std::string comment(4 << 20, '#');
  std::thread writer([&] {
    // The first holds the only slot for long enough to send all of them.
    EXPECT_TRUE(client.Send(RunJob(0, "import time; time.sleep(2)\n")));
    while (++sent < kPrograms && client.Send(RunJob(sent, comment))) {
    }
  });
  SandboxResult result;
  ASSERT_TRUE(client.Receive(&result));
  EXPECT_EQ(result.id(), 0);
  // 16 that were read, one that is being read, and what buffers hold.
  EXPECT_LT(sent, 24);
  for (int i = 1; i < kPrograms; ++i) ASSERT_TRUE(client.Receive(&result));
  writer.join();
  EXPECT_TRUE(client.HalfCloseAndFinish().ok());
}

TEST_F(SandboxServiceTest, ReadsNoFurtherWhileResultsAreNotRead) {
  constexpr int kPrograms = 80;
  // Large, so that few are in buffers on their way.
  const std::string program =
      absl::StrCat("#", std::string(1 << 20, 'x'), "\nprint('x' * 1000000)");
  Client client(server_->port());
  std::atomic<int> sent = 0;
  std::thread writer([&] {
    while (sent < kPrograms && client.Send(RunJob(sent, program))) ++sent;
  });
  // Another's programs take turns with the first one's: after these, all of
  // them would have run.
  Client other(server_->port());
  for (int i = 0; i < kPrograms; ++i) {
    SandboxResult result;
    ASSERT_TRUE(other.Send(RunJob(i, "print('other')")));
    ASSERT_TRUE(other.Receive(&result));
    EXPECT_EQ(result.code(), 0) << result.error();
  }
  // 16 without a result that is read, and what the buffers of both ends hold.
  EXPECT_LT(sent, 60);
  SandboxResult result;
  for (int i = 0; i < kPrograms; ++i) ASSERT_TRUE(client.Receive(&result));
  writer.join();
  EXPECT_TRUE(client.HalfCloseAndFinish().ok());
  EXPECT_TRUE(other.HalfCloseAndFinish().ok());
}

TEST_F(SandboxServiceTest, AnErrorMayBeAnyText) {
  TestSuite suite;
  suite.set_kind("stdio");
  suite.add_hidden()->set_stdout("1\n");
  suite.set_checker_code("raise Exception('\u00e9' * 600)");
  const auto report = Judge("print(1)", suite);
  EXPECT_TRUE(absl::IsInvalidArgument(report.status())) << report.status();
}

TEST_F(SandboxServiceTest, AClientWithManyProgramsDoesNotHoldUpAnother) {
  constexpr int kMany = 12;
  Client many(server_->port());
  for (int i = 0; i < kMany; ++i) {
    ASSERT_TRUE(many.Send(RunJob(i, "import time; time.sleep(0.2)")));
  }
  SandboxResult result;
  ASSERT_TRUE(many.Receive(&result));  // So the server has read of them.
  std::atomic<int> received = 1;
  std::thread reader([&] {
    SandboxResult other;
    while (received < kMany && many.Receive(&other)) ++received;
  });
  Client one(server_->port());
  ASSERT_TRUE(one.Send(RunJob(7, "print('one')")));
  ASSERT_TRUE(one.Receive(&result));
  EXPECT_EQ(result.stdout(), "one\n");
  EXPECT_LT(received, kMany);
  reader.join();
  EXPECT_TRUE(one.HalfCloseAndFinish().ok());
  EXPECT_TRUE(many.HalfCloseAndFinish().ok());
}

TEST_F(SandboxServiceTest, EndsTheProgramsOfAClientThatGoesAway) {
  {
    Client client(server_->port());
    ASSERT_TRUE(client.Send(RunJob(1, kForever)));
    ASSERT_TRUE(client.Send(RunJob(2, kForever)));
    client.Cancel();
    EXPECT_EQ(client.HalfCloseAndFinish().error_code(),
              grpc::StatusCode::CANCELLED);
  }
  ExpectFreeSlot();
}

TEST_F(SandboxServiceTest, EndsACallThatIsCancelled) {
  CancelToken cancel;
  std::thread canceller([&cancel] { cancel.Cancel(); });
  const auto report = remote_->Run({kForever}, "", PatientLimits(), &cancel);
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(report.status())) << report.status();
  ExpectFreeSlot();
}

// Neither a program that waits nor one that runs is a slow program then.
TEST_F(SandboxServiceTest, ADeadlineIsNoVerdict) {
  Client client(server_->port());
  for (int id : {1, 2}) {
    SandboxJob job = RunJob(id, kForever);
    job.set_timeout_seconds(0.5);
    ASSERT_TRUE(client.Send(job));
  }
  for (int i = 0; i < 2; ++i) {
    SandboxResult result;
    ASSERT_TRUE(client.Receive(&result));
    EXPECT_EQ(result.code(),
              static_cast<int>(absl::StatusCode::kDeadlineExceeded))
        << result.error();
    EXPECT_FALSE(result.has_outcome());
  }
  EXPECT_TRUE(client.HalfCloseAndFinish().ok());
}

TEST_F(SandboxServiceTest, RefusesAMessageThatIsTooLarge) {
  Client client(server_->port());
  client.Send(
      RunJob(1, std::string(SandboxServiceImpl::kMaxMessageBytes + 1, '#')));
  EXPECT_EQ(client.HalfCloseAndFinish().error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(SandboxServiceTest, AServerThatEndsIsALostSandbox) {
  absl::StatusOr<RunReport> report;
  std::thread caller(
      [&] { report = remote_->Run({kForever}, "", PatientLimits(), nullptr); });
  server_->Stop(absl::ZeroDuration());
  caller.join();
  EXPECT_TRUE(absl::IsUnavailable(report.status())) << report.status();
}

TEST_F(SandboxServiceTest, RefusesAPortThatIsTaken) {
  SandboxServer::Options options;
  options.address = Address();
  const auto second = SandboxServer::Start(options);
  EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(Address()));
}

TEST_F(SandboxServiceTest, SaysHowToStartAServerWhereNoneAnswers) {
  const std::string address = Address();
  remote_ = nullptr;
  server_ = nullptr;
  const auto remote =
      RemoteSandbox::Connect(address, /*timeout=*/absl::Milliseconds(300));
  EXPECT_TRUE(absl::IsUnavailable(remote.status()));
  EXPECT_THAT(
      std::string(remote.status().message()),
      HasSubstr(absl::StrCat("ponder sandbox-server --listen ", address)));
}

}  // namespace
}  // namespace ponder
