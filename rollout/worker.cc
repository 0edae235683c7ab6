#include "rollout/worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/grpc_status.h"
#include "base/queue.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "policy/checkpoint.h"
#include "policy/device.h"
#include "policy/text/unicode.h"
#include "proto/coordinator.grpc.pb.h"
#include "rollout/group_scorer.h"
#include "rollout/policy_client.h"

namespace ponder {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;
constexpr absl::Duration kRpcDeadline = absl::Seconds(30);
constexpr absl::Duration kLeaseWait = absl::Seconds(5);
constexpr absl::Duration kHeartbeatPeriod = absl::Seconds(2);
// Longest pause before a lost peer is dialled again.
constexpr absl::Duration kMaxReconnectPause = absl::Seconds(2);

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  // One host, and a proxy of the environment must not stand between.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(
      GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
      static_cast<int>(absl::ToInt64Milliseconds(kMaxReconnectPause)));
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

void SetDeadline(grpc::ClientContext* context, absl::Duration timeout) {
  context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

// A lease and the policy to sample it with.
struct LeasedGroup {
  Lease lease;
  std::shared_ptr<const Decoder> decoder;
};

// Everything of one group on its way from lease to submission.
struct ActiveGroup {
  int64_t serial = 0;  // A group may be leased to one worker again.
  Lease lease;
  absl::Time start;
  absl::Time sampled;  // When its last token was drawn.
  SubmitGroupRequest submission;
  // From now on the trainer may lease the group again.
  std::atomic<bool> submitted = false;
  std::unique_ptr<GroupScorer> scorer;
};

class Worker {
 public:
  explicit Worker(const WorkerOptions& options)
      : options_(options), leases_(/*capacity=*/4) {}

  absl::Status Run() {
    PONDER_ASSIGN_OR_RETURN(device_, OpenDevice(options_.device));
    PONDER_RETURN_IF_ERROR(Register());
    std::thread lease_thread([this] { LeaseLoop(); });
    std::thread heartbeat_thread([this] { HeartbeatLoop(); });
    SampleLoop();
    leases_.Close();
    {
      absl::MutexLock lock(&mu_);
      stopping_ = true;
    }
    for (auto& [id, group] : active_) group->scorer->Cancel();
    active_.clear();
    lease_thread.join();
    heartbeat_thread.join();
    absl::MutexLock lock(&mu_);
    return error_;
  }

 private:
  absl::Status Register() {
    coordinator_ = Coordinator::NewStub(Connect(options_.coordinator_address));
    grpc::ClientContext context;
    SetDeadline(&context, options_.coordinator_timeout);
    context.set_wait_for_ready(true);
    RegisterRequest request;
    request.set_name(options_.name);
    request.set_version(PONDER_VERSION);
    request.set_pid(getpid());
    const absl::Status status =
        FromGrpcStatus(coordinator_->Register(&context, request, &run_));
    if (absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status)) {
      return absl::UnavailableError(absl::StrCat(
          "no trainer answers at ", options_.coordinator_address,
          "; give the address that it printed, and see that it still runs"));
    }
    PONDER_RETURN_IF_ERROR(status);

    PolicyFiles files;
    for (const PolicyFile& file : run_.files()) {
      files[file.name()] = file.content();
    }
    PONDER_ASSIGN_OR_RETURN(config_,
                            ConfigOfFiles(files, "the trainer's policy"));
    PONDER_ASSIGN_OR_RETURN(
        tokenizer_, Tokenizer::FromJson(files["tokenizer.json"],
                                        "the trainer's tokenizer.json"));
    dtype_ = run_.dtype() == "bfloat16" ? at::kBFloat16 : at::kFloat;
    engine_ = std::make_unique<Engine>(options_.engine, tokenizer_.get());
    rewards_ = RewardService::NewStub(Connect(run_.reward_address()));
    return absl::OkStatus();
  }

  // Remembers the first error and lets every loop end.
  void Fail(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::MutexLock lock(&mu_);
      if (error_.ok()) error_ = std::move(status);
      stopping_ = true;
    }
    leases_.Close();
  }

  bool Stopping() ABSL_LOCKS_EXCLUDED(mu_) {
    if (StopRequested()) return true;
    absl::MutexLock lock(&mu_);
    return stopping_;
  }

  // Keeps the queue of leases filled, with the policy that they ask for.
  void LeaseLoop() {
    absl::Time last_answer = absl::Now();
    std::shared_ptr<const Decoder> decoder;
    int64_t version = -1;
    uint32_t checksum = 0;
    while (!Stopping()) {
      grpc::ClientContext context;
      SetDeadline(&context, kLeaseWait + kRpcDeadline);
      LeaseGroupsRequest request;
      request.set_worker_id(run_.worker_id());
      request.set_policy_version(version);
      request.set_policy_checksum(checksum);
      request.set_max_groups(1);
      request.set_wait_ms(
          static_cast<int32_t>(absl::ToInt64Milliseconds(kLeaseWait)));
      LeaseGroupsResponse response;
      const absl::Status status = FromGrpcStatus(
          coordinator_->LeaseGroups(&context, request, &response));
      if (!status.ok()) {
        if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
          return Fail(status);
        }
        if (absl::Now() - last_answer > options_.coordinator_timeout) {
          return Fail(absl::UnavailableError(absl::StrCat(
              "the trainer at ", options_.coordinator_address,
              " has not answered for ",
              absl::FormatDuration(options_.coordinator_timeout))));
        }
        // gRPC waits by itself before it dials again.
        grpc::ClientContext ready;
        SetDeadline(&ready, absl::Seconds(5));
        ready.set_wait_for_ready(true);
        HeartbeatResponse alive;
        coordinator_->Heartbeat(&ready, HeartbeatRequest(), &alive).ok();
        continue;
      }
      last_answer = absl::Now();
      if (response.cancelled_groups_size() > 0) {
        absl::MutexLock lock(&mu_);
        cancelled_.insert(cancelled_.end(), response.cancelled_groups().begin(),
                          response.cancelled_groups().end());
      }
      if (response.finished()) {
        leases_.Close();
        return;
      }
      if (response.policy_version() != version) {
        absl::StatusOr<PulledPolicy> policy = PullPolicy(
            coordinator_.get(), run_.worker_id(), response.policy_version());
        if (absl::IsNotFound(policy.status())) continue;  // Overtaken.
        if (!policy.ok()) return Fail(policy.status());
        decoder.reset();  // The engine keeps the old one while it needs it.
        for (auto& [name, weight] : policy->weights) {
          weight = weight.to(device_);
        }
        auto created = Decoder::Create(config_, std::move(policy->weights),
                                       dtype_, run_.max_sequence_tokens());
        if (!created.ok()) return Fail(created.status());
        decoder = *std::move(created);
        version = policy->version;
        checksum = policy->checksum;
      }
      for (Lease& lease : *response.mutable_leases()) {
        if (!leases_.Push({std::move(lease), decoder})) return;
      }
    }
  }

  void HeartbeatLoop() {
    while (!Stopping()) {
      {
        absl::MutexLock lock(&mu_);
        mu_.AwaitWithTimeout(absl::Condition(&stopping_), kHeartbeatPeriod);
        if (stopping_) return;
      }
      SendHeartbeat();
    }
  }

  void SendHeartbeat() {
    grpc::ClientContext context;
    SetDeadline(&context, kRpcDeadline);
    HeartbeatRequest request;
    request.set_worker_id(run_.worker_id());
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    request.set_peak_rss_bytes(int64_t{usage.ru_maxrss} * 1024);
    request.set_cpu_seconds(
        static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
        1e-6 * static_cast<double>(usage.ru_utime.tv_usec +
                                   usage.ru_stime.tv_usec));
    {
      absl::MutexLock lock(&mu_);
      request.set_sampled_tokens(sampled_tokens_);
      request.set_busy_seconds(busy_seconds_);
    }
    HeartbeatResponse response;
    coordinator_->Heartbeat(&context, request, &response).ok();
  }

  // The thread of the engine.
  void SampleLoop() {
    std::optional<LeasedGroup> next;
    while (!Stopping()) {
      DropCancelled();
      while (true) {
        if (!next) {
          next = leases_.Pop(engine_->idle() ? absl::Milliseconds(200)
                                             : absl::ZeroDuration());
        }
        if (!next) break;
        if (!MayBegin(next->lease.group_id())) {
          next.reset();
          continue;
        }
        if (next->decoder != decoder_) {
          if (!engine_->idle()) break;  // Drain first.
          decoder_ = next->decoder;
          engine_->SetPolicy(decoder_);
        }
        if (!engine_->HasRoom(next->lease.samples_size())) break;
        const absl::Status status = Begin(std::move(next->lease));
        next.reset();
        if (!status.ok()) return Fail(status);
      }
      if (!next && engine_->idle() && leases_.closed()) return WaitForScores();
      if (engine_->idle()) continue;
      try {
        engine_->Step(
            [this](GeneratedSample sample) { OnSample(std::move(sample)); });
      } catch (const std::exception& e) {
        return Fail(
            absl::InternalError(absl::StrCat("the engine failed: ", e.what())));
      }
      Reap();
      absl::MutexLock lock(&mu_);
      sampled_tokens_ = engine_->sampled_tokens();
      busy_seconds_ = engine_->busy_seconds();
    }
  }

  void DropCancelled() ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<std::string> ids;
    {
      absl::MutexLock lock(&mu_);
      ids.swap(cancelled_);
    }
    for (const std::string& id : ids) {
      const auto it = active_.find(id);
      if (it == active_.end()) {
        never_begin_.insert(id);
        continue;
      }
      if (it->second->submitted) continue;
      engine_->Cancel(id);
      it->second->scorer->Cancel();
      active_.erase(it);
    }
  }

  // False for a group whose lease expired and came back to the one who is still
  // at it: its samples will be taken. One that has been submitted, with an
  // error, is forgotten, and may begin again.
  bool MayBegin(const std::string& group_id) {
    if (never_begin_.erase(group_id) > 0) return false;
    const auto it = active_.find(group_id);
    if (it == active_.end()) return true;
    if (!it->second->submitted) return false;
    active_.erase(it);
    return true;
  }

  absl::Status Begin(Lease lease) {
    GenerationRequest request;
    request.group_id = lease.group_id();
    request.prompt_ids.assign(lease.prompt_ids().begin(),
                              lease.prompt_ids().end());
    for (const SampleSpec& spec : lease.samples()) {
      request.samples.push_back(
          {spec.key(), spec.temperature(), spec.top_k(), spec.top_p()});
    }
    request.max_response_tokens = lease.max_response_tokens();
    request.stop_ids.assign(lease.stop_ids().begin(), lease.stop_ids().end());
    request.stop_strings.assign(lease.stop_strings().begin(),
                                lease.stop_strings().end());
    auto group = std::make_shared<ActiveGroup>();
    group->serial = ++num_begun_;
    group->start = absl::Now();
    group->submission.set_worker_id(run_.worker_id());
    group->submission.set_group_id(lease.group_id());
    for (int i = 0; i < lease.samples_size(); ++i) {
      group->submission.add_samples();
    }
    group->lease = std::move(lease);
    // The scorer holds the group alive until it has called back.
    group->scorer = std::make_unique<GroupScorer>(
        rewards_.get(), group->lease.problem(), group->lease.samples_size(),
        absl::Seconds(run_.reward_timeout_seconds()),
        [this, group = group.get()](absl::Status status,
                                    std::vector<ScoredResponse> scores) {
          Submit(group, std::move(status), std::move(scores));
        });
    active_[group->lease.group_id()] = group;
    return engine_->Add(std::move(request));
  }

  void OnSample(GeneratedSample generated) {
    const std::shared_ptr<ActiveGroup> group = active_.at(generated.group_id);
    const SampleSpec& spec = group->lease.samples(generated.index);
    const std::string text =
        ReplaceInvalidUtf8(tokenizer_->Decode(generated.response_ids));
    Sample* sample = group->submission.mutable_samples(generated.index);
    sample->set_index(spec.index());
    sample->set_key(spec.key());
    sample->mutable_response_ids()->Assign(generated.response_ids.begin(),
                                           generated.response_ids.end());
    sample->mutable_logprobs()->Assign(generated.logprobs.begin(),
                                       generated.logprobs.end());
    sample->set_policy_version(group->lease.policy_version());
    sample->set_finish_reason(generated.truncated ? "length" : "stop");
    sample->set_text(text);
    group->sampled = absl::Now();

    ResponseToScore response;
    response.set_index(generated.index);
    response.set_text(text);
    response.mutable_ids()->Assign(generated.response_ids.begin(),
                                   generated.response_ids.end());
    response.set_truncated(generated.truncated);
    response.set_thought_opened(group->lease.thought_opened());
    group->scorer->Send(std::move(response));
  }

  // On the scorer's thread, when all samples were sampled and scored.
  void Submit(ActiveGroup* group, absl::Status status,
              std::vector<ScoredResponse> scores) {
    if (absl::IsCancelled(status)) return MarkDone(group);
    SubmitGroupRequest& submission = group->submission;
    if (status.ok()) {
      for (ScoredResponse& score : scores) {
        *submission.mutable_samples(score.index())->mutable_score() =
            std::move(score);
      }
    } else {
      submission.clear_samples();
      submission.set_error(std::string(status.message()));
    }
    submission.mutable_timing()->set_sampling_seconds(
        absl::ToDoubleSeconds(group->sampled - group->start));
    submission.mutable_timing()->set_reward_wait_seconds(
        absl::ToDoubleSeconds(absl::Now() - group->sampled));
    group->submitted = true;
    grpc::ClientContext context;
    SetDeadline(&context, kRpcDeadline);
    SubmitGroupResponse response;
    const absl::Status sent = FromGrpcStatus(
        coordinator_->SubmitGroup(&context, submission, &response));
    // A submission that is lost is a lease that expires; only a refusal counts.
    if (!sent.ok() && !absl::IsUnavailable(sent) &&
        !absl::IsDeadlineExceeded(sent)) {
      Fail(sent);
    }
    MarkDone(group);
  }

  void MarkDone(ActiveGroup* group) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    done_.push_back({group->lease.group_id(), group->serial});
  }

  // Forgets groups that were submitted.
  void Reap() ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<std::pair<std::string, int64_t>> done;
    {
      absl::MutexLock lock(&mu_);
      done.swap(done_);
    }
    for (const auto& [id, serial] : done) {
      const auto it = active_.find(id);
      if (it != active_.end() && it->second->serial == serial) {
        active_.erase(it);
      }
    }
  }

  void WaitForScores() ABSL_LOCKS_EXCLUDED(mu_) {
    while (!active_.empty() && !Stopping()) {
      {
        absl::MutexLock lock(&mu_);
        const auto any = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
          return !done_.empty() || stopping_;
        };
        mu_.AwaitWithTimeout(absl::Condition(&any), absl::Seconds(1));
      }
      Reap();
    }
  }

  const WorkerOptions options_;
  RegisterResponse run_;
  ModelConfig config_;
  at::Device device_ = at::kCPU;
  at::ScalarType dtype_ = at::kFloat;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Coordinator::Stub> coordinator_;
  std::unique_ptr<RewardService::Stub> rewards_;
  Queue<LeasedGroup> leases_;

  // Of the engine's thread.
  std::unique_ptr<Engine> engine_;
  std::shared_ptr<const Decoder> decoder_;
  std::map<std::string, std::shared_ptr<ActiveGroup>> active_;
  std::set<std::string> never_begin_;  // Cancelled while they were queued.
  int64_t num_begun_ = 0;

  absl::Mutex mu_;
  absl::Status error_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Groups that need no more work: id and serial.
  std::vector<std::pair<std::string, int64_t>> done_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> cancelled_ ABSL_GUARDED_BY(mu_);  // Group ids.
  int64_t sampled_tokens_ ABSL_GUARDED_BY(mu_) = 0;
  double busy_seconds_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace

absl::Status RunWorker(const WorkerOptions& options) {
  return Worker(options).Run();
}

}  // namespace ponder
