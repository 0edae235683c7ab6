// The processes of a run on this machine, the trainer's own excepted: a reward
// server and rollout workers, around the coordinator that they dial.

#ifndef PONDER_RL_FLEET_H_
#define PONDER_RL_FLEET_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "policy/checkpoint.h"
#include "proto/config.pb.h"
#include "proto/reward.grpc.pb.h"
#include "rl/child_process.h"
#include "rl/coordinator.h"
#include "rl/group_sampler.h"

namespace ponder {

// Use from the main thread (see ChildProcess). A worker or a reward server that
// dies is started again, a few times, and its leases go to others.
class Fleet final : public GroupSampler {
 public:
  struct Options {
    RunConfig config;
    std::string run_folder;
    PolicyFiles files;  // Of the policy; workers get them.
    at::ScalarType dtype = at::kFloat;
    int64_t max_tokens = 0;  // Prompt and response together.
    std::function<void(const std::string&)> print;  // A line that stays.
  };

  // Starts all processes; the reward server answers when this returns.
  static absl::StatusOr<std::unique_ptr<Fleet>> Start(const Options& options);
  ~Fleet() override;

  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Makes this the policy that the following Sample() calls sample from.
  // `weights` as dtype of the options; they must not change any more. Returns
  // its version.
  int64_t Publish(TensorMap weights);

  // Has all leases sampled and scored; calls `on_group` for each as it comes
  // back and returns them in the order of `leases`. CANCELLED when a stop was
  // requested, or an error of `on_group`; what is still out is then forgotten.
  absl::StatusOr<std::vector<FinishedGroup>> Sample(
      std::vector<Lease> leases,
      const std::function<absl::Status(const FinishedGroup&)>& on_group);

  void Enqueue(std::vector<Lease> leases) override;
  absl::StatusOr<FinishedGroup> Wait(
      const std::function<bool(const std::string& group_id)>& wanted) override;
  void Cancel(const std::vector<std::string>& group_ids) override;

  RewardService::Stub* rewards() { return rewards_.get(); }
  // Whether all workers are processes of this machine.
  bool all_local() const;
  struct Process {
    std::string name;
    int pid = 0;
    bool is_worker = false;  // Else a reward server.
  };
  // Those that were started here and have not been replaced.
  std::vector<Process> Processes() const;
  // Highest resident memory so far of each process that was started here.
  std::vector<std::pair<std::string, int64_t>> PeakRssBytes() const;
  // Share of `wall_seconds` that the engines were busy since the last call.
  double BusyShare(double wall_seconds);
  // Core-seconds of workers on other machines.
  double RemoteCoreSeconds() const;
  const std::string& coordinator_address() const {
    return coordinator_->address();
  }

 private:
  explicit Fleet(const Options& options) : options_(options) {}

  absl::Status StartRewardServer(int port);
  absl::Status StartWorker(int index);
  // Starts again what has died; the error of what keeps dying.
  absl::Status Tend();

  const Options options_;
  std::string reward_address_;
  std::unique_ptr<RewardService::Stub> rewards_;
  std::unique_ptr<CoordinatorServer> coordinator_;
  std::unique_ptr<ChildProcess> reward_server_;  // Null: not ours.
  std::vector<std::unique_ptr<ChildProcess>> workers_;
  int64_t version_ = 0;
  int restarts_ = 0;
  std::map<std::string, FinishedGroup> kept_;  // Came back before their turn.
  absl::Time last_tended_ = absl::InfinitePast();
  double busy_seconds_ = 0;  // At the last BusyShare().
};

}  // namespace ponder

#endif  // PONDER_RL_FLEET_H_
