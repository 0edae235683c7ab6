#include "rollout/group_scorer.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

// Waits until it may, then scores every response as correct, in reverse
// order; breaks the first `broken_streams` streams after their first score.
class FakeRewards final : public RewardService::Service {
 public:
  grpc::Status Score(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<ScoreReply, ScoreRequest>* stream) override {
    const bool is_broken = num_streams++ < broken_streams;
    ScoreRequest request;
    if (!stream->Read(&request) || request.problems_size() != 1) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "no problem"};
    }
    go_on.WaitForNotification();
    while (stream->Read(&request)) {
      sizes.push_back(request.responses_size());
      ScoreReply reply;
      for (auto it = request.responses().rbegin();
           it != request.responses().rend(); ++it) {
        ScoredResponse* score = reply.add_scores();
        score->set_index(it->index());
        score->set_verdict(CORRECT);
        score->set_extracted(it->text());
      }
      stream->Write(reply);
      if (is_broken) return {grpc::StatusCode::UNAVAILABLE, "it is gone"};
    }
    return grpc::Status::OK;
  }

  int broken_streams = 0;
  int num_streams = 0;
  std::vector<int> sizes;  // Responses of each message.
  absl::Notification go_on;
};

class GroupScorerTest : public testing::Test {
 protected:
  GroupScorerTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(&rewards_);
    server_ = builder.BuildAndStart();
    stub_ = RewardService::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", port_), grpc::InsecureChannelCredentials()));
  }

  // Scores a group whose samples are all there before the first is taken.
  void ScoreGroup(int num_samples) {
    Problem problem;
    problem.set_id("p");
    GroupScorer scorer(
        stub_.get(), problem, num_samples, absl::Seconds(60),
        [this](absl::Status status, std::vector<ScoredResponse> scores) {
          status_ = std::move(status);
          scores_ = std::move(scores);
        });
    for (int i = 0; i < num_samples; ++i) {
      ResponseToScore response;
      response.set_index(i);
      response.set_text(absl::StrCat("r", i));
      scorer.Send(std::move(response));
    }
    rewards_.go_on.Notify();
  }

  FakeRewards rewards_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<RewardService::Stub> stub_;
  absl::Status status_;
  std::vector<ScoredResponse> scores_;
};

TEST_F(GroupScorerTest, WhatIsThereGoesInOneMessage) {
  ScoreGroup(40);
  ASSERT_TRUE(status_.ok()) << status_;
  ASSERT_EQ(scores_.size(), 40u);
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(scores_[i].index(), i);
    EXPECT_EQ(scores_[i].extracted(), absl::StrCat("r", i));
  }
  int sum = 0;
  for (const int size : rewards_.sizes) {
    EXPECT_LE(size, 16);  // The service's limit.
    sum += size;
  }
  EXPECT_EQ(sum, 40);
}

TEST_F(GroupScorerTest, ABrokenStreamIsRepeatedAsAWhole) {
  rewards_.broken_streams = 1;
  ScoreGroup(20);
  EXPECT_TRUE(status_.ok()) << status_;
  EXPECT_EQ(scores_.size(), 20u);
  EXPECT_EQ(rewards_.num_streams, 2);
}

TEST_F(GroupScorerTest, LostInfrastructureIsNoScore) {
  rewards_.broken_streams = 2;
  ScoreGroup(20);
  EXPECT_EQ(status_.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status_.message()), HasSubstr("it is gone"));
  EXPECT_TRUE(scores_.empty());
}

}  // namespace
}  // namespace ponder
