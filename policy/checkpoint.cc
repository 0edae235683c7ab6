#include "policy/checkpoint.h"

#include <cstring>
#include <utility>
#include <vector>

#include "ATen/ops/empty.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "policy/files/safetensors.h"

namespace ponder {
namespace {

// What belongs to a policy beside its weights.
constexpr const char* kSmallFiles[] = {
    "config.json",           "generation_config.json",  "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"};

at::Tensor CopyTensor(const TensorInfo& info, at::ScalarType stored,
                      at::ScalarType wanted) {
  at::Tensor tensor = at::empty(info.shape, stored);
  std::memcpy(tensor.mutable_data_ptr(), info.bytes,
              static_cast<size_t>(info.num_bytes));
  return tensor.to(wanted);
}

// The config.json with `dtype` where it names a type: transformers loads the
// weights as that, so it must be theirs.
std::string WithDtype(const std::string& config_json, at::ScalarType dtype) {
  const std::string wanted = dtype == at::kFloat      ? "float32"
                             : dtype == at::kBFloat16 ? "bfloat16"
                                                      : "float16";
  auto json = nlohmann::ordered_json::parse(config_json, nullptr, false);
  bool changed = false;
  for (const char* key : {"torch_dtype", "dtype"}) {
    if (!json.is_object() || !json.contains(key) || json[key] == wanted) {
      continue;
    }
    json[key] = wanted;
    changed = true;
  }
  return changed ? json.dump(2) + "\n" : config_json;
}

}  // namespace

at::ScalarType ScalarTypeOf(absl::string_view dtype) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "BF16") return at::kBFloat16;
  if (dtype == "F16") return at::kHalf;
  return at::ScalarType::Undefined;
}

std::string SafetensorsDtype(at::ScalarType type) {
  if (type == at::kFloat) return "F32";
  if (type == at::kBFloat16) return "BF16";
  if (type == at::kHalf) return "F16";
  return "";
}

absl::StatusOr<ModelConfig> ConfigOfFiles(const PolicyFiles& files,
                                          absl::string_view where) {
  const auto it = files.find("config.json");
  if (it == files.end()) {
    return absl::NotFoundError(
        absl::StrCat(where,
                     ": has no config.json; a policy is a Hugging Face "
                     "folder with config.json, tokenizer.json and "
                     "*.safetensors"));
  }
  PONDER_ASSIGN_OR_RETURN(
      ModelConfig config,
      ParseModelConfig(it->second, absl::StrCat(where, "/config.json")));
  const auto generation = files.find("generation_config.json");
  if (generation != files.end()) {
    PONDER_ASSIGN_OR_RETURN(
        std::vector<int32_t> ids,
        ParseEosTokenIds(generation->second,
                         absl::StrCat(where, "/generation_config.json")));
    if (!ids.empty()) config.eos_token_ids = std::move(ids);
  }
  return config;
}

absl::StatusOr<PolicyFiles> ReadPolicyFiles(const std::string& folder) {
  PolicyFiles files;
  for (const char* name : kSmallFiles) {
    absl::StatusOr<std::string> content =
        ReadFile(absl::StrCat(folder, "/", name));
    if (content.ok()) {
      files[name] = *std::move(content);
    } else if (!absl::IsNotFound(content.status())) {
      return content.status();
    }
  }
  if (!files.contains("config.json")) {
    return absl::NotFoundError(absl::StrCat(
        folder,
        ": is no policy, it has no config.json; give a Hugging Face "
        "folder with config.json, tokenizer.json and *.safetensors"));
  }
  return files;
}

absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& folder,
                                          at::ScalarType dtype) {
  Checkpoint checkpoint;
  PONDER_ASSIGN_OR_RETURN(checkpoint.files, ReadPolicyFiles(folder));
  PONDER_ASSIGN_OR_RETURN(checkpoint.config,
                          ConfigOfFiles(checkpoint.files, folder));
  PONDER_ASSIGN_OR_RETURN(const auto file, SafetensorsFolder::Open(folder));
  const auto shapes = TensorShapes(checkpoint.config);
  for (const TensorInfo& info : file->tensors()) {
    if (absl::EndsWith(info.name, "rotary_emb.inv_freq")) continue;
    if (info.name == "lm_head.weight" &&
        checkpoint.config.tie_word_embeddings) {
      continue;
    }
    const at::ScalarType stored = ScalarTypeOf(info.dtype);
    if (stored == at::ScalarType::Undefined) {
      return absl::UnimplementedError(
          absl::StrCat(folder, ": tensor ", info.name, " has dtype ",
                       info.dtype, "; known are F32, BF16 and F16"));
    }
    checkpoint.weights[info.name] = CopyTensor(info, stored, dtype);
  }
  const absl::Status status =
      CheckTensors(checkpoint.config, checkpoint.weights);
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat(folder, ": ", status.message()));
  }
  return checkpoint;
}

absl::Status WriteCheckpoint(const std::string& folder,
                             const PolicyFiles& files, const TensorMap& weights,
                             at::ScalarType dtype) {
  for (const auto& [name, content] : files) {
    PONDER_RETURN_IF_ERROR(WriteFileAtomically(
        absl::StrCat(folder, "/", name),
        name == "config.json" ? WithDtype(content, dtype) : content));
  }
  std::vector<at::Tensor> kept;  // Own the bytes until they are written.
  std::vector<TensorInfo> infos;
  for (const auto& [name, weight] : weights) {
    kept.push_back(weight.detach().to(dtype).contiguous());
    const at::Tensor& tensor = kept.back();
    TensorInfo info;
    info.name = name;
    info.dtype = SafetensorsDtype(dtype);
    info.shape = tensor.sizes().vec();
    info.bytes = static_cast<const char*>(tensor.const_data_ptr());
    info.num_bytes = static_cast<int64_t>(tensor.nbytes());
    infos.push_back(std::move(info));
  }
  return WriteSafetensors(absl::StrCat(folder, "/model.safetensors"),
                          std::move(infos));
}

uint32_t WeightsChecksum(const TensorMap& weights) {
  uint32_t crc = 0;
  for (const auto& [name, weight] : weights) {
    const at::Tensor tensor = weight.contiguous();
    crc = ExtendCrc32c(crc, tensor.const_data_ptr(), tensor.nbytes());
  }
  return crc;
}

}  // namespace ponder
