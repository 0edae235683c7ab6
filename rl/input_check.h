// What may be wrong with a run's inputs, found before it trains.

#ifndef PONDER_RL_INPUT_CHECK_H_
#define PONDER_RL_INPUT_CHECK_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/model_config.h"
#include "proto/config.pb.h"
#include "rl/run.h"

namespace ponder {

// What can be seen before anything is written: the policies' and teachers'
// shapes, data sets that exist already, held-out problems that nobody makes.
// Returns the shapes, the run's policy first.
absl::StatusOr<std::vector<ModelConfig>> CheckInputs(const RunConfig& config);

// Refuses to start what cannot be saved: RESOURCE_EXHAUSTED.
absl::Status CheckDisk(const Run& run);

// Prompts that would be refused after the first stage are refused before it.
absl::Status CheckEvalPrompts(Run& run);

}  // namespace ponder

#endif  // PONDER_RL_INPUT_CHECK_H_
