// ponder export: a policy as a folder of its own, for other programs.

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/program_name.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/policy_folder.h"
#include "policy/checkpoint.h"
#include "policy/gguf/gguf_export.h"

namespace ponder {
namespace {

struct ExportFlags {
  std::string from;
  std::string format = "hf";
  std::string type = "f32";
  std::string out;
};

// Free space beyond the weights: configuration and tokenizer.
constexpr int64_t kSmallFilesBytes = 64 << 20;

absl::StatusOr<at::ScalarType> TypeOf(const ExportFlags& flags) {
  const at::ScalarType type = ScalarTypeOf(absl::AsciiStrToUpper(flags.type));
  if (type == at::ScalarType::Undefined) {
    return absl::InvalidArgumentError(
        absl::StrCat("--type ", flags.type,
                     ": a Hugging Face folder holds f32, f16 or bf16"));
  }
  return type;
}

// What `read` makes of the folder that `path` means. A running run may remove a
// checkpoint while it is read; the next newest is taken then.
template <typename Read>
auto ReadPolicy(const std::string& path, std::string* folder, const Read& read)
    -> decltype(read(path)) {
  constexpr int kTries = 3;
  for (int i = 1;; ++i) {
    PONDER_ASSIGN_OR_RETURN(*folder, FindPolicyFolder(path));
    auto result = read(*folder);
    if (result.ok() || !absl::IsNotFound(result.status()) || *folder == path ||
        i == kTries) {
      return result;
    }
  }
}

// For llama.cpp, from the folder's files as they are.
absl::Status RunExportGguf(const ExportFlags& flags) {
  const std::string type = absl::AsciiStrToLower(flags.type);
  std::string folder;
  PONDER_ASSIGN_OR_RETURN(
      const GgufSummary summary,
      ReadPolicy(flags.from, &folder, [&](const std::string& from) {
        return ExportGguf(from, type, flags.out, StopRequested);
      }));
  std::printf(
      "wrote %s: %s with %s parameters as %s, %.1f MiB, from %s\n"
      "talk to it with\n"
      "  llama-cli -m %s\n",
      flags.out.c_str(), summary.architecture.c_str(),
      absl::StrCat(summary.parameters).c_str(), type.c_str(),
      static_cast<double>(summary.bytes) / (1 << 20), folder.c_str(),
      flags.out.c_str());
  return absl::OkStatus();
}

absl::Status RunExport(const ExportFlags& flags) {
  CatchStopSignals();
  if (flags.format == "gguf") return RunExportGguf(flags);
  PONDER_ASSIGN_OR_RETURN(const at::ScalarType type, TypeOf(flags));
  // Made first: an existing place is refused before anything is read.
  PONDER_ASSIGN_OR_RETURN(FolderWriter writer, FolderWriter::Create(flags.out));
  std::string folder;
  PONDER_ASSIGN_OR_RETURN(
      const Checkpoint policy,
      ReadPolicy(flags.from, &folder, [&](const std::string& from) {
        return LoadCheckpoint(from, type);
      }));
  int64_t bytes = 0;
  for (const auto& [name, weight] : policy.weights) {
    bytes += static_cast<int64_t>(weight.nbytes());
    if (type == at::kHalf && !weight.isfinite().all().item<bool>()) {
      return absl::OutOfRangeError(absl::StrCat(
          folder, ": tensor ", name,
          " holds numbers that f16 cannot; take --type bf16 or f32"));
    }
  }
  PONDER_ASSIGN_OR_RETURN(const int64_t free, FreeDiskBytes(flags.out));
  if (bytes + kSmallFilesBytes > free) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s: the weights take %d MiB and the disk has %d MiB free; free some "
        "or give another place",
        flags.out, bytes >> 20, free >> 20));
  }
  PONDER_RETURN_IF_ERROR(WriteCheckpoint(writer.folder(), policy.files,
                                         policy.weights, type, StopRequested));
  if (StopRequested()) {
    return absl::CancelledError("stopped; nothing was written");
  }
  PONDER_RETURN_IF_ERROR(writer.Commit());

  std::printf(
      "wrote %s: %s with %s parameters as %s, %.1f MiB, from %s\n"
      "load it with\n"
      "  python3 -c \"from transformers import AutoModelForCausalLM as M, "
      "AutoTokenizer as T; m, t = M.from_pretrained('%s'), "
      "T.from_pretrained('%s')\"\n"
      "talk to it with\n"
      "  %s chat %s\n",
      flags.out.c_str(), policy.config.model_type.c_str(),
      absl::StrCat(policy.config.NumParameters()).c_str(),
      absl::AsciiStrToLower(SafetensorsDtype(type)).c_str(),
      static_cast<double>(bytes) / (1 << 20), folder.c_str(), flags.out.c_str(),
      flags.out.c_str(), ProgramName().c_str(), flags.out.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddExportCommand(CLI::App& app, Command* chosen) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* command = app.add_subcommand(
      "export", "Write a run's policy or a checkpoint for other programs.");
  command
      ->add_option("FROM", flags->from,
                   "A run (finished or running), or a checkpoint's folder")
      ->required();
  command
      ->add_option("--format", flags->format,
                   "hf: a Hugging Face folder; gguf: a file for llama.cpp")
      ->check(CLI::IsMember({"hf", "gguf"}))
      ->capture_default_str();
  command
      ->add_option("--type", flags->type,
                   "Of the weights: f32, f16, bf16; gguf also q8_0, q4_0, "
                   "q4_k_m")
      ->capture_default_str();
  command->add_option("--out", flags->out, "The new folder or file")
      ->required();
  command->callback(
      [flags, chosen] { *chosen = [flags] { return RunExport(*flags); }; });
}

}  // namespace ponder
