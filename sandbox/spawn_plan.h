// posix_spawn with file descriptors at chosen numbers.

#ifndef PONDER_SANDBOX_SPAWN_PLAN_H_
#define PONDER_SANDBOX_SPAWN_PLAN_H_

#include <spawn.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/unique_fd.h"

namespace ponder {

// One use. The child has an empty environment, no blocked or ignored signals
// and a process group of its own.
class SpawnPlan {
 public:
  SpawnPlan();
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan();

  // The child's `target` is what `fd` is here.
  absl::Status Give(int fd, int target);

  // RESOURCE_EXHAUSTED with the system's reason.
  absl::StatusOr<pid_t> Spawn(std::vector<std::string> arguments);

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
  std::vector<UniqueFd> held_;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_SPAWN_PLAN_H_
