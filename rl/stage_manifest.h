// What a stage read, made and cost, for those who want to know later where a
// policy comes from.

#ifndef PONDER_RL_STAGE_MANIFEST_H_
#define PONDER_RL_STAGE_MANIFEST_H_

#include <string>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "proto/config.pb.h"
#include "rl/run.h"

namespace ponder {

// manifests/STAGE.json in the run's folder.
std::string StageManifestPath(const Run& run, const Stage& stage);

// Writes StageManifestPath(), atomically
// (docs/formats.md). Files are named with their size and CRC-32C; a checkpoint
// is named with its MANIFEST, which has those of its files. `summary` is the
// stage's entry of summary.json. Call it once the stage's checkpoint is
// written.
absl::Status WriteStageManifest(const Run& run, const Stage& stage,
                                const nlohmann::ordered_json& summary);

}  // namespace ponder

#endif  // PONDER_RL_STAGE_MANIFEST_H_
