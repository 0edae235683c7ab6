// ponder score and ponder tokenize: what a checkpoint makes of given texts or
// ids.

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/tensor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/flag_checks.h"
#include "cli/policy_folder.h"
#include "nlohmann/json.hpp"
#include "policy/checkpoint.h"
#include "policy/device.h"
#include "policy/files/safetensors.h"
#include "policy/ops.h"
#include "policy/text/tokenizer.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

struct ScoreFlags {
  std::string checkpoint;
  std::string in;
  std::string logits;
  std::string dtype = "fp32";
  std::string device = "cpu";
  double temperature = 1;
};

// Calls body(line number, object) for every line of a JSONL file.
template <typename Body>
absl::Status ForLines(const std::string& path, Body body) {
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    if (line.empty()) continue;
    const Json json = Json::parse(line.begin(), line.end(), nullptr, false);
    if (!json.is_object()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", line_number, ": is not a JSON object"));
    }
    PONDER_RETURN_IF_ERROR(body(line_number, json));
  }
  return absl::OkStatus();
}

// The tokenizer of a folder; null where it has none.
absl::StatusOr<std::unique_ptr<Tokenizer>> TokenizerOf(
    const PolicyFiles& files, const std::string& folder) {
  const auto it = files.find("tokenizer.json");
  if (it == files.end()) return nullptr;
  return Tokenizer::FromJson(it->second,
                             absl::StrCat(folder, "/tokenizer.json"));
}

// The ids of a line: "ids", or the tokens of "text".
absl::StatusOr<std::vector<int64_t>> IdsOf(const Json& line,
                                           const Tokenizer* tokenizer,
                                           const std::string& where) {
  std::vector<int64_t> ids;
  if (line.contains("ids") && line["ids"].is_array()) {
    for (const Json& id : line["ids"]) {
      if (!id.is_number_integer()) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": ids holds ", id.dump(), ", not an integer"));
      }
      ids.push_back(id.get<int64_t>());
    }
    return ids;
  }
  if (!line.contains("text") || !line["text"].is_string()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": wants \"ids\" or \"text\""));
  }
  if (tokenizer == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        where,
        ": has a text, and the checkpoint has no tokenizer.json; give "
        "\"ids\""));
  }
  for (const int32_t id : tokenizer->Encode(line["text"].get<std::string>())) {
    ids.push_back(id);
  }
  return ids;
}

absl::Status CheckIds(const std::vector<int64_t>& ids, int64_t vocab_size,
                      const std::string& where) {
  for (const int64_t id : ids) {
    if (id < 0 || id >= vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": id ", id, " is outside the vocabulary of ", vocab_size));
    }
  }
  return absl::OkStatus();
}

absl::Status WriteLogits(const std::string& path, const at::Tensor& ids,
                         const at::Tensor& logits) {
  const auto info = [](const char* name, const char* dtype,
                       const at::Tensor& tensor) {
    TensorInfo result;
    result.name = name;
    result.dtype = dtype;
    result.shape = tensor.sizes().vec();
    result.bytes = static_cast<const char*>(tensor.const_data_ptr());
    result.num_bytes = static_cast<int64_t>(tensor.nbytes());
    return result;
  };
  return WriteSafetensors(
      path, {info("input_ids", "I64", ids), info("logits", "F32", logits)});
}

absl::Status Score(const ScoreFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const std::string folder,
                          FindPolicyFolder(flags.checkpoint));
  PONDER_ASSIGN_OR_RETURN(const at::Device device, OpenDevice(flags.device));
  const at::ScalarType dtype =
      flags.dtype == "fp32" ? at::kFloat : at::kBFloat16;
  PONDER_ASSIGN_OR_RETURN(
      Checkpoint checkpoint,
      LoadCheckpoint(folder, dtype,
                     [&](const std::string&, const at::Tensor& weight) {
                       return weight.to(device);
                     }));
  PONDER_ASSIGN_OR_RETURN(const auto tokenizer,
                          TokenizerOf(checkpoint.files, folder));
  PONDER_ASSIGN_OR_RETURN(
      const auto decoder,
      Decoder::Create(checkpoint.config, std::move(checkpoint.weights), dtype,
                      checkpoint.config.max_position_embeddings));
  const at::NoGradGuard no_grad;
  bool first = true;
  return ForLines(flags.in, [&](int number, const Json& line) -> absl::Status {
    const std::string where = absl::StrCat(flags.in, ":", number);
    PONDER_ASSIGN_OR_RETURN(const std::vector<int64_t> ids,
                            IdsOf(line, tokenizer.get(), where));
    PONDER_RETURN_IF_ERROR(CheckIds(ids, checkpoint.config.vocab_size, where));
    const int64_t n = static_cast<int64_t>(ids.size());
    if (n < 2 || n > decoder->max_tokens()) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": has ", n, " tokens; wanted 2 to ", decoder->max_tokens()));
    }
    const at::Tensor all = at::tensor(ids, at::kLong).to(device);
    const at::Tensor hidden = decoder->PackedHidden(all, {0, n}, false);
    const at::Tensor logprobs =
        ChunkedTokenLogprobs(hidden.slice(0, 0, n - 1),
                             decoder->output_weight(), all.slice(0, 1),
                             flags.temperature, 256, false)
            .logprobs.to(at::kCPU);
    Json out;
    out["ids"] = ids;
    std::vector<float> values(logprobs.const_data_ptr<float>(),
                              logprobs.const_data_ptr<float>() + n - 1);
    out["logprobs"] = values;
    out["sum"] = logprobs.sum().item<double>();
    std::printf("%s\n", out.dump().c_str());
    if (first && !flags.logits.empty()) {
      PONDER_RETURN_IF_ERROR(
          WriteLogits(flags.logits, all.to(at::kCPU),
                      decoder->Logits(hidden).to(at::kCPU, at::kFloat)));
    }
    first = false;
    return absl::OkStatus();
  });
}

absl::Status Tokenize(const ScoreFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const std::string folder,
                          FindPolicyFolder(flags.checkpoint));
  PONDER_ASSIGN_OR_RETURN(const PolicyFiles files, ReadPolicyFiles(folder));
  PONDER_ASSIGN_OR_RETURN(const auto tokenizer, TokenizerOf(files, folder));
  if (tokenizer == nullptr) {
    return absl::NotFoundError(absl::StrCat(folder, ": has no tokenizer.json"));
  }
  PONDER_ASSIGN_OR_RETURN(const ModelConfig config,
                          ConfigOfFiles(files, folder));
  return ForLines(flags.in, [&](int number, const Json& line) -> absl::Status {
    const std::string where = absl::StrCat(flags.in, ":", number);
    PONDER_ASSIGN_OR_RETURN(const std::vector<int64_t> ids,
                            IdsOf(line, tokenizer.get(), where));
    PONDER_RETURN_IF_ERROR(CheckIds(ids, config.vocab_size, where));
    const std::vector<int32_t> narrow(ids.begin(), ids.end());
    Json out;
    out["ids"] = ids;
    out["text"] = tokenizer->Decode(narrow);
    std::printf(
        "%s\n",
        out.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    return absl::OkStatus();
  });
}

}  // namespace

void AddScoreCommand(CLI::App& app, Command* chosen) {
  auto flags = std::make_shared<ScoreFlags>();
  CLI::App* score = app.add_subcommand(
      "score", "Log-probabilities of texts or ids under a checkpoint.");
  score
      ->add_option("checkpoint", flags->checkpoint,
                   "A checkpoint's folder, or a run (finished or running)")
      ->required();
  score->add_option("--in", flags->in, "JSONL; each line has ids or text")
      ->required();
  score
      ->add_option("--temperature", flags->temperature,
                   "Logits are divided by it")
      ->check(PositiveNumber());
  score
      ->add_option("--dtype", flags->dtype,
                   "In which numbers the policy computes: fp32 or bf16")
      ->capture_default_str()
      ->check(CLI::IsMember({"fp32", "bf16"}));
  score->add_option("--device", flags->device, "cpu, or cuda")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "cuda"}));
  score->add_option("--logits", flags->logits,
                    "Also write input_ids and logits of the first line to this "
                    "safetensors file");
  score->callback(
      [flags, chosen] { *chosen = [flags] { return Score(*flags); }; });

  CLI::App* tokenize =
      app.add_subcommand("tokenize", "Token ids of texts, and texts of ids.");
  tokenize
      ->add_option("checkpoint", flags->checkpoint,
                   "A checkpoint's folder, or a run (finished or running)")
      ->required();
  tokenize->add_option("--in", flags->in, "JSONL; each line has ids or text")
      ->required();
  tokenize->callback(
      [flags, chosen] { *chosen = [flags] { return Tokenize(*flags); }; });
}

}  // namespace ponder
