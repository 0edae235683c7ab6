#include "policy/checkpoint.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/from_blob.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
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

at::Tensor CopyTensor(const TensorInfo& info, at::ScalarType stored) {
  at::Tensor tensor = at::empty(info.shape, stored);
  std::memcpy(tensor.mutable_data_ptr(), info.bytes,
              static_cast<size_t>(info.num_bytes));
  return tensor;
}

// The tensor itself, not a copy, as long as someone holds it; a copy where its
// elements are not aligned.
at::Tensor MappedTensor(const std::shared_ptr<SafetensorsFolder>& folder,
                        const TensorInfo& info, at::ScalarType stored) {
  if (reinterpret_cast<uintptr_t>(info.bytes) % c10::elementSize(stored) != 0) {
    return CopyTensor(info, stored);
  }
  return at::from_blob(
      const_cast<char*>(info.bytes), info.shape,
      [folder](void*) { static_cast<void>(folder); },
      at::TensorOptions().dtype(stored));
}

// Weights in 8 bits with one factor for each block of 128 x 128, as DeepSeek-V3
// and R1 are published: W = fp8 * scale_inv (arXiv:2412.19437, sec. 3.3).
// Blocks at the edges are cut.
constexpr int64_t kFp8Block = 128;
constexpr absl::string_view kScaleSuffix = "_scale_inv";

absl::StatusOr<at::Tensor> Dequantized(const TensorInfo& info,
                                       const TensorInfo* scale) {
  if (scale == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor ", info.name, " has dtype ", info.dtype,
        " and the checkpoint has no ", info.name, kScaleSuffix, " beside it"));
  }
  const auto blocks = [](int64_t n) { return (n + kFp8Block - 1) / kFp8Block; };
  if (info.shape.size() != 2 || scale->dtype != "F32" ||
      scale->shape !=
          std::vector<int64_t>{blocks(info.shape[0]), blocks(info.shape[1])}) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", scale->name, " is ", scale->dtype, " [",
                     absl::StrJoin(scale->shape, ", "),
                     "]; wanted is F32 with one factor "
                     "for each block of 128 x 128 of ",
                     info.name, " [", absl::StrJoin(info.shape, ", "), "]"));
  }
  const at::Tensor factors = CopyTensor(*scale, at::kFloat)
                                 .repeat_interleave(kFp8Block, 1)
                                 .slice(1, 0, info.shape[1]);
  at::Tensor weight = CopyTensor(info, at::kFloat8_e4m3fn).to(at::kFloat);
  for (int64_t row = 0; row < info.shape[0]; row += kFp8Block) {
    weight.slice(0, row, row + kFp8Block).mul_(factors[row / kFp8Block]);
  }
  return weight;
}

// transformers 5 holds experts fused, and some files have them so:
// mlp.experts.gate_up_proj [E, 2 F, D], gates first, and down_proj [E, D, F].
// Adds the tensors of each expert and returns true if this is one.
bool AddFusedExperts(const std::string& name, const at::Tensor& tensor,
                     TensorMap* weights) {
  absl::string_view prefix = name;
  if (tensor.dim() != 3) return false;
  const bool down = absl::ConsumeSuffix(&prefix, "mlp.experts.down_proj");
  if (!down && !absl::ConsumeSuffix(&prefix, "mlp.experts.gate_up_proj")) {
    return false;
  }
  const int64_t half = tensor.size(1) / 2;
  for (int64_t e = 0; e < tensor.size(0); ++e) {
    const std::string expert = absl::StrCat(prefix, "mlp.experts.", e, ".");
    if (down) {
      (*weights)[expert + "down_proj.weight"] = tensor[e].clone();
    } else {
      (*weights)[expert + "gate_proj.weight"] =
          tensor[e].slice(0, 0, half).clone();
      (*weights)[expert + "up_proj.weight"] = tensor[e].slice(0, half).clone();
    }
  }
  return true;
}

// The config.json with `dtype` where it names a type: transformers loads the
// weights as that, so it must be theirs. They are not quantized.
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
  if (json.is_object() && json.erase("quantization_config") > 0) {
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
                                          at::ScalarType dtype,
                                          const WeightChange& change) {
  Checkpoint checkpoint;
  PONDER_ASSIGN_OR_RETURN(checkpoint.files, ReadPolicyFiles(folder));
  PONDER_ASSIGN_OR_RETURN(checkpoint.config,
                          ConfigOfFiles(checkpoint.files, folder));
  PONDER_ASSIGN_OR_RETURN(auto opened, SafetensorsFolder::Open(folder));
  const std::shared_ptr<SafetensorsFolder> file = std::move(opened);
  for (const TensorInfo& info : file->tensors()) {
    if (absl::EndsWith(info.name, "rotary_emb.inv_freq")) continue;
    if (info.name == "lm_head.weight" &&
        checkpoint.config.tie_word_embeddings) {
      continue;
    }
    if (absl::EndsWith(info.name, kScaleSuffix)) continue;  // With its weight.
    at::Tensor tensor;
    if (info.dtype == "F8_E4M3") {
      absl::StatusOr<at::Tensor> weight =
          Dequantized(info, file->Find(absl::StrCat(info.name, kScaleSuffix)));
      if (!weight.ok()) {
        return absl::Status(
            weight.status().code(),
            absl::StrCat(folder, ": ", weight.status().message()));
      }
      tensor = *std::move(weight);
    } else {
      const at::ScalarType stored = ScalarTypeOf(info.dtype);
      if (stored == at::ScalarType::Undefined) {
        return absl::UnimplementedError(absl::StrCat(
            folder, ": tensor ", info.name, " has dtype ", info.dtype,
            "; known are F32, F16, BF16, and F8_E4M3 in blocks"));
      }
      tensor = MappedTensor(file, info, stored);
    }
    tensor = tensor.to(TensorType(info.name, dtype));
    TensorMap weights;
    if (!AddFusedExperts(info.name, tensor, &weights)) {
      weights[info.name] = std::move(tensor);
    }
    for (auto& [name, weight] : weights) {
      checkpoint.weights[name] = change ? change(name, weight) : weight;
    }
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
                             at::ScalarType dtype,
                             const std::function<bool()>& stop) {
  for (const auto& [name, content] : files) {
    PONDER_RETURN_IF_ERROR(WriteFileAtomically(
        absl::StrCat(folder, "/", name),
        name == "config.json" ? WithDtype(content, dtype) : content));
  }
  std::vector<at::Tensor> kept;  // Own the bytes until they are written.
  std::vector<TensorInfo> infos;
  for (const auto& [name, weight] : weights) {
    const at::ScalarType type = TensorType(name, dtype);
    kept.push_back(weight.detach().to(at::kCPU, type).contiguous());
    const at::Tensor& tensor = kept.back();
    TensorInfo info;
    info.name = name;
    info.dtype = SafetensorsDtype(type);
    info.shape = tensor.sizes().vec();
    info.bytes = static_cast<const char*>(tensor.const_data_ptr());
    info.num_bytes = static_cast<int64_t>(tensor.nbytes());
    infos.push_back(std::move(info));
  }
  return WriteSafetensors(absl::StrCat(folder, "/model.safetensors"),
                          std::move(infos), {{"format", "pt"}}, stop);
}

uint32_t WeightsChecksum(const TensorMap& weights) {
  uint32_t crc = 0;
  for (const auto& [name, weight] : weights) {
    const at::Tensor tensor = weight.to(at::kCPU).contiguous();
    crc = ExtendCrc32c(crc, tensor.const_data_ptr(), tensor.nbytes());
  }
  return crc;
}

}  // namespace ponder
