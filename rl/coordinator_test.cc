#include "rl/coordinator.h"

#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/grpc_status.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "policy/checkpoint.h"
#include "rl/tiny_policy_for_test.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr absl::Duration kDeadline = absl::Seconds(20);
constexpr int kLongWaitMs = 15000;

std::unique_ptr<Coordinator::Stub> Dial(const std::string& address) {
  return Coordinator::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
}

Lease MakeLease(const std::string& id, int num_samples = 2) {
  Lease lease;
  lease.set_group_id(id);
  lease.set_purpose("train");
  lease.add_prompt_ids(7);
  lease.set_max_response_tokens(4);
  for (int i = 0; i < num_samples; ++i) {
    SampleSpec* spec = lease.add_samples();
    spec->set_index(i);
    spec->set_key(100 + static_cast<uint64_t>(i));
  }
  return lease;
}

// What a worker that did its work submits.
SubmitGroupRequest Answer(const std::string& worker_id, const Lease& lease) {
  SubmitGroupRequest request;
  request.set_worker_id(worker_id);
  request.set_group_id(lease.group_id());
  for (const SampleSpec& spec : lease.samples()) {
    Sample* sample = request.add_samples();
    sample->set_index(spec.index());
    sample->set_key(spec.key());
    sample->add_response_ids(5);
    sample->add_logprobs(-0.5f);
    sample->set_policy_version(lease.policy_version());
    sample->set_finish_reason("stop");
  }
  request.mutable_timing()->set_sampling_seconds(1.5);
  return request;
}

// A worker's end of the wire, call by call.
class Worker {
 public:
  Worker(const std::string& address, const std::string& name, int pid)
      : stub_(Dial(address)) {
    RegisterRequest request;
    request.set_name(name);
    request.set_version(PONDER_VERSION);
    request.set_pid(pid);
    grpc::ClientContext context;
    Prepare(context);
    const grpc::Status status = stub_->Register(&context, request, &run_);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  absl::StatusOr<LeaseGroupsResponse> LeaseGroups(int64_t version,
                                                  uint32_t checksum,
                                                  int max_groups, int wait_ms) {
    LeaseGroupsRequest request;
    request.set_worker_id(id());
    request.set_policy_version(version);
    request.set_policy_checksum(checksum);
    request.set_max_groups(max_groups);
    request.set_wait_ms(wait_ms);
    LeaseGroupsResponse response;
    grpc::ClientContext context;
    Prepare(context);
    const grpc::Status status =
        stub_->LeaseGroups(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  }

  // With the policy of the tests, version 1.
  std::vector<Lease> Take(int max_groups, int wait_ms = kLongWaitMs);

  absl::StatusOr<bool> Submit(const SubmitGroupRequest& request) {
    SubmitGroupResponse response;
    grpc::ClientContext context;
    Prepare(context);
    const grpc::Status status =
        stub_->SubmitGroup(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response.accepted();
  }

  bool SubmitError(const std::string& group_id, const std::string& error) {
    SubmitGroupRequest request;
    request.set_worker_id(id());
    request.set_group_id(group_id);
    request.set_error(error);
    return Submit(request).ok();
  }

  bool HeartbeatSaysFinished(int64_t sampled_tokens = 0) {
    HeartbeatRequest request;
    request.set_worker_id(id());
    request.set_sampled_tokens(sampled_tokens);
    HeartbeatResponse response;
    grpc::ClientContext context;
    Prepare(context);
    EXPECT_TRUE(stub_->Heartbeat(&context, request, &response).ok());
    return response.finished();
  }

  // The stream's chunks.
  absl::StatusOr<std::vector<PolicyChunk>> Pull(int64_t version) {
    PullPolicyRequest request;
    request.set_worker_id(id());
    request.set_version(version);
    grpc::ClientContext context;
    Prepare(context);
    const auto stream = stub_->PullPolicy(&context, request);
    std::vector<PolicyChunk> chunks;
    PolicyChunk chunk;
    while (stream->Read(&chunk)) chunks.push_back(chunk);
    const grpc::Status status = stream->Finish();
    if (!status.ok()) return FromGrpcStatus(status);
    return chunks;
  }

  const std::string& id() const { return run_.worker_id(); }
  const RegisterResponse& run() const { return run_; }
  Coordinator::Stub& stub() { return *stub_; }

  static void Prepare(grpc::ClientContext& context) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + kDeadline));
  }

 private:
  const std::unique_ptr<Coordinator::Stub> stub_;
  RegisterResponse run_;
};

constexpr uint32_t kChecksum = 4711;

std::vector<Lease> Worker::Take(int max_groups, int wait_ms) {
  const auto response = LeaseGroups(1, kChecksum, max_groups, wait_ms);
  EXPECT_TRUE(response.ok()) << response.status();
  if (!response.ok()) return {};
  return {response->leases().begin(), response->leases().end()};
}

class CoordinatorTest : public ::testing::Test {
 protected:
  void Start(absl::Duration lease_timeout = absl::Minutes(10)) {
    CoordinatorServer::Options options;
    options.run.set_run_name("a run");
    options.run.set_run_seed(9);
    options.lease_timeout = lease_timeout;
    auto server = CoordinatorServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  void Publish(int64_t version = 1, uint32_t checksum = kChecksum) {
    auto policy = std::make_shared<PublishedPolicy>();
    policy->version = version;
    policy->checksum = checksum;
    policy->weights = {{"w", at::ones({2, 3})}};
    server_->Publish(std::move(policy));
  }

  Worker NewWorker(const std::string& name = "w", int pid = 1) {
    return Worker(server_->address(), name, pid);
  }

  std::unique_ptr<CoordinatorServer> server_;
};

TEST_F(CoordinatorTest, RegisteredWorkersLearnOfTheRunAndAreTold) {
  Start();
  Worker a = NewWorker("w", 11), b = NewWorker("w", 12);
  EXPECT_NE(a.id(), b.id());
  EXPECT_EQ(a.run().run_name(), "a run");
  EXPECT_EQ(a.run().run_seed(), 9u);
  EXPECT_FALSE(a.HeartbeatSaysFinished(/*sampled_tokens=*/77));
  const std::vector<WorkerStatus> workers = server_->workers();
  ASSERT_EQ(workers.size(), 2u);
  EXPECT_EQ(workers[0].pid, 11);
  EXPECT_EQ(workers[0].last_heartbeat.sampled_tokens(), 77);
  EXPECT_EQ(workers[1].last_heartbeat.sampled_tokens(), 0);
}

TEST_F(CoordinatorTest, AnotherBuildIsRefused) {
  Start();
  RegisterRequest request;
  request.set_name("old");
  request.set_version("0.0.0-old");
  RegisterResponse response;
  grpc::ClientContext context;
  Worker::Prepare(context);
  const grpc::Status status =
      Dial(server_->address())->Register(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("0.0.0-old"));
  EXPECT_THAT(status.error_message(), HasSubstr(PONDER_VERSION));
  EXPECT_EQ(server_->workers().size(), 0u);
}

TEST_F(CoordinatorTest, AnUnknownWorkerGetsNoLease) {
  Start();
  Publish();
  server_->Enqueue({MakeLease("g")});
  Worker worker = NewWorker();
  LeaseGroupsRequest request;
  request.set_worker_id("stranger");
  request.set_policy_version(1);
  request.set_policy_checksum(kChecksum);
  request.set_max_groups(1);
  LeaseGroupsResponse response;
  grpc::ClientContext context;
  Worker::Prepare(context);
  const grpc::Status status =
      worker.stub().LeaseGroups(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("\"stranger\""));
}

TEST_F(CoordinatorTest, APolicyComesInChunksByName) {
  Start();
  const TensorMap weights = {{"a", at::arange(400000, at::kFloat)},
                             {"b", at::ones({3, 5}).to(at::kBFloat16)}};
  auto policy = std::make_shared<PublishedPolicy>();
  policy->version = 3;
  policy->checksum = WeightsChecksum(weights);
  policy->weights = weights;
  server_->Publish(policy);
  Worker worker = NewWorker();
  const auto chunks = worker.Pull(3);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  ASSERT_EQ(chunks->size(), 4u);  // The header, two of a, one of b.
  const PolicyHeader& header = chunks->at(0).header();
  EXPECT_EQ(header.version(), 3);
  EXPECT_EQ(header.checksum(), WeightsChecksum(weights));
  EXPECT_EQ(header.total_bytes(), 400000 * 4 + 15 * 2);
  const TensorChunk& first = chunks->at(1).tensor();
  const TensorChunk& second = chunks->at(2).tensor();
  EXPECT_EQ(first.name(), "a");
  EXPECT_EQ(first.content().size(), 1u << 20);
  EXPECT_EQ(second.name(), "a");
  EXPECT_EQ(second.offset(), 1 << 20);
  const std::string bytes = first.content() + second.content();
  ASSERT_EQ(bytes.size(), weights.at("a").nbytes());
  EXPECT_EQ(
      std::memcmp(bytes.data(), weights.at("a").const_data_ptr(), bytes.size()),
      0);
  const TensorChunk& last = chunks->at(3).tensor();
  EXPECT_EQ(last.name(), "b");
  EXPECT_EQ(last.dtype(), "BF16");
  EXPECT_THAT(last.shape(), ElementsAre(3, 5));
}

TEST_F(CoordinatorTest, AnOldPolicyIsNotHeld) {
  Start();
  Publish(1);
  Publish(2);
  Worker worker = NewWorker();
  EXPECT_EQ(worker.Pull(1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(worker.Pull(2).ok());
}

TEST_F(CoordinatorTest, LeasesOnlyWithTheProvenPolicy) {
  Start();
  Publish(1);
  server_->Enqueue({MakeLease("g")});
  Worker worker = NewWorker();
  // None yet: which one to pull.
  auto response = worker.LeaseGroups(-1, 0, 4, kLongWaitMs);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->leases_size(), 0);
  EXPECT_EQ(response->policy_version(), 1);
  // The right version with other bytes.
  response = worker.LeaseGroups(1, kChecksum + 1, 4, kLongWaitMs);
  EXPECT_EQ(response.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(response.status().message()),
              HasSubstr(absl::StrCat("checksum ", kChecksum + 1)));
  // The right one.
  response = worker.LeaseGroups(1, kChecksum, 4, kLongWaitMs);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->leases_size(), 1);
  EXPECT_EQ(response->leases(0).policy_version(), 1);
  EXPECT_GT(response->leases(0).deadline_seconds(), 0);
  // The next policy makes it pull again.
  Publish(2, kChecksum + 5);
  server_->Enqueue({MakeLease("h")});
  response = worker.LeaseGroups(1, kChecksum, 4, kLongWaitMs);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->leases_size(), 0);
  EXPECT_EQ(response->policy_version(), 2);
}

TEST_F(CoordinatorTest, AGroupGoesToOneWorkerOnly) {
  Start();
  Publish();
  server_->Enqueue({MakeLease("a"), MakeLease("b"), MakeLease("c")});
  Worker first = NewWorker("w", 1), second = NewWorker("w", 2);
  const std::vector<Lease> two = first.Take(2);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].group_id(), "a");
  EXPECT_EQ(two[1].group_id(), "b");
  const std::vector<Lease> one = second.Take(2);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].group_id(), "c");
  EXPECT_EQ(second.Take(2, /*wait_ms=*/0).size(), 0u);
  EXPECT_EQ(server_->num_outstanding(), 3);
}

TEST_F(CoordinatorTest, AWaitingWorkerIsAnsweredWhenWorkComes) {
  Start();
  Publish();
  Worker worker = NewWorker();
  std::vector<Lease> leases;
  std::thread waiting([&] { leases = worker.Take(1); });
  server_->Enqueue({MakeLease("g")});
  waiting.join();
  ASSERT_EQ(leases.size(), 1u);
}

TEST_F(CoordinatorTest, ASubmittedGroupComesOutOnce) {
  Start();
  Publish();
  server_->Enqueue({MakeLease("g")});
  Worker worker = NewWorker();
  const std::vector<Lease> leases = worker.Take(1);
  ASSERT_EQ(leases.size(), 1u);
  const SubmitGroupRequest answer = Answer(worker.id(), leases[0]);
  EXPECT_TRUE(*worker.Submit(answer));
  const auto again = worker.Submit(answer);  // The reply was lost on the way.
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(*again);

  const auto group = server_->NextGroup(kDeadline);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(group->lease.group_id(), "g");
  ASSERT_EQ(group->samples.size(), 2u);
  EXPECT_EQ(group->samples[1].key(), 101u);
  EXPECT_EQ(group->timing.sampling_seconds(), 1.5);
  EXPECT_EQ(server_->NextGroup(absl::ZeroDuration()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(server_->num_outstanding(), 0);
}

TEST_F(CoordinatorTest, CancelledGroupsAreForgottenAndTheirWorkerTold) {
  Start();
  Publish();
  server_->Enqueue({MakeLease("a"), MakeLease("b"), MakeLease("c")});
  Worker worker = NewWorker("w", 1), other = NewWorker("w", 2);
  const std::vector<Lease> taken = worker.Take(2);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(*worker.Submit(Answer(worker.id(), taken[0])), true);
  // One is done, one at work, one in the queue, one unknown.
  server_->Cancel({"a", "b", "c", "d"});
  EXPECT_EQ(server_->num_outstanding(), 0);
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      server_->NextGroup(absl::Milliseconds(1)).status()));
  const auto told = worker.LeaseGroups(1, kChecksum, 2, kLongWaitMs);
  ASSERT_TRUE(told.ok()) << told.status();
  EXPECT_THAT(told->cancelled_groups(), ElementsAre("b"));
  // Once, and nobody else; what comes late is refused politely.
  EXPECT_EQ(worker.LeaseGroups(1, kChecksum, 2, 0)->cancelled_groups_size(), 0);
  EXPECT_EQ(other.LeaseGroups(1, kChecksum, 2, 0)->cancelled_groups_size(), 0);
  EXPECT_EQ(*worker.Submit(Answer(worker.id(), taken[1])), false);
}

TEST_F(CoordinatorTest, AnUnknownGroupIsForgottenPolitely) {
  Start();
  Publish();
  Worker worker = NewWorker();
  const auto accepted = worker.Submit(Answer(worker.id(), MakeLease("other")));
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_FALSE(*accepted);
}

TEST_F(CoordinatorTest, SamplesThatDoNotFitAreRefusedInASentence) {
  Start();
  Publish();
  server_->Enqueue({MakeLease("g")});
  Worker worker = NewWorker();
  const std::vector<Lease> leases = worker.Take(1);
  ASSERT_EQ(leases.size(), 1u);
  const SubmitGroupRequest good = Answer(worker.id(), leases[0]);
  const auto refusal = [&](auto change) {
    SubmitGroupRequest bad = good;
    change(bad);
    const auto accepted = worker.Submit(bad);
    EXPECT_EQ(accepted.status().code(), absl::StatusCode::kFailedPrecondition);
    const std::string sentence(accepted.status().message());
    EXPECT_THAT(sentence, HasSubstr(worker.id()));
    EXPECT_THAT(sentence, HasSubstr("group g"));
    return sentence;
  };
  using Request = SubmitGroupRequest;
  EXPECT_THAT(refusal([](Request& r) { r.mutable_samples()->RemoveLast(); }),
              HasSubstr("1 samples, wanted 2"));
  EXPECT_THAT(refusal([](Request& r) { r.add_samples(); }),
              HasSubstr("3 samples, wanted 2"));
  EXPECT_THAT(
      refusal([](Request& r) { r.mutable_samples(1)->set_policy_version(0); }),
      HasSubstr("policy version 0, wanted 1"));
  const char* does_not_fit = "a sample that does not fit its lease";
  EXPECT_THAT(refusal([](Request& r) { r.mutable_samples(0)->set_key(5); }),
              HasSubstr(does_not_fit));
  EXPECT_THAT(
      refusal([](Request& r) { r.mutable_samples()->SwapElements(0, 1); }),
      HasSubstr(does_not_fit));
  EXPECT_THAT(
      refusal([](Request& r) { r.mutable_samples(0)->add_response_ids(5); }),
      HasSubstr(does_not_fit));
  EXPECT_THAT(refusal([](Request& r) {
                r.mutable_samples(0)->clear_response_ids();
                r.mutable_samples(0)->clear_logprobs();
              }),
              HasSubstr(does_not_fit));
  EXPECT_THAT(refusal([](Request& r) {
                for (int i = 0; i < 4; ++i) {
                  r.mutable_samples(0)->add_response_ids(5);
                  r.mutable_samples(0)->add_logprobs(-1);
                }
              }),
              HasSubstr(does_not_fit));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                          -std::numeric_limits<float>::infinity(), 0.5f}) {
    EXPECT_THAT(refusal([bad](Request& r) {
                  r.mutable_samples(1)->set_logprobs(0, bad);
                }),
                HasSubstr("log-probability"));
  }
  // None of that took the group away.
  EXPECT_EQ(server_->num_outstanding(), 1);
  EXPECT_TRUE(*worker.Submit(good));
}

TEST_F(CoordinatorTest, AnExpiredLeaseGoesToAnother) {
  Start(/*lease_timeout=*/absl::Milliseconds(1));
  Publish();
  server_->Enqueue({MakeLease("g")});
  Worker slow = NewWorker("slow", 1), quick = NewWorker("quick", 2);
  const std::vector<Lease> first = slow.Take(1);
  ASSERT_EQ(first.size(), 1u);
  const std::vector<Lease> second = quick.Take(1);  // Waits for the expiry.
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].group_id(), "g");
  EXPECT_TRUE(*quick.Submit(Answer(quick.id(), second[0])));
  const auto late = slow.Submit(Answer(slow.id(), first[0]));
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_FALSE(*late);
  EXPECT_TRUE(server_->NextGroup(kDeadline).ok());
  EXPECT_EQ(server_->num_outstanding(), 0);
}

TEST_F(CoordinatorTest, ALateAnswerThatIsTheFirstCountsAndEndsTheOther) {
  Start(/*lease_timeout=*/absl::Milliseconds(1));
  Publish();
  server_->Enqueue({MakeLease("g")});
  Worker slow = NewWorker("slow", 1), quick = NewWorker("quick", 2);
  const std::vector<Lease> first = slow.Take(1);
  const std::vector<Lease> second = quick.Take(1);
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_TRUE(*slow.Submit(Answer(slow.id(), first[0])));
  EXPECT_FALSE(*quick.Submit(Answer(quick.id(), second[0])));
  EXPECT_EQ(quick.Take(1, /*wait_ms=*/0).size(), 0u);
}

TEST_F(CoordinatorTest, LeasesOfADeadWorkerGoBack) {
  Start();
  Publish();
  server_->Enqueue({MakeLease("a"), MakeLease("b"), MakeLease("c")});
  Worker dead = NewWorker("dead", 101), other = NewWorker("other", 102);
  ASSERT_EQ(dead.Take(2).size(), 2u);
  ASSERT_EQ(other.Take(1).size(), 1u);
  EXPECT_EQ(server_->ReleaseLeasesOf(101), 2);
  EXPECT_EQ(server_->ReleaseLeasesOf(101), 0);
  ASSERT_EQ(server_->workers().size(), 1u);
  EXPECT_EQ(server_->workers()[0].pid, 102);
  std::vector<std::string> ids;
  for (const Lease& lease : other.Take(5)) ids.push_back(lease.group_id());
  EXPECT_THAT(ids, UnorderedElementsAre("a", "b"));
}

TEST_F(CoordinatorTest, ADeadWorkerThatWaitedGetsNoLease) {
  Start();
  Publish();
  Worker dead = NewWorker("dead", 101), other = NewWorker("other", 102);
  const auto seen = [this] { return server_->workers()[0].last_seen; };
  const absl::Time registered = seen();
  absl::StatusOr<LeaseGroupsResponse> waited;
  std::thread waiting(
      [&] { waited = dead.LeaseGroups(1, kChecksum, 1, kLongWaitMs); });
  const absl::Time deadline = absl::Now() + kDeadline;
  while (seen() == registered && absl::Now() < deadline) {
  }
  EXPECT_EQ(server_->ReleaseLeasesOf(101), 0);
  server_->Enqueue({MakeLease("g")});
  waiting.join();
  EXPECT_EQ(waited.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(other.Take(1, /*wait_ms=*/0).size(), 1u);
}

TEST_F(CoordinatorTest, AGroupThatCannotBeScoredThreeTimesEndsTheRun) {
  Start();
  Publish();
  server_->Enqueue({MakeLease("g")});
  Worker worker = NewWorker();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(server_->NextGroup(absl::ZeroDuration()).status().code(),
              absl::StatusCode::kDeadlineExceeded);
    ASSERT_EQ(worker.Take(1).size(), 1u) << i;
    EXPECT_TRUE(worker.SubmitError("g", "the sandbox is gone"));
  }
  const absl::Status status = server_->NextGroup(kDeadline).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(),
            "group g could not be scored 3 times: the sandbox is gone");
}

TEST_F(CoordinatorTest, AnErrorOfOneWhoLostTheLeaseDoesNotCount) {
  Start();
  Publish();
  server_->Enqueue({MakeLease("g")});
  Worker first = NewWorker("w", 1), second = NewWorker("w", 2);
  ASSERT_EQ(first.Take(1).size(), 1u);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(second.SubmitError("g", "no"));
  EXPECT_EQ(second.Take(1, /*wait_ms=*/0).size(), 0u);  // Still the first's.
  EXPECT_EQ(server_->NextGroup(absl::ZeroDuration()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(CoordinatorTest, FinishAnswersThoseWhoWaitAndThoseWhoCome) {
  Start();
  Publish();
  Worker worker = NewWorker();
  absl::StatusOr<LeaseGroupsResponse> waited;
  std::thread waiting(
      [&] { waited = worker.LeaseGroups(1, kChecksum, 1, kLongWaitMs); });
  server_->Finish();
  waiting.join();
  ASSERT_TRUE(waited.ok()) << waited.status();
  EXPECT_TRUE(waited->finished());
  EXPECT_TRUE(worker.LeaseGroups(1, kChecksum, 1, kLongWaitMs)->finished());
  EXPECT_TRUE(worker.HeartbeatSaysFinished());
}

TEST_F(CoordinatorTest, ItsEndAnswersThoseWhoWait) {
  Start();
  Worker worker = NewWorker();
  absl::StatusOr<LeaseGroupsResponse> waited;
  std::thread waiting(
      [&] { waited = worker.LeaseGroups(-1, 0, 1, kLongWaitMs); });
  server_.reset();
  waiting.join();
  // The call may have come too late to be answered; it must not hang.
  EXPECT_TRUE(!waited.ok() || waited->finished());
}

TEST_F(CoordinatorTest, APortInUseIsOneSentence) {
  Start();
  CoordinatorServer::Options options;
  options.listen = server_->address();
  const absl::Status status = CoordinatorServer::Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  const std::string sentence(status.message());
  EXPECT_THAT(sentence, HasSubstr(server_->address()));
  EXPECT_THAT(sentence, HasSubstr("rollout.listen"));
  EXPECT_THAT(sentence, Not(HasSubstr("\n")));
}

}  // namespace
}  // namespace ponder
