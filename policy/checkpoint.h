// Checkpoints as Hugging Face folders: config.json, tokenizer.json and the like
// as they are, weights as safetensors.

#ifndef PONDER_POLICY_CHECKPOINT_H_
#define PONDER_POLICY_CHECKPOINT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "policy/decoder.h"
#include "policy/model_config.h"

namespace ponder {

// The small files of a folder by name: config.json, tokenizer.json, ...
using PolicyFiles = std::map<std::string, std::string>;

struct Checkpoint {
  ModelConfig config;
  PolicyFiles files;
  TensorMap weights;
};

// The model's shape from config.json of `files`, with the end-of-text ids of
// generation_config.json where that has some. `where` names the folder.
absl::StatusOr<ModelConfig> ConfigOfFiles(const PolicyFiles& files,
                                          absl::string_view where);

// Reads the small files of a folder. NOT_FOUND with what to do if there is no
// config.json.
absl::StatusOr<PolicyFiles> ReadPolicyFiles(const std::string& folder);

// What becomes of a weight of this name while a checkpoint is loaded.
using WeightChange = std::function<at::Tensor(const std::string& name,
                                              const at::Tensor& weight)>;

// Reads a whole folder; weights become `dtype` (but see TensorType()). Those
// that are stored so are views of the mapped files: they take no memory of
// their own, are read when they are touched, and what is written to them stays
// in memory (a file that is shortened while it is mapped ends the process, so
// what lives long is copied). F32, F16 and BF16 tensors are read, and F8_E4M3
// with factors of blocks; rotary tables of old checkpoints and an lm_head that
// is tied are left out. `change`, if given, is applied to each weight as it is
// read. What CheckTensors() finds is an error too.
absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& folder,
                                          at::ScalarType dtype,
                                          const WeightChange& change = nullptr);

// Writes files and model.safetensors (as `dtype`, one of float32, bfloat16 and
// float16, which config.json then names) into a folder that exists.
// For a folder that must be whole or absent see base/file.h, FolderWriter.
// CANCELLED once `stop` (see WriteSafetensors()) says so.
absl::Status WriteCheckpoint(const std::string& folder,
                             const PolicyFiles& files, const TensorMap& weights,
                             at::ScalarType dtype,
                             const std::function<bool()>& stop = nullptr);

// CRC-32C over the bytes of all tensors in ascending order of names.
uint32_t WeightsChecksum(const TensorMap& weights);

// "F32" <-> at::kFloat and so on; at::ScalarType::Undefined, "" if unknown.
at::ScalarType ScalarTypeOf(absl::string_view safetensors_dtype);
std::string SafetensorsDtype(at::ScalarType type);

}  // namespace ponder

#endif  // PONDER_POLICY_CHECKPOINT_H_
