// Safetensors files: tensors by name, read through a memory map and written
// atomically. Free of LibTorch.
//
// Layout of a file:
//
//   u64, little endian   N, the length of the header
//   N bytes              JSON: {"name": {"dtype": "F32", "shape": [2, 3],
//                        "data_offsets": [begin, end]}, ...}, padded with
//                        spaces; "__metadata__" may hold strings
//   the rest             the tensors, row by row, without holes; offsets count
//                        from here

#ifndef PONDER_POLICY_FILES_SAFETENSORS_H_
#define PONDER_POLICY_FILES_SAFETENSORS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder {

// One tensor of a file, or one to be written.
struct TensorInfo {
  std::string name;
  std::string dtype;           // As safetensors spells it: F32 BF16 F16 I64 ...
  std::vector<int64_t> shape;  // Empty for a scalar.
  const char* bytes = nullptr;  // Row-major. Not owned; maybe unaligned.
  int64_t num_bytes = 0;
};

// Bytes of one element of a dtype in safetensors' spelling; 0 if unknown.
int64_t SafetensorsDtypeSize(absl::string_view dtype);

// The tensors of a whole file that lies in memory, sorted by name; their bytes
// point into `file`. INVALID_ARGUMENT says what is wrong with it, with `where`
// (the file's name) in front: every tensor that is returned lies inside `file`,
// is as long as its shape says, and overlaps no other.
absl::StatusOr<std::vector<TensorInfo>> ParseSafetensors(
    absl::string_view file, absl::string_view where);

// A file mapped into memory. The tensors' bytes live as long as this object;
// writing to them changes memory, not the file. Thread-safe. Shortening the
// file while it is open ends the process (SIGBUS); Ponder replaces files by
// renaming, which is safe.
class SafetensorsFile {
 public:
  // NOT_FOUND, PERMISSION_DENIED, or INVALID_ARGUMENT as ParseSafetensors.
  static absl::StatusOr<std::unique_ptr<SafetensorsFile>> Open(
      const std::string& path);

  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
  ~SafetensorsFile();

  // Null if there is none. Lives as long as this object.
  const TensorInfo* Find(absl::string_view name) const;

  // Sorted by name.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }

 private:
  SafetensorsFile(void* map, size_t size) : map_(map), size_(size) {}

  void* const map_;  // Owned; `size_` bytes.
  const size_t size_;
  std::vector<TensorInfo> tensors_;
};

// The weights of a Hugging Face folder: model.safetensors, or the shards that
// model.safetensors.index.json names. Thread-safe.
class SafetensorsFolder {
 public:
  // NOT_FOUND if the folder holds neither file or lacks a shard;
  // INVALID_ARGUMENT if the index or a shard is wrong, or a shard lacks a
  // tensor that the index promises.
  static absl::StatusOr<std::unique_ptr<SafetensorsFolder>> Open(
      const std::string& folder);

  // Null if there is none. Lives as long as this object.
  const TensorInfo* Find(absl::string_view name) const;

  // Sorted by name. Of shards, only what the index names.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }

 private:
  SafetensorsFolder() = default;

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::vector<TensorInfo> tensors_;  // Bytes point into `files_`.
};

// Writes a file that is either whole or not there: to a temporary name beside
// it, synced, then renamed. The tensors' bytes are written from where they lie.
// In the file each tensor is aligned to its element size. INVALID_ARGUMENT if a
// tensor's bytes don't fit its dtype and shape or a name is there twice;
// CANCELLED once `stop`, which may be null and is asked before each tensor,
// says so.
absl::Status WriteSafetensors(
    const std::string& path, std::vector<TensorInfo> tensors,
    const std::map<std::string, std::string>& metadata = {{"format", "pt"}},
    const std::function<bool()>& stop = nullptr);

}  // namespace ponder

#endif  // PONDER_POLICY_FILES_SAFETENSORS_H_
