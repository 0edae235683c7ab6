#include "reward/reward_server.h"

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/reward.grpc.pb.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

class RewardServerTest : public testing::Test {
 protected:
  void SetUp() override {
    RewardServer::Options options;
    options.sandbox_slots = 2;
    options.code.limits.wall = absl::Seconds(60);
    options.code.limits.cpu = absl::Seconds(60);
    auto server = RewardServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                   grpc::InsecureChannelCredentials());
    stub_ = RewardService::NewStub(channel_);
  }

  static ScoreRequest MathProblem(const std::string& answer) {
    ScoreRequest request;
    request.mutable_problem()->set_verifier("math");
    request.mutable_problem()->set_answer(answer);
    return request;
  }

  static ScoreRequest CodeProblem() {
    ScoreRequest request;
    Problem* problem = request.mutable_problem();
    problem->set_verifier("code");
    problem->mutable_tests()->set_kind("stdio");
    TestCase* test = problem->mutable_tests()->add_hidden();
    test->set_stdin("20 22\n");
    test->set_stdout("42\n");
    return request;
  }

  static ScoreRequest Response(int index, const std::string& text) {
    ScoreRequest request;
    request.mutable_response()->set_index(index);
    request.mutable_response()->set_text(text);
    return request;
  }

  static void SetDeadline(absl::Duration limit, grpc::ClientContext* context) {
    context->set_deadline(absl::ToChronoTime(absl::Now() + limit));
  }

  std::unique_ptr<RewardServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<RewardService::Stub> stub_;
};

TEST_F(RewardServerTest, ScoresAGroup) {
  grpc::ClientContext context;
  SetDeadline(absl::Seconds(60), &context);
  const auto stream = stub_->Score(&context);
  ASSERT_TRUE(stream->Write(MathProblem("6")));
  constexpr int kSamples = 500;  // More than are in flight at a time.
  std::thread writer([&] {
    for (int i = 0; i < kSamples; ++i) {
      stream->Write(Response(i, absl::StrCat("\\boxed{", i % 10, "}")));
    }
    stream->WritesDone();
  });
  std::map<int, ScoredResponse> scored;
  ScoredResponse answer;
  while (stream->Read(&answer)) scored[answer.index()] = answer;
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(scored.size(), kSamples);
  for (const auto& [index, response] : scored) {
    EXPECT_EQ(response.verdict(), index % 10 == 6 ? CORRECT : WRONG);
    EXPECT_EQ(response.reward(), index % 10 == 6 ? 1 : 0);
  }
}

TEST_F(RewardServerTest, RunsPrograms) {
  if (!server_->sandbox_status().ok()) {
    GTEST_SKIP() << server_->sandbox_status();
  }
  grpc::ClientContext context;
  SetDeadline(absl::Seconds(60), &context);
  const auto stream = stub_->Score(&context);
  ASSERT_TRUE(stream->Write(CodeProblem()));
  stream->Write(Response(0, "print(sum(map(int, input().split())))"));
  stream->Write(Response(1, "print(41)"));
  stream->Write(Response(2, "import os; os._exit(0)"));
  stream->WritesDone();
  std::map<int, Verdict> verdicts;
  ScoredResponse answer;
  while (stream->Read(&answer)) verdicts[answer.index()] = answer.verdict();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_THAT(verdicts, testing::ElementsAre(testing::Pair(0, CORRECT),
                                             testing::Pair(1, WRONG),
                                             testing::Pair(2, WRONG)));
}

// A slow program on one stream does not delay an answer on another, a cancel
// ends the program, and the slots are then free again.
TEST_F(RewardServerTest, CancelEndsPrograms) {
  if (!server_->sandbox_status().ok()) {
    GTEST_SKIP() << server_->sandbox_status();
  }
  const absl::Time start = absl::Now();
  {
    grpc::ClientContext slow;
    SetDeadline(absl::Seconds(60), &slow);
    const auto slow_stream = stub_->Score(&slow);
    ASSERT_TRUE(slow_stream->Write(CodeProblem()));
    for (int i = 0; i < 4; ++i) {
      slow_stream->Write(
          Response(i, absl::StrCat("import time; time.sleep(50 + ", i, ")")));
    }
    grpc::ClientContext fast;
    SetDeadline(absl::Seconds(30), &fast);
    const auto stream = stub_->Score(&fast);
    stream->Write(MathProblem("6"));
    stream->Write(Response(0, "\\boxed{6}"));
    stream->WritesDone();
    ScoredResponse answer;
    EXPECT_TRUE(stream->Read(&answer));
    EXPECT_TRUE(stream->Finish().ok());
    slow.TryCancel();
    EXPECT_EQ(slow_stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  grpc::ClientContext context;
  SetDeadline(absl::Seconds(30), &context);
  const auto stream = stub_->Score(&context);
  stream->Write(CodeProblem());
  stream->Write(Response(0, "print(42)"));
  stream->WritesDone();
  ScoredResponse answer;
  EXPECT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.verdict(), CORRECT);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_LT(absl::Now() - start, absl::Seconds(40));
}

TEST_F(RewardServerTest, DeadlineEndsPrograms) {
  if (!server_->sandbox_status().ok()) {
    GTEST_SKIP() << server_->sandbox_status();
  }
  const absl::Time start = absl::Now();
  grpc::ClientContext context;
  SetDeadline(absl::Seconds(1), &context);
  const auto stream = stub_->Score(&context);
  stream->Write(CodeProblem());
  stream->Write(Response(0, "import time; time.sleep(50)"));
  stream->WritesDone();
  ScoredResponse answer;
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  server_.reset();  // Waits for nothing but what is under way.
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
}

TEST_F(RewardServerTest, BadStreamsAreRefused) {
  const auto status = [&](const std::vector<ScoreRequest>& requests) {
    grpc::ClientContext context;
    SetDeadline(absl::Seconds(30), &context);
    const auto stream = stub_->Score(&context);
    for (const ScoreRequest& request : requests) stream->Write(request);
    stream->WritesDone();
    ScoredResponse answer;
    while (stream->Read(&answer)) {
    }
    return stream->Finish();
  };
  for (const std::vector<ScoreRequest>& requests :
       {std::vector<ScoreRequest>{}, std::vector<ScoreRequest>{Response(0, "")},
        std::vector<ScoreRequest>{ScoreRequest()},
        std::vector<ScoreRequest>{MathProblem("6"), MathProblem("7")}}) {
    EXPECT_EQ(status(requests).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
  }
  ScoreRequest unknown = MathProblem("6");
  unknown.mutable_problem()->set_verifier("magic");
  const grpc::Status refused = status({unknown, Response(0, "x")});
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), HasSubstr("magic"));
}

TEST_F(RewardServerTest, PortInUseIsOneSentence) {
  RewardServer::Options options;
  options.address = absl::StrCat("127.0.0.1:", server_->port());
  options.sandbox_slots = 1;
  const auto second = RewardServer::Start(options);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("the port is in use"));
}

}  // namespace
}  // namespace ponder
