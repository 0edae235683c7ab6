// The rollout worker: pulls the policy, leases prompts, samples groups, has
// them scored and submits them. Stateless; it may come and go at any time.

#ifndef PONDER_ROLLOUT_WORKER_H_
#define PONDER_ROLLOUT_WORKER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "rollout/engine.h"

namespace ponder {

struct WorkerOptions {
  std::string coordinator_address;  // host:port.
  std::string name = "worker";
  Engine::Options engine;
  std::string device = "cpu";  // As OpenDevice() takes it.
  // The trainer's longest silence before the worker gives up.
  absl::Duration coordinator_timeout = absl::Seconds(60);
};

// Runs until the trainer says that the run is over (OK), a stop signal comes
// (OK), or the trainer or the reward server cannot be used (the error says
// which).
absl::Status RunWorker(const WorkerOptions& options);

}  // namespace ponder

#endif  // PONDER_ROLLOUT_WORKER_H_
