// A run: the stages of a configuration, in their order.

#ifndef PONDER_RL_TRAINER_H_
#define PONDER_RL_TRAINER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace ponder {

struct TrainOptions {
  // Go on with the run in this folder instead of starting a new one.
  std::string resume;
};

// Runs what is left of the configuration's stages, and leaves summary.json and
// an exported policy in the run's folder. Everything that a run needs on this
// machine is started and ended with it. CANCELLED after a stop signal, with a
// checkpoint to go on from. Call on the main thread.
absl::Status Train(const RunConfig& config, const TrainOptions& options);

// What Train() would do, without doing it: the resolved configuration, the plan
// of memory and the expected time of a step, as text. The error that Train()
// would begin with, if any.
absl::StatusOr<std::string> DryRun(const RunConfig& config);

// The configuration that an existing run was started with.
absl::StatusOr<RunConfig> ConfigOfRun(const std::string& run_folder);

}  // namespace ponder

#endif  // PONDER_RL_TRAINER_H_
