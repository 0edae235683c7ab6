// The trainer's side of the wire: leases prompts to workers, gathers scored
// groups, hands out the policy by version.

#ifndef PONDER_RL_COORDINATOR_H_
#define PONDER_RL_COORDINATOR_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/server.h"
#include "policy/decoder.h"
#include "proto/coordinator.grpc.pb.h"
#include "rl/group_sampler.h"

namespace ponder {

// A policy as workers pull it. Immutable.
struct PublishedPolicy {
  int64_t version = 0;
  uint32_t checksum = 0;
  TensorMap weights;
};

struct WorkerStatus {
  std::string id;
  int pid = 0;
  absl::Time last_seen;
  HeartbeatRequest last_heartbeat;
};

// Group ids are unique in a run. A lease that is not answered in lease_timeout
// is given to another worker; a second answer to it is refused politely.
// Thread-safe.
class CoordinatorServer {
 public:
  struct Options {
    std::string listen = "127.0.0.1:0";
    // What every worker is told; worker_id is filled in.
    RegisterResponse run;
    absl::Duration lease_timeout = absl::Minutes(10);
  };

  // Starts to serve. UNAVAILABLE in one sentence if the address is taken.
  static absl::StatusOr<std::unique_ptr<CoordinatorServer>> Start(
      const Options& options);
  // Tells waiting workers that the run is over.
  ~CoordinatorServer();

  CoordinatorServer(const CoordinatorServer&) = delete;
  CoordinatorServer& operator=(const CoordinatorServer&) = delete;

  // host:port that workers dial.
  const std::string& address() const { return address_; }

  // Workers must hold this policy before they get another lease.
  void Publish(std::shared_ptr<const PublishedPolicy> policy);

  // Adds work for the published policy. Group ids must be new.
  void Enqueue(std::vector<Lease> leases);

  // The next finished group; DEADLINE_EXCEEDED after `timeout`; the error of a
  // group that could not be scored three times.
  absl::StatusOr<FinishedGroup> NextGroup(absl::Duration timeout);

  // Forgets these groups, wherever they are; their workers are told. Ids that
  // are not known are none.
  void Cancel(const std::vector<std::string>& group_ids);

  // The worker with this process id is gone: its leases go back to the queue.
  // Returns how many.
  int ReleaseLeasesOf(int pid);

  // Groups that were enqueued and have not come back.
  int64_t num_outstanding() const;
  std::vector<WorkerStatus> workers() const;

  // Tells every worker, now and later, that the run is over.
  void Finish();

 private:
  class Service;

  CoordinatorServer() = default;

  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace ponder

#endif  // PONDER_RL_COORDINATOR_H_
