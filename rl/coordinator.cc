#include "rl/coordinator.h"

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/grpc_status.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server_builder.h"
#include "policy/checkpoint.h"

namespace ponder {
namespace {

constexpr int64_t kChunkBytes = 1 << 20;
constexpr int kMaxMessageBytes = 64 << 20;
constexpr int kMaxFailures = 3;  // Of one group, before the run ends.

// Streams one policy: the header, then every tensor in chunks.
class PolicyStream final : public grpc::ServerWriteReactor<PolicyChunk> {
 public:
  explicit PolicyStream(std::shared_ptr<const PublishedPolicy> policy)
      : policy_(std::move(policy)), tensor_(policy_->weights.begin()) {
    PolicyHeader* header = chunk_.mutable_header();
    header->set_version(policy_->version);
    header->set_checksum(policy_->checksum);
    for (const auto& [name, weight] : policy_->weights) {
      header->set_total_bytes(header->total_bytes() +
                              static_cast<int64_t>(weight.nbytes()));
    }
    StartWrite(&chunk_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    if (tensor_ == policy_->weights.end()) return Finish(grpc::Status::OK);
    const auto& [name, weight] = *tensor_;
    const int64_t bytes = static_cast<int64_t>(weight.nbytes());
    const int64_t size = std::min(kChunkBytes, bytes - offset_);
    TensorChunk* chunk = chunk_.mutable_tensor();
    chunk->set_name(name);
    chunk->set_dtype(SafetensorsDtype(weight.scalar_type()));
    chunk->mutable_shape()->Assign(weight.sizes().begin(),
                                   weight.sizes().end());
    chunk->set_offset(offset_);
    chunk->set_content(
        static_cast<const char*>(weight.const_data_ptr()) + offset_,
        static_cast<size_t>(size));
    offset_ += size;
    if (offset_ == bytes) {
      ++tensor_;
      offset_ = 0;
    }
    StartWrite(&chunk_);
  }

  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<const PublishedPolicy> policy_;
  TensorMap::const_iterator tensor_;
  int64_t offset_ = 0;
  PolicyChunk chunk_;
};

}  // namespace

class CoordinatorServer::Service final : public Coordinator::CallbackService {
 public:
  explicit Service(const Options& options)
      : options_(options), timer_([this] { TimerLoop(); }) {}

  ~Service() override {
    {
      absl::MutexLock lock(&mu_);
      stopping_ = true;
    }
    timer_.join();
  }

  grpc::ServerUnaryReactor* Register(grpc::CallbackServerContext* context,
                                     const RegisterRequest* request,
                                     RegisterResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (request->version() != PONDER_VERSION) {
      reactor->Finish(
          {grpc::StatusCode::FAILED_PRECONDITION,
           absl::StrCat("worker ", request->name(), " is version ",
                        request->version(), ", the trainer is " PONDER_VERSION,
                        "; run the same build on both")});
      return reactor;
    }
    *response = options_.run;
    absl::MutexLock lock(&mu_);
    response->set_worker_id(
        absl::StrCat(request->name(), "-", ++num_registered_));
    WorkerStatus& worker = workers_[response->worker_id()];
    worker.id = response->worker_id();
    worker.pid = request->pid();
    worker.last_seen = absl::Now();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerWriteReactor<PolicyChunk>* PullPolicy(
      grpc::CallbackServerContext*, const PullPolicyRequest* request) override {
    class Refusal final : public grpc::ServerWriteReactor<PolicyChunk> {
     public:
      explicit Refusal(const grpc::Status& status) { Finish(status); }
      void OnDone() override { delete this; }
    };
    absl::MutexLock lock(&mu_);
    Seen(request->worker_id());
    if (policy_ == nullptr || policy_->version != request->version()) {
      return new Refusal({grpc::StatusCode::NOT_FOUND,
                          absl::StrCat("policy version ", request->version(),
                                       " is not held any more")});
    }
    return new PolicyStream(policy_);
  }

  grpc::ServerUnaryReactor* LeaseGroups(
      grpc::CallbackServerContext* context, const LeaseGroupsRequest* request,
      LeaseGroupsResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    absl::MutexLock lock(&mu_);
    if (!Seen(request->worker_id())) {
      reactor->Finish(UnknownWorker(request->worker_id()));
      return reactor;
    }
    WaitingLease waiting{context, reactor, request, response,
                         absl::Now() + absl::Milliseconds(request->wait_ms())};
    if (!Answer(waiting)) waiting_.push_back(waiting);
    return reactor;
  }

  grpc::ServerUnaryReactor* SubmitGroup(
      grpc::CallbackServerContext* context, const SubmitGroupRequest* request,
      SubmitGroupResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    absl::MutexLock lock(&mu_);
    Seen(request->worker_id());
    reactor->Finish(ToGrpcStatus(Submit(*request, response)));
    return reactor;
  }

  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context,
                                      const HeartbeatRequest* request,
                                      HeartbeatResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    absl::MutexLock lock(&mu_);
    if (Seen(request->worker_id())) {
      workers_[request->worker_id()].last_heartbeat = *request;
    }
    response->set_finished(finished_run_);
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  void Publish(std::shared_ptr<const PublishedPolicy> policy)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    policy_ = std::move(policy);
    AnswerWaiting();
  }

  void Enqueue(std::vector<Lease> leases) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    for (Lease& lease : leases) {
      const std::string id = lease.group_id();
      PONDER_CHECK(!groups_.contains(id));
      groups_[id].lease = std::move(lease);
      queue_.push_back(id);
    }
    AnswerWaiting();
  }

  absl::StatusOr<FinishedGroup> NextGroup(absl::Duration timeout)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    const auto ready = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return !done_.empty() || !failure_.ok();
    };
    mu_.AwaitWithTimeout(absl::Condition(&ready), timeout);
    if (!failure_.ok()) return failure_;
    if (done_.empty()) return absl::DeadlineExceededError("no group came back");
    FinishedGroup group = std::move(done_.front());
    done_.pop_front();
    return group;
  }

  void Cancel(const std::vector<std::string>& group_ids)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    for (const std::string& id : group_ids) {
      std::erase(queue_, id);
      std::erase_if(done_, [&](const FinishedGroup& group) {
        return group.lease.group_id() == id;
      });
      const auto it = groups_.find(id);
      if (it == groups_.end()) continue;
      if (!it->second.worker_id.empty()) {
        cancelled_[it->second.worker_id].push_back(id);
      }
      groups_.erase(it);
    }
    AnswerWaiting();
  }

  int ReleaseLeasesOf(int pid) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    int released = 0;
    for (auto& [id, worker] : workers_) {
      if (worker.pid != pid) continue;
      for (auto& [group_id, group] : groups_) {
        if (group.worker_id != id) continue;
        group.worker_id.clear();
        queue_.push_front(group_id);
        ++released;
      }
    }
    std::erase_if(workers_,
                  [pid](const auto& entry) { return entry.second.pid == pid; });
    AnswerWaiting();
    return released;
  }

  int64_t num_outstanding() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return static_cast<int64_t>(groups_.size());
  }

  std::vector<WorkerStatus> workers() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    std::vector<WorkerStatus> result;
    for (const auto& [id, worker] : workers_) result.push_back(worker);
    return result;
  }

  void FinishRun() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    finished_run_ = true;
    AnswerWaiting();
  }

 private:
  struct WaitingLease {
    grpc::CallbackServerContext* context;
    grpc::ServerUnaryReactor* reactor;  // gRPC's; lives until Finish().
    const LeaseGroupsRequest* request;
    LeaseGroupsResponse* response;
    absl::Time deadline;
  };

  // A group that has not come back.
  struct Group {
    Lease lease;
    std::string worker_id;  // Empty: in the queue.
    absl::Time expires;
    int failures = 0;
  };

  static grpc::Status UnknownWorker(const std::string& id) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            absl::StrCat("worker \"", id, "\" is not registered here")};
  }

  bool Seen(const std::string& worker_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const auto it = workers_.find(worker_id);
    if (it == workers_.end()) return false;
    it->second.last_seen = absl::Now();
    return true;
  }

  // Finishes the call if there is something to say; false: it waits.
  bool Answer(const WaitingLease& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    // Leases for one who is gone would be lost until they expire.
    if (call.context->IsCancelled() ||
        !workers_.contains(call.request->worker_id())) {
      call.reactor->Finish(UnknownWorker(call.request->worker_id()));
      return true;
    }
    if (finished_run_) {
      call.response->set_finished(true);
      call.response->set_policy_version(call.request->policy_version());
      call.reactor->Finish(grpc::Status::OK);
      return true;
    }
    if (const auto it = cancelled_.find(call.request->worker_id());
        it != cancelled_.end()) {
      call.response->mutable_cancelled_groups()->Assign(it->second.begin(),
                                                        it->second.end());
      cancelled_.erase(it);
      call.response->set_policy_version(call.request->policy_version());
      call.reactor->Finish(grpc::Status::OK);
      return true;
    }
    if (policy_ != nullptr && !queue_.empty()) {
      call.response->set_policy_version(policy_->version);
      if (call.request->policy_version() == policy_->version) {
        if (call.request->policy_checksum() != policy_->checksum) {
          call.reactor->Finish(
              {grpc::StatusCode::FAILED_PRECONDITION,
               absl::StrCat("worker ", call.request->worker_id(),
                            " holds policy version ", policy_->version,
                            " with checksum ", call.request->policy_checksum(),
                            ", the trainer published ", policy_->checksum)});
          return true;
        }
        GiveLeases(call);
      }
      call.reactor->Finish(grpc::Status::OK);
      return true;
    }
    if (absl::Now() < call.deadline) return false;
    call.response->set_policy_version(call.request->policy_version());
    call.reactor->Finish(grpc::Status::OK);
    return true;
  }

  void GiveLeases(const WaitingLease& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (int i = 0; i < call.request->max_groups() && !queue_.empty(); ++i) {
      Group& group = groups_.at(queue_.front());
      queue_.pop_front();
      group.worker_id = call.request->worker_id();
      group.expires = absl::Now() + options_.lease_timeout;
      group.lease.set_policy_version(policy_->version);
      group.lease.set_deadline_seconds(
          absl::ToDoubleSeconds(options_.lease_timeout));
      *call.response->add_leases() = group.lease;
    }
  }

  void AnswerWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::erase_if(waiting_, [this](const WaitingLease& call)
                                ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
                                  return Answer(call);
                                });
  }

  absl::Status Submit(const SubmitGroupRequest& request,
                      SubmitGroupResponse* response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const auto it = groups_.find(request.group_id());
    if (it == groups_.end()) return absl::OkStatus();  // Known or late.
    Group& group = it->second;
    if (!request.error().empty()) {
      // Somebody else may have it by now.
      if (group.worker_id != request.worker_id()) return absl::OkStatus();
      if (++group.failures >= kMaxFailures) {
        failure_ = absl::UnavailableError(
            absl::StrCat("group ", request.group_id(), " could not be scored ",
                         kMaxFailures, " times: ", request.error()));
      }
      group.worker_id.clear();
      queue_.push_back(request.group_id());
      AnswerWaiting();
      return absl::OkStatus();
    }
    absl::Status status = CheckSamples(request, group.lease);
    if (!status.ok()) return status;
    FinishedGroup finished;
    finished.samples.assign(request.samples().begin(), request.samples().end());
    finished.timing = request.timing();
    finished.lease = std::move(group.lease);
    // Where it had expired it may wait in the queue again.
    std::erase(queue_, request.group_id());
    groups_.erase(it);
    done_.push_back(std::move(finished));
    response->set_accepted(true);
    return absl::OkStatus();
  }

  static absl::Status CheckSamples(const SubmitGroupRequest& request,
                                   const Lease& lease) {
    const auto wrong = [&](auto&&... parts) {
      return absl::FailedPreconditionError(
          absl::StrCat("worker ", request.worker_id(), " submitted group ",
                       request.group_id(), " with ", parts...));
    };
    if (request.samples_size() != lease.samples_size()) {
      return wrong(request.samples_size(), " samples, wanted ",
                   lease.samples_size());
    }
    for (int i = 0; i < request.samples_size(); ++i) {
      const Sample& sample = request.samples(i);
      if (sample.policy_version() != lease.policy_version()) {
        return wrong("policy version ", sample.policy_version(), ", wanted ",
                     lease.policy_version());
      }
      if (sample.key() != lease.samples(i).key() ||
          sample.response_ids_size() != sample.logprobs_size() ||
          sample.response_ids_size() < 1 ||
          sample.response_ids_size() > lease.max_response_tokens()) {
        return wrong("a sample that does not fit its lease");
      }
      for (const float logprob : sample.logprobs()) {
        if (!std::isfinite(logprob) || logprob > 1e-3) {
          return wrong("the log-probability ", logprob);
        }
      }
    }
    return absl::OkStatus();
  }

  // Ends long polls and expires leases.
  void TimerLoop() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    while (!mu_.AwaitWithTimeout(absl::Condition(&stopping_),
                                 absl::Milliseconds(250))) {
      const absl::Time now = absl::Now();
      for (auto& [id, group] : groups_) {
        if (group.worker_id.empty() || now < group.expires) continue;
        group.worker_id.clear();
        queue_.push_front(id);
      }
      AnswerWaiting();
    }
    // No call may be left open when the server goes.
    finished_run_ = true;
    AnswerWaiting();
  }

  const Options options_;
  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_run_ ABSL_GUARDED_BY(mu_) = false;
  int64_t num_registered_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, WorkerStatus> workers_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const PublishedPolicy> policy_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Group> groups_ ABSL_GUARDED_BY(mu_);
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mu_);  // Group ids.
  std::deque<FinishedGroup> done_ ABSL_GUARDED_BY(mu_);
  std::vector<WaitingLease> waiting_ ABSL_GUARDED_BY(mu_);
  // What each worker is still to be told.
  std::map<std::string, std::vector<std::string>> cancelled_
      ABSL_GUARDED_BY(mu_);
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  std::thread timer_;
};

absl::StatusOr<std::unique_ptr<CoordinatorServer>> CoordinatorServer::Start(
    const Options& options) {
  auto coordinator =
      std::unique_ptr<CoordinatorServer>(new CoordinatorServer());
  coordinator->service_ = std::make_unique<Service>(options);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(coordinator->service_.get());
  coordinator->server_ = builder.BuildAndStart();
  if (coordinator->server_ == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat(
        "the trainer cannot listen on ", options.listen,
        "; the port may be in use, give another with --set rollout.listen="));
  }
  coordinator->address_ = absl::StrCat(
      options.listen.substr(0, options.listen.rfind(':')), ":", port);
  return coordinator;
}

CoordinatorServer::~CoordinatorServer() {
  if (service_ != nullptr) service_->FinishRun();
  if (server_ != nullptr) {
    server_->Shutdown(absl::ToChronoTime(absl::Now() + absl::Seconds(2)));
    server_->Wait();
  }
}

void CoordinatorServer::Publish(std::shared_ptr<const PublishedPolicy> policy) {
  service_->Publish(std::move(policy));
}
void CoordinatorServer::Enqueue(std::vector<Lease> leases) {
  service_->Enqueue(std::move(leases));
}
absl::StatusOr<FinishedGroup> CoordinatorServer::NextGroup(
    absl::Duration timeout) {
  return service_->NextGroup(timeout);
}
void CoordinatorServer::Cancel(const std::vector<std::string>& group_ids) {
  service_->Cancel(group_ids);
}
int CoordinatorServer::ReleaseLeasesOf(int pid) {
  return service_->ReleaseLeasesOf(pid);
}
int64_t CoordinatorServer::num_outstanding() const {
  return service_->num_outstanding();
}
std::vector<WorkerStatus> CoordinatorServer::workers() const {
  return service_->workers();
}
void CoordinatorServer::Finish() { service_->FinishRun(); }

}  // namespace ponder
