#include "rl/fleet.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/process_memory.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace ponder {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(60);
constexpr absl::Duration kTendPeriod = absl::Milliseconds(200);
constexpr int kMaxRestarts = 5;  // Of all children of a run together.

std::string LogPath(const std::string& run_folder, const std::string& name) {
  return absl::StrCat(run_folder, "/logs/", name, ".log");
}

int Threads(int32_t configured) {
  if (configured > 0) return configured;
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Fleet>> Fleet::Start(const Options& options) {
  auto fleet = std::unique_ptr<Fleet>(new Fleet(options));
  const RunConfig& config = options.config;

  if (config.reward().has_address()) {
    fleet->reward_address_ = config.reward().address();
  } else {
    PONDER_RETURN_IF_ERROR(fleet->StartRewardServer(/*port=*/0));
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto channel = grpc::CreateCustomChannel(
      fleet->reward_address_, grpc::InsecureChannelCredentials(), arguments);
  if (!channel->WaitForConnected(
          absl::ToChronoTime(absl::Now() + absl::Seconds(20)))) {
    return absl::UnavailableError(absl::StrCat(
        "no reward server answers at ", fleet->reward_address_,
        "; start one with `ponder reward-server --listen ADDRESS` or leave "
        "reward.address out"));
  }
  fleet->rewards_ = RewardService::NewStub(channel);

  CoordinatorServer::Options coordinator;
  if (config.rollout().has_listen()) {
    coordinator.listen = config.rollout().listen();
  }
  coordinator.lease_timeout = absl::Seconds(config.rollout().lease_seconds());
  RegisterResponse& run = coordinator.run;
  run.set_run_name(config.name());
  run.set_run_seed(config.seed());
  run.set_reward_address(fleet->reward_address_);
  run.set_dtype(options.dtype == at::kBFloat16 ? "bfloat16" : "float32");
  run.set_max_sequence_tokens(static_cast<int32_t>(options.max_tokens));
  run.set_reward_timeout_seconds(config.reward().timeout_seconds());
  for (const auto& [name, content] : options.files) {
    PolicyFile* file = run.add_files();
    file->set_name(name);
    file->set_content(content);
  }
  PONDER_ASSIGN_OR_RETURN(fleet->coordinator_,
                          CoordinatorServer::Start(coordinator));
  for (int i = 0; i < config.rollout().workers(); ++i) {
    fleet->workers_.emplace_back();
    PONDER_RETURN_IF_ERROR(fleet->StartWorker(i));
  }
  return fleet;
}

Fleet::~Fleet() {
  if (coordinator_ != nullptr) coordinator_->Finish();
}

absl::Status Fleet::StartRewardServer(int port) {
  ChildProcess::Options child;
  child.name = "reward server";
  child.log_path = LogPath(options_.run_folder, "reward_server");
  child.arguments = {"reward-server",
                     "--config",
                     absl::StrCat(options_.run_folder, "/config.textproto"),
                     "--listen",
                     absl::StrCat("127.0.0.1:", port),
                     "--port-fd",
                     "3"};
  // It starts the plug-ins before it serves.
  const absl::Duration timeout =
      kStartTimeout * (1 + options_.config.reward().verifier_size());
  PONDER_ASSIGN_OR_RETURN(reward_server_, ChildProcess::Start(child));
  PONDER_ASSIGN_OR_RETURN(const std::string line,
                          reward_server_->ReadLine(timeout));
  reward_address_ = absl::StrCat("127.0.0.1:", line);
  return absl::OkStatus();
}

absl::Status Fleet::StartWorker(int index) {
  const RolloutConfig& rollout = options_.config.rollout();
  ChildProcess::Options child;
  child.name = absl::StrCat("worker ", index + 1);
  child.log_path =
      LogPath(options_.run_folder, absl::StrCat("worker_", index + 1));
  child.arguments = {"worker",
                     "--coordinator",
                     coordinator_->address(),
                     "--name",
                     absl::StrCat("worker-", index + 1),
                     "--threads",
                     absl::StrCat(Threads(rollout.threads_per_worker())),
                     "--slots",
                     absl::StrCat(rollout.slots()),
                     "--kv-cache-tokens",
                     absl::StrCat(rollout.kv_cache_tokens()),
                     "--device",
                     Device_Name(options_.config.device())};
  PONDER_ASSIGN_OR_RETURN(workers_[index], ChildProcess::Start(child));
  return absl::OkStatus();
}

absl::Status Fleet::Tend() {
  const auto may_restart = [this](ChildProcess& child) -> absl::Status {
    const std::string obituary = child.Obituary();
    if (++restarts_ > kMaxRestarts) {
      return absl::UnavailableError(
          absl::StrCat("processes of the run keep dying, ", kMaxRestarts,
                       " were started again; last: ", obituary));
    }
    options_.print(absl::StrCat("warning: ", obituary, "\n  started again (",
                                restarts_, " of ", kMaxRestarts, ")"));
    return absl::OkStatus();
  };
  if (reward_server_ != nullptr && !reward_server_->Running()) {
    PONDER_RETURN_IF_ERROR(may_restart(*reward_server_));
    // At the same port, where the workers look for it.
    int port = 0;
    if (!absl::SimpleAtoi(
            reward_address_.substr(reward_address_.rfind(':') + 1), &port)) {
      return absl::InternalError("the reward server's port is not a number");
    }
    PONDER_RETURN_IF_ERROR(StartRewardServer(port));
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i]->Running()) continue;
    PONDER_RETURN_IF_ERROR(may_restart(*workers_[i]));
    coordinator_->ReleaseLeasesOf(workers_[i]->pid());
    PONDER_RETURN_IF_ERROR(StartWorker(static_cast<int>(i)));
  }
  return absl::OkStatus();
}

int64_t Fleet::Publish(TensorMap weights) {
  auto policy = std::make_shared<PublishedPolicy>();
  policy->version = ++version_;
  policy->checksum = WeightsChecksum(weights);
  policy->weights = std::move(weights);
  coordinator_->Publish(std::move(policy));
  return version_;
}

absl::StatusOr<std::vector<FinishedGroup>> Fleet::Sample(
    std::vector<Lease> leases,
    const std::function<absl::Status(const FinishedGroup&)>& on_group) {
  std::map<std::string, size_t> place;
  for (size_t i = 0; i < leases.size(); ++i) place[leases[i].group_id()] = i;
  std::vector<FinishedGroup> groups(leases.size());
  Enqueue(std::move(leases));
  for (size_t i = 0; i < groups.size(); ++i) {
    PONDER_ASSIGN_OR_RETURN(
        FinishedGroup group,
        Wait([&](const std::string& id) { return place.contains(id); }));
    PONDER_RETURN_IF_ERROR(on_group(group));
    groups[place.at(group.lease.group_id())] = std::move(group);
  }
  return groups;
}

void Fleet::Enqueue(std::vector<Lease> leases) {
  coordinator_->Enqueue(std::move(leases));
}

void Fleet::Cancel(const std::vector<std::string>& group_ids) {
  for (const std::string& id : group_ids) kept_.erase(id);
  coordinator_->Cancel(group_ids);
}

absl::StatusOr<FinishedGroup> Fleet::Wait(
    const std::function<bool(const std::string& group_id)>& wanted) {
  for (auto it = kept_.begin(); it != kept_.end(); ++it) {
    if (wanted(it->first)) return std::move(kept_.extract(it).mapped());
  }
  const absl::Duration silence =
      absl::Seconds(options_.config.rollout().worker_timeout_seconds());
  absl::Time last_sign = absl::Now();
  while (true) {
    if (StopRequested()) return absl::CancelledError("stopped");
    // Groups that keep coming must not hide that one of two workers is gone.
    if (absl::Now() - last_tended_ > kTendPeriod) {
      PONDER_RETURN_IF_ERROR(Tend());
      last_tended_ = absl::Now();
    }
    absl::StatusOr<FinishedGroup> group = coordinator_->NextGroup(kTendPeriod);
    if (group.ok()) {
      if (wanted(group->lease.group_id())) return group;
      kept_.emplace(group->lease.group_id(), *std::move(group));
      last_sign = absl::Now();
      continue;
    }
    if (!absl::IsDeadlineExceeded(group.status())) return group.status();
    for (const WorkerStatus& worker : coordinator_->workers()) {
      last_sign = std::max(last_sign, worker.last_seen);
    }
    if (absl::Now() - last_sign > silence) {
      return absl::DeadlineExceededError(absl::StrCat(
          "no worker has given a sign of life for ",
          absl::FormatDuration(silence), ", ", coordinator_->num_outstanding(),
          " prompts wait; see ", options_.run_folder,
          "/logs, or start `ponder worker --coordinator ",
          coordinator_->address(), "`"));
    }
  }
}

bool Fleet::all_local() const {
  for (const WorkerStatus& worker : coordinator_->workers()) {
    const bool ours =
        std::any_of(workers_.begin(), workers_.end(),
                    [&](const auto& w) { return w->pid() == worker.pid; });
    if (!ours) return false;
  }
  return true;
}

std::vector<Fleet::Process> Fleet::Processes() const {
  std::vector<Process> processes;
  if (reward_server_ != nullptr) {
    processes.push_back({reward_server_->name(), reward_server_->pid(), false});
  }
  for (const auto& worker : workers_) {
    if (worker == nullptr) continue;  // It could not be started.
    processes.push_back({worker->name(), worker->pid(), true});
  }
  return processes;
}

std::vector<std::pair<std::string, int64_t>> Fleet::PeakRssBytes() const {
  std::vector<std::pair<std::string, int64_t>> peaks;
  for (const Process& process : Processes()) {
    peaks.push_back({process.name, ponder::PeakRssBytes(process.pid)});
  }
  return peaks;
}

double Fleet::BusyShare(double wall_seconds) {
  double busy = 0;
  int64_t count = 0;
  for (const WorkerStatus& worker : coordinator_->workers()) {
    busy += worker.last_heartbeat.busy_seconds();
    ++count;
  }
  const double since = busy - busy_seconds_;
  busy_seconds_ = busy;
  if (count == 0 || wall_seconds <= 0) return 0;
  return std::clamp(since / (wall_seconds * static_cast<double>(count)), 0.0,
                    1.0);
}

double Fleet::RemoteCoreSeconds() const {
  double seconds = 0;
  for (const WorkerStatus& worker : coordinator_->workers()) {
    const bool ours =
        std::any_of(workers_.begin(), workers_.end(),
                    [&](const auto& w) { return w->pid() == worker.pid; });
    if (!ours) seconds += worker.last_heartbeat.cpu_seconds();
  }
  return seconds;
}

}  // namespace ponder
