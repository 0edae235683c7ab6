// The kinds of stages. Each goes on from run.state and leaves the policy that
// it made in run.weights; CANCELLED after a stop was requested, with a
// checkpoint written.

#ifndef PONDER_RL_STAGES_H_
#define PONDER_RL_STAGES_H_

#include <string>

#include "absl/status/status.h"
#include "rl/evaluation.h"
#include "rl/run.h"

namespace ponder {

// What is said before the checkpoint of a stopped stage is written.
inline constexpr char kSaving[] =
    "stopping: a checkpoint is being saved; a second Ctrl-C gives it up";

absl::Status RunDataStage(Run& run, const DataStage& stage);

// `name` is the stage's name.
absl::Status RunPretrainStage(Run& run, const SupervisedStage& stage,
                              const std::string& name);

absl::Status RunSftStage(Run& run, const SupervisedStage& stage,
                         const std::string& name);

absl::Status RunGrpoStage(Run& run, const GrpoStage& stage,
                          const std::string& name);

// Where a sample stage keeps the groups that came back, until the stage and its
// checkpoint are done.
std::string GroupLogPath(const Run& run, const std::string& name);

absl::Status RunSampleStage(Run& run, const SampleStage& stage,
                            const std::string& name);

}  // namespace ponder

#endif  // PONDER_RL_STAGES_H_
