// The folder of a run: runs/NAME with its configuration, logs and checkpoints.

#ifndef PONDER_RL_RUN_FOLDER_H_
#define PONDER_RL_RUN_FOLDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "nlohmann/json.hpp"
#include "policy/checkpoint.h"

namespace ponder {

// A complete checkpoint of a run on disk:
//
//   checkpoints/step_N/             config.json, tokenizer.json, ...,
//                                   model.safetensors (float32)
//   checkpoints/step_N/trainer_state/state.json
//   checkpoints/step_N/trainer_state/optimizer.safetensors   (may be absent)
//   checkpoints/step_N/MANIFEST     "crc32c  bytes  path" of every other file
//
// MANIFEST is written last, and the folder gets its name last of all.
struct RunCheckpoint {
  std::string folder;
  int64_t step = 0;
  nlohmann::ordered_json state;
};

class RunFolder {
 public:
  // Makes a new run's folder and locks it. ALREADY_EXISTS if it is there,
  // unless that run ended before it measured or saved anything: it is replaced.
  static absl::StatusOr<RunFolder> Create(const std::string& path);
  // NOT_FOUND if there is no run.
  static absl::StatusOr<RunFolder> Open(const std::string& path);

  // Keeps other processes from running this run for as long as this object or a
  // copy lives. UNAVAILABLE if one does.
  absl::Status Lock();

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

  // Writes checkpoints/step_N, replacing one of an earlier try. `optimizer` may
  // be empty. Returns the folder.
  absl::StatusOr<std::string> SaveCheckpoint(
      int64_t step, const PolicyFiles& files, const TensorMap& weights,
      const TensorMap& optimizer, const nlohmann::ordered_json& state) const;

  // The newest checkpoint whose manifest holds: sizes and checksums. NOT_FOUND
  // if there is none.
  absl::StatusOr<RunCheckpoint> NewestCheckpoint() const;

  // Removes checkpoints but the `keep_last` newest and those of `keep`, and
  // what is left of checkpoints that were never finished.
  absl::Status RemoveOldCheckpoints(int keep_last,
                                    const std::vector<std::string>& keep) const;

 private:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::shared_ptr<FolderLock> lock_;  // Null: not locked.
};

// OK if every file of the folder has the size and checksum that its MANIFEST
// says, weights and trainer state among them; DATA_LOSS names the first that
// has not.
absl::Status CheckManifest(const std::string& folder);

}  // namespace ponder

#endif  // PONDER_RL_RUN_FOLDER_H_
