#include "rollout/worker.h"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "policy/random_checkpoint.h"
#include "policy/text/byte_tokenizer.h"
#include "proto/coordinator.grpc.pb.h"
#include "proto/reward.grpc.pb.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr absl::Duration kDeadline = absl::Seconds(60);
constexpr int kMaxTokens = 40;

// Scores every response as correct; fails the problem "lost".
class FakeRewards final : public RewardService::Service {
 public:
  grpc::Status Score(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<ScoreReply, ScoreRequest>* stream) override {
    ScoreRequest request;
    stream->Read(&request);
    if (request.problems_size() != 1 || request.problems(0).id() == "lost") {
      return {grpc::StatusCode::UNAVAILABLE, "the sandbox is gone"};
    }
    while (stream->Read(&request)) {
      ScoreReply reply;
      for (const ResponseToScore& response : request.responses()) {
        ScoredResponse* scored = reply.add_scores();
        scored->set_index(response.index());
        scored->set_verdict(CORRECT);
        scored->set_reward(1);
        scored->set_extracted(response.text());
      }
      stream->Write(reply);
    }
    return grpc::Status::OK;
  }
};

// Gives out what it is told to, one lease a call, and says that the run is over
// once `wanted` groups were submitted.
class FakeCoordinator final : public Coordinator::Service {
 public:
  FakeCoordinator() {
    ModelConfig c;
    c.model_type = "qwen2";
    c.vocab_size = 320;
    c.hidden_size = 32;
    c.intermediate_size = 48;
    c.num_layers = 2;
    c.num_heads = 4;
    c.num_kv_heads = 2;
    c.head_dim = 8;
    c.max_position_embeddings = 128;
    c.qkv_bias = true;
    c.tie_word_embeddings = true;
    policy_ = RandomCheckpoint(c, 0.3, 1.5, /*seed=*/3, "");
  }

  void set_reward_address(const std::string& address) {
    reward_address_ = address;
  }

  void Give(std::vector<Lease> leases, int wanted) {
    absl::MutexLock lock(&mu_);
    leases_.assign(leases.begin(), leases.end());
    wanted_ = wanted;
  }

  std::vector<SubmitGroupRequest> submitted() const {
    absl::MutexLock lock(&mu_);
    return submitted_;
  }

  grpc::Status Register(grpc::ServerContext*, const RegisterRequest* request,
                        RegisterResponse* response) override {
    response->set_worker_id(request->name() + "-1");
    response->set_reward_address(reward_address_);
    response->set_dtype("float32");
    response->set_max_sequence_tokens(kMaxTokens + 8);
    response->set_reward_timeout_seconds(30);
    for (const auto& [name, content] : policy_.files) {
      PolicyFile* file = response->add_files();
      file->set_name(name);
      file->set_content(content);
    }
    return grpc::Status::OK;
  }

  grpc::Status PullPolicy(grpc::ServerContext*,
                          const PullPolicyRequest* request,
                          grpc::ServerWriter<PolicyChunk>* stream) override {
    PolicyChunk chunk;
    chunk.mutable_header()->set_version(request->version());
    chunk.mutable_header()->set_checksum(WeightsChecksum(policy_.weights));
    stream->Write(chunk);
    for (const auto& [name, weight] : policy_.weights) {
      TensorChunk* tensor = chunk.mutable_tensor();
      tensor->set_name(name);
      tensor->set_dtype("F32");
      tensor->mutable_shape()->Assign(weight.sizes().begin(),
                                      weight.sizes().end());
      tensor->set_content(weight.const_data_ptr(), weight.nbytes());
      stream->Write(chunk);
    }
    return grpc::Status::OK;
  }

  grpc::Status LeaseGroups(grpc::ServerContext*,
                           const LeaseGroupsRequest* request,
                           LeaseGroupsResponse* response) override {
    absl::MutexLock lock(&mu_);
    response->set_policy_version(1);
    if (request->policy_version() != 1) return grpc::Status::OK;
    if (request->policy_checksum() != WeightsChecksum(policy_.weights)) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "another checksum"};
    }
    if (!leases_.empty()) {
      *response->add_leases() = leases_.front();
      leases_.pop_front();
      return grpc::Status::OK;
    }
    const auto done = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return static_cast<int>(submitted_.size()) >= wanted_;
    };
    const bool over = mu_.AwaitWithTimeout(
        absl::Condition(&done), absl::Milliseconds(request->wait_ms()));
    response->set_finished(over);
    return grpc::Status::OK;
  }

  grpc::Status SubmitGroup(grpc::ServerContext*,
                           const SubmitGroupRequest* request,
                           SubmitGroupResponse* response) override {
    absl::MutexLock lock(&mu_);
    submitted_.push_back(*request);
    response->set_accepted(true);
    return grpc::Status::OK;
  }

  grpc::Status Heartbeat(grpc::ServerContext*, const HeartbeatRequest*,
                         HeartbeatResponse*) override {
    return grpc::Status::OK;
  }

 private:
  Checkpoint policy_;
  std::string reward_address_;
  mutable absl::Mutex mu_;
  std::deque<Lease> leases_ ABSL_GUARDED_BY(mu_);
  int wanted_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<SubmitGroupRequest> submitted_ ABSL_GUARDED_BY(mu_);
};

Lease MakeLease(const std::string& id) {
  Lease lease;
  lease.set_group_id(id);
  lease.set_policy_version(1);
  for (const char c : std::string("1+1=")) lease.add_prompt_ids(c);
  lease.mutable_problem()->set_id(id);
  lease.mutable_problem()->set_verifier("math");
  lease.set_max_response_tokens(kMaxTokens);
  lease.add_stop_ids(kByteEndOfTextId);
  for (int i = 0; i < 3; ++i) {
    SampleSpec* spec = lease.add_samples();
    spec->set_index(i);
    spec->set_key(7 + static_cast<uint64_t>(i));
    spec->set_temperature(1);
    spec->set_top_p(1);
  }
  return lease;
}

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&rewards_);
    builder.RegisterService(&coordinator_);
    server_ = builder.BuildAndStart();
    options_.coordinator_address = absl::StrCat("127.0.0.1:", port);
    options_.coordinator_timeout = kDeadline;
    coordinator_.set_reward_address(options_.coordinator_address);
  }

  // Group ids of what was submitted.
  std::vector<std::string> SubmittedIds() const {
    std::vector<std::string> ids;
    for (const auto& request : coordinator_.submitted()) {
      ids.push_back(request.group_id());
    }
    return ids;
  }

  FakeRewards rewards_;
  FakeCoordinator coordinator_;
  std::unique_ptr<grpc::Server> server_;
  WorkerOptions options_;
};

TEST_F(WorkerTest, SubmitsWholeScoredGroups) {
  coordinator_.Give({MakeLease("a"), MakeLease("b")}, /*wanted=*/2);
  const absl::Status status = RunWorker(options_);
  EXPECT_TRUE(status.ok()) << status;
  const std::vector<SubmitGroupRequest> submitted = coordinator_.submitted();
  ASSERT_EQ(submitted.size(), 2u);
  EXPECT_THAT(SubmittedIds(), UnorderedElementsAre("a", "b"));
  for (const SubmitGroupRequest& group : submitted) {
    EXPECT_EQ(group.worker_id(), "worker-1");
    EXPECT_EQ(group.error(), "");
    ASSERT_EQ(group.samples_size(), 3);
    for (int i = 0; i < 3; ++i) {
      const Sample& sample = group.samples(i);
      EXPECT_EQ(sample.index(), i);
      EXPECT_EQ(sample.key(), 7u + static_cast<uint64_t>(i));
      EXPECT_EQ(sample.policy_version(), 1);
      EXPECT_GE(sample.response_ids_size(), 1);
      EXPECT_LE(sample.response_ids_size(), kMaxTokens);
      EXPECT_EQ(sample.response_ids_size(), sample.logprobs_size());
      const bool cut = sample.response_ids(sample.response_ids_size() - 1) !=
                       kByteEndOfTextId;
      EXPECT_EQ(sample.finish_reason(), cut ? "length" : "stop");
      EXPECT_EQ(sample.score().verdict(), CORRECT);
      EXPECT_EQ(sample.score().extracted(), sample.text());
    }
    // The same keys: the same samples.
    EXPECT_EQ(group.samples(1).text(), submitted[0].samples(1).text());
  }
}

// Its lease expired while it was at work, and the trainer has nobody else.
TEST_F(WorkerTest, AGroupThatItIsStillAtMayComeBack) {
  coordinator_.Give({MakeLease("a"), MakeLease("a"), MakeLease("a"),
                     MakeLease("b"), MakeLease("a")},
                    /*wanted=*/2);
  const absl::Status status = RunWorker(options_);
  EXPECT_TRUE(status.ok()) << status;
  int b = 0;
  for (const SubmitGroupRequest& group : coordinator_.submitted()) {
    EXPECT_EQ(group.error(), "");
    EXPECT_EQ(group.samples_size(), 3);
    b += group.group_id() == "b";
  }
  EXPECT_EQ(b, 1);
}

TEST_F(WorkerTest, WhatCannotBeScoredIsAnErrorAndNoScore) {
  coordinator_.Give({MakeLease("lost"), MakeLease("a")}, /*wanted=*/2);
  const absl::Status status = RunWorker(options_);
  EXPECT_TRUE(status.ok()) << status;
  for (const SubmitGroupRequest& group : coordinator_.submitted()) {
    if (group.group_id() == "a") continue;
    EXPECT_EQ(group.group_id(), "lost");
    EXPECT_THAT(group.error(), HasSubstr("the sandbox is gone"));
    EXPECT_EQ(group.samples_size(), 0);
  }
  EXPECT_THAT(SubmittedIds(), UnorderedElementsAre("a", "lost"));
}

TEST_F(WorkerTest, NoTrainerIsASentence) {
  server_->Shutdown();
  options_.coordinator_timeout = absl::Milliseconds(200);
  const absl::Status status = RunWorker(options_);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(
      std::string(status.message()),
      HasSubstr("no trainer answers at " + options_.coordinator_address));
}

}  // namespace
}  // namespace ponder
