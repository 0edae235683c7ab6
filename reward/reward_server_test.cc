#include "reward/reward_server.h"

#include <poll.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/reward.grpc.pb.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// Holds each call until the gate is opened or the stream is cancelled, and
// remembers what it was called with.
class GatedVerifier final : public Verifier {
 public:
  GatedVerifier(int num_threads, int max_samples)
      : num_threads_(num_threads), max_samples_(max_samples) {}

  absl::StatusOr<std::vector<VerifierScore>> Score(
      absl::Span<const SampleToScore> samples,
      const CancelToken* cancel) override {
    {
      absl::MutexLock lock(&mu_);
      sizes_.push_back(static_cast<int>(samples.size()));
    }
    pollfd fds[] = {{gate_.fd(), POLLIN, 0}, {cancel->fd(), POLLIN, 0}};
    while (poll(fds, 2, /*timeout=*/-1) < 0) {
    }
    if (cancel->cancelled()) {
      absl::MutexLock lock(&mu_);
      ++num_cancelled_;
      return absl::CancelledError("nobody waits");
    }
    std::vector<VerifierScore> scores(samples.size());
    for (VerifierScore& score : scores) {
      score.verdict = CORRECT;
      score.value = 2;
    }
    return scores;
  }

  int num_threads() const override { return num_threads_; }
  int max_samples() const override { return max_samples_; }

  void Open() { gate_.Cancel(); }
  void WaitUntilCalled() {
    absl::MutexLock lock(&mu_);
    const auto called = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return !sizes_.empty();
    };
    mu_.Await(absl::Condition(&called));
  }
  void WaitUntilCancelled() {
    absl::MutexLock lock(&mu_);
    const auto cancelled = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return num_cancelled_ > 0;
    };
    mu_.Await(absl::Condition(&cancelled));
  }
  // Of the calls, in their order.
  std::vector<int> sizes() {
    absl::MutexLock lock(&mu_);
    return sizes_;
  }

 private:
  const int num_threads_;
  const int max_samples_;
  CancelToken gate_;  // As a latch that can be polled.
  absl::Mutex mu_;
  int num_cancelled_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<int> sizes_ ABSL_GUARDED_BY(mu_);
};

// Gives whatever it is told to.
class FakeVerifier final : public Verifier {
 public:
  explicit FakeVerifier(absl::StatusOr<std::vector<VerifierScore>> answer)
      : answer_(std::move(answer)) {}

  absl::StatusOr<std::vector<VerifierScore>> Score(
      absl::Span<const SampleToScore>, const CancelToken*) override {
    return answer_;
  }
  int num_threads() const override { return 1; }

 private:
  const absl::StatusOr<std::vector<VerifierScore>> answer_;
};

class RewardServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto slow = std::make_unique<GatedVerifier>(/*num_threads=*/1,
                                                /*max_samples=*/100);
    slow_ = slow.get();
    plugins_["slow"] = std::move(slow);
    plugins_["lost"] =
        std::make_unique<FakeVerifier>(absl::UnavailableError("it is gone"));
    plugins_["none"] =
        std::make_unique<FakeVerifier>(std::vector<VerifierScore>());

    RewardServer::Options options;
    options.sandbox_slots = 2;
    options.code.limits.wall = absl::Seconds(60);
    options.code.limits.cpu = absl::Seconds(60);
    options.plugins = std::move(plugins_);
    auto server = RewardServer::Start(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                   grpc::InsecureChannelCredentials());
    stub_ = RewardService::NewStub(channel_);
  }

  // Whatever went wrong, the server can end.
  void TearDown() override {
    if (server_ != nullptr) slow_->Open();
  }

  static ScoreRequest ProblemOf(const std::string& verifier,
                                const std::string& answer = "6", int slot = 0) {
    ScoreRequest request;
    Problem* problem = request.add_problems();
    problem->set_verifier(verifier);
    problem->set_answer(answer);
    problem->set_slot(slot);
    return request;
  }

  static ScoreRequest CodeProblem() {
    ScoreRequest request = ProblemOf("code", "");
    TestSuite* tests = request.mutable_problems(0)->mutable_tests();
    tests->set_kind("stdio");
    TestCase* test = tests->add_hidden();
    test->set_stdin("20 22\n");
    test->set_stdout("42\n");
    return request;
  }

  static void AddResponse(int index, const std::string& text,
                          ScoreRequest* request, int slot = 0) {
    ResponseToScore* response = request->add_responses();
    response->set_index(index);
    response->set_text(text);
    response->set_slot(slot);
  }

  static ScoreRequest Response(int index, const std::string& text) {
    ScoreRequest request;
    AddResponse(index, text, &request);
    return request;
  }

  static void SetDeadline(absl::Duration limit, grpc::ClientContext* context) {
    context->set_deadline(absl::ToChronoTime(absl::Now() + limit));
  }

  // All scores of the messages, which are written before any is read.
  grpc::Status Score(const std::vector<ScoreRequest>& requests,
                     std::map<int, ScoredResponse>* scores = nullptr) {
    grpc::ClientContext context;
    SetDeadline(absl::Seconds(60), &context);
    const auto stream = stub_->Score(&context);
    for (const ScoreRequest& request : requests) stream->Write(request);
    stream->WritesDone();
    ScoreReply reply;
    while (stream->Read(&reply)) {
      for (const ScoredResponse& score : reply.scores()) {
        if (scores != nullptr) (*scores)[score.index()] = score;
      }
    }
    return stream->Finish();
  }

  VerifierMap plugins_;
  GatedVerifier* slow_ = nullptr;
  std::unique_ptr<RewardServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<RewardService::Stub> stub_;
};

TEST_F(RewardServerTest, ScoresAGroup) {
  grpc::ClientContext context;
  SetDeadline(absl::Seconds(60), &context);
  const auto stream = stub_->Score(&context);
  ASSERT_TRUE(stream->Write(ProblemOf("math")));
  constexpr int kSamples = 500;  // More than are in flight at a time.
  std::thread writer([&] {
    for (int i = 0; i < kSamples; ++i) {
      stream->Write(Response(i, absl::StrCat("\\boxed{", i % 10, "}")));
    }
    stream->WritesDone();
  });
  std::map<int, ScoredResponse> scored;
  ScoreReply reply;
  while (stream->Read(&reply)) {
    for (const ScoredResponse& score : reply.scores()) {
      scored[score.index()] = score;
    }
  }
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(scored.size(), kSamples);
  for (const auto& [index, score] : scored) {
    EXPECT_EQ(score.verdict(), index % 10 == 6 ? CORRECT : WRONG);
    EXPECT_EQ(score.reward(), index % 10 == 6 ? 1 : 0);
    EXPECT_GT(score.seconds(), 0);
  }
}

// Sixteen problems and sixteen responses to them in one message.
TEST_F(RewardServerTest, AMessageHoldsManyProblems) {
  ScoreRequest request;
  for (int i = 0; i < 16; ++i) {
    Problem* problem = request.add_problems();
    problem->set_verifier("math");
    problem->set_answer(absl::StrCat(i));
    problem->set_slot(63 - i);
    AddResponse(i, absl::StrCat("\\boxed{", i - i % 2, "}"), &request, 63 - i);
  }
  std::map<int, ScoredResponse> scores;
  const grpc::Status status = Score({request}, &scores);
  EXPECT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(scores.size(), 16u);
  for (const auto& [index, score] : scores) {
    EXPECT_EQ(score.verdict(), index % 2 == 0 ? CORRECT : WRONG) << index;
  }
}

// A problem in a slot that was taken before is for later responses only.
TEST_F(RewardServerTest, ASlotIsUsedAgain) {
  ScoreRequest first = ProblemOf("slow");
  AddResponse(0, "", &first);
  grpc::ClientContext context;
  SetDeadline(absl::Seconds(60), &context);
  const auto stream = stub_->Score(&context);
  ASSERT_TRUE(stream->Write(first));
  slow_->WaitUntilCalled();
  ScoreRequest second = ProblemOf("math", "7");
  AddResponse(1, "\\boxed{7}", &second);
  ASSERT_TRUE(stream->Write(second));
  ASSERT_TRUE(stream->Write(Response(2, "\\boxed{6}")));
  std::map<int, ScoredResponse> scores;
  ScoreReply reply;
  while (scores.size() < 2 && stream->Read(&reply)) {
    for (const ScoredResponse& score : reply.scores()) {
      scores[score.index()] = score;
    }
  }
  EXPECT_EQ(scores[1].verdict(), CORRECT);
  EXPECT_EQ(scores[2].verdict(), WRONG);
  slow_->Open();
  stream->WritesDone();
  ASSERT_TRUE(stream->Read(&reply));
  ASSERT_EQ(reply.scores_size(), 1);
  EXPECT_EQ(reply.scores(0).index(), 0);
  EXPECT_EQ(reply.scores(0).reward(), 2);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(RewardServerTest, RunsPrograms) {
  if (!server_->sandbox_status().ok()) {
    GTEST_SKIP() << server_->sandbox_status();
  }
  ScoreRequest request = CodeProblem();
  AddResponse(0, "print(sum(map(int, input().split())))", &request);
  AddResponse(1, "print(41)", &request);
  AddResponse(2, "import os; os._exit(0)", &request);
  std::map<int, ScoredResponse> scores;
  EXPECT_TRUE(Score({request}, &scores).ok());
  std::map<int, Verdict> verdicts;
  for (const auto& [index, score] : scores) verdicts[index] = score.verdict();
  EXPECT_THAT(verdicts,
              ElementsAre(Pair(0, CORRECT), Pair(1, WRONG), Pair(2, WRONG)));
}

// While every thread of a slow verifier is held, others go on, in the same
// stream too.
TEST_F(RewardServerTest, SlowVerifierDelaysNoOther) {
  ScoreRequest request = ProblemOf("slow");
  *request.add_problems() = ProblemOf("math", "6", 1).problems(0);
  for (int i = 0; i < 8; ++i) AddResponse(i, "", &request, 0);
  for (int i = 8; i < 16; ++i) AddResponse(i, "\\boxed{6}", &request, 1);
  grpc::ClientContext context;
  SetDeadline(absl::Seconds(60), &context);
  const auto stream = stub_->Score(&context);
  ASSERT_TRUE(stream->Write(request));
  std::vector<int> first;
  ScoreReply reply;
  while (first.size() < 8 && stream->Read(&reply)) {
    for (const ScoredResponse& score : reply.scores()) {
      EXPECT_EQ(score.verdict(), CORRECT);
      first.push_back(score.index());
    }
  }
  EXPECT_THAT(first, UnorderedElementsAre(8, 9, 10, 11, 12, 13, 14, 15));
  ScoreRequest other = ProblemOf("math");
  AddResponse(0, "\\boxed{6}", &other);
  std::map<int, ScoredResponse> scores;
  EXPECT_TRUE(Score({other}, &scores).ok());
  EXPECT_EQ(scores[0].verdict(), CORRECT);

  slow_->Open();
  stream->WritesDone();
  int num_slow = 0;
  while (stream->Read(&reply)) num_slow += reply.scores_size();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(num_slow, 8);
}

TEST_F(RewardServerTest, WhatWaitsForAVerifierIsABatch) {
  grpc::ClientContext context;
  SetDeadline(absl::Seconds(60), &context);
  const auto stream = stub_->Score(&context);
  ScoreRequest request = ProblemOf("slow");
  *request.add_problems() = ProblemOf("math", "6", 1).problems(0);
  AddResponse(0, "", &request);
  ASSERT_TRUE(stream->Write(request));
  slow_->WaitUntilCalled();
  for (int i = 1; i <= 40; ++i) ASSERT_TRUE(stream->Write(Response(i, "")));
  ScoreRequest last;
  AddResponse(41, "\\boxed{6}", &last, 1);
  ASSERT_TRUE(stream->Write(last));
  ScoreReply reply;
  ASSERT_TRUE(stream->Read(&reply));  // All that came before it was read.
  EXPECT_EQ(reply.scores(0).index(), 41);
  slow_->Open();
  stream->WritesDone();
  int num_scores = 0;
  while (stream->Read(&reply)) num_scores += reply.scores_size();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(num_scores, 41);
  EXPECT_THAT(slow_->sizes(), ElementsAre(1, 40));
}

// However much a client sends, the server takes only so much of it.
TEST_F(RewardServerTest, AStreamCannotFillTheServersMemory) {
  grpc::ClientContext context;
  SetDeadline(absl::Seconds(60), &context);
  const auto stream = stub_->Score(&context);
  constexpr int kSamples = 400;
  ASSERT_TRUE(stream->Write(ProblemOf("slow")));
  ASSERT_TRUE(stream->Write(Response(0, "")));
  slow_->WaitUntilCalled();
  std::thread writer([&] {
    for (int i = 1; i < kSamples; ++i) stream->Write(Response(i, ""));
    stream->WritesDone();
    slow_->Open();
  });
  int num_scores = 0;
  ScoreReply reply;
  while (stream->Read(&reply)) num_scores += reply.scores_size();
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(num_scores, kSamples);
  for (const int size : slow_->sizes()) {
    EXPECT_LE(size, RewardServiceImpl::kMaxInFlight);
  }
}

// The calls under way are told, those that wait are dropped, and the server
// goes on.
TEST_F(RewardServerTest, ClientThatDisconnectsMidStream) {
  {
    grpc::ClientContext context;
    SetDeadline(absl::Seconds(60), &context);
    const auto stream = stub_->Score(&context);
    ScoreRequest request = ProblemOf("slow");
    AddResponse(0, "", &request);
    ASSERT_TRUE(stream->Write(request));
    slow_->WaitUntilCalled();
    for (int i = 1; i < 10; ++i) ASSERT_TRUE(stream->Write(Response(i, "")));
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  slow_->WaitUntilCancelled();
  EXPECT_THAT(slow_->sizes(), ElementsAre(1));
  ScoreRequest request = ProblemOf("math");
  AddResponse(0, "\\boxed{6}", &request);
  std::map<int, ScoredResponse> scores;
  EXPECT_TRUE(Score({request}, &scores).ok());
  EXPECT_EQ(scores[0].verdict(), CORRECT);
  server_->Stop(absl::Seconds(30));  // Returns once no stream is left.
  EXPECT_THAT(slow_->sizes(), ElementsAre(1));
}

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
    ScoreRequest fast = ProblemOf("math");
    AddResponse(0, "\\boxed{6}", &fast);
    EXPECT_TRUE(Score({fast}).ok());
    slow.TryCancel();
    EXPECT_EQ(slow_stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  ScoreRequest request = CodeProblem();
  AddResponse(0, "print(42)", &request);
  std::map<int, ScoredResponse> scores;
  EXPECT_TRUE(Score({request}, &scores).ok());
  EXPECT_EQ(scores[0].verdict(), CORRECT);
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
  ScoreReply reply;
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  server_.reset();  // Waits for nothing but what is under way.
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
}

TEST_F(RewardServerTest, BadStreamsAreRefused) {
  ScoreRequest many_responses = ProblemOf("math");
  for (int i = 0; i < 17; ++i) AddResponse(i, "", &many_responses);
  ScoreRequest many_problems;
  for (int i = 0; i < 17; ++i) {
    *many_problems.add_problems() = ProblemOf("math", "6", i).problems(0);
  }
  ScoreRequest wrong_slot = ProblemOf("math");
  AddResponse(0, "x", &wrong_slot, 1);
  ScoreRequest no_slot = ProblemOf("math");
  AddResponse(0, "x", &no_slot, -1);
  const std::pair<ScoreRequest, std::string> cases[] = {
      {Response(7, "x"), "response 7: slot 0 has no problem"},
      {many_responses, "17 responses, wanted at most 16"},
      {many_problems, "17 problems, wanted at most 16"},
      {wrong_slot, "slot 1 has no problem"},
      {no_slot, "got -1, wanted 0 to 63"},
      {ProblemOf("math", "6", 64), "got 64, wanted 0 to 63"},
      {ProblemOf("magic"), "magic"},
  };
  for (const auto& [request, message] : cases) {
    std::map<int, ScoredResponse> scores;
    const grpc::Status status = Score({request}, &scores);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(message));
    EXPECT_TRUE(scores.empty());
  }
  EXPECT_TRUE(Score({}).ok());
  EXPECT_TRUE(Score({ScoreRequest()}).ok());
}

TEST_F(RewardServerTest, MessageThatIsTooLargeIsRefused) {
  ScoreRequest request = ProblemOf("math");
  AddResponse(0, std::string(RewardServiceImpl::kMaxMessageBytes, 'x'),
              &request);
  std::map<int, ScoredResponse> scores;
  const grpc::Status status = Score({request}, &scores);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED)
      << status.error_message();
  EXPECT_TRUE(scores.empty());
}

// Neither becomes a score.
TEST_F(RewardServerTest, LostInfrastructureFailsTheStream) {
  for (const auto& [verifier, code] :
       {std::pair("lost", grpc::StatusCode::UNAVAILABLE),
        std::pair("none", grpc::StatusCode::INTERNAL)}) {
    ScoreRequest request = ProblemOf("math");
    RewardComponent* component = request.mutable_problems(0)->add_components();
    component->set_name(verifier);
    component->set_weight(0);
    AddResponse(0, "\\boxed{6}", &request);
    std::map<int, ScoredResponse> scores;
    EXPECT_EQ(Score({request}, &scores).error_code(), code);
    EXPECT_TRUE(scores.empty());
  }
}

TEST_F(RewardServerTest, SaysThatItIsHealthy) {
  grpc::GenericStub health(channel_);
  grpc::ClientContext context;
  SetDeadline(absl::Seconds(60), &context);
  // An empty HealthCheckRequest: of the whole server.
  const grpc::Slice empty("", 0);
  grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  absl::Notification done;
  health.UnaryCall(&context, "/grpc.health.v1.Health/Check",
                   grpc::StubOptions(), &request, &response,
                   [&](grpc::Status s) {
                     status = std::move(s);
                     done.Notify();
                   });
  done.WaitForNotification();
  ASSERT_TRUE(status.ok()) << status.error_message();
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(response.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  EXPECT_EQ(bytes, "\x08\x01");  // Field 1, SERVING.
}

TEST_F(RewardServerTest, PortInUseIsOneSentence) {
  RewardServer::Options options;
  options.address = absl::StrCat("127.0.0.1:", server_->port());
  options.sandbox_slots = 1;
  const auto second = RewardServer::Start(std::move(options));
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("the port is in use"));
}

TEST_F(RewardServerTest, PluginMayNotTakeABuiltInName) {
  RewardServer::Options options;
  options.sandbox_slots = 1;
  options.plugins["math"] = std::make_unique<GatedVerifier>(1, 1);
  const auto server = RewardServer::Start(std::move(options));
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(std::string(server.status().message()),
              HasSubstr("reward.verifier: \"math\" is the name of a built-in"));
}

}  // namespace
}  // namespace ponder
