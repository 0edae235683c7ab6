// ponder doctor: what this machine has, what a run would use, what is missing
// and how to get it.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ATen/Parallel.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/policy_folder.h"
#include "policy/checkpoint.h"
#include "policy/device.h"
#include "policy/files/safetensors.h"
#include "policy/text/tokenizer.h"
#include "sandbox/sandbox_pool.h"
#include "torch/headeronly/version.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;

// What is missing, with how to get it, one sentence each.
using Missing = std::vector<std::string>;

void Line(const char* name, const std::string& text) {
  std::printf("%-13s %s\n", name, text.c_str());
}

std::string Gib(double bytes) {
  return absl::StrFormat("%.1f GiB", bytes / (1 << 30));
}

std::string Size(int64_t bytes) {
  const double b = static_cast<double>(bytes);
  if (b >= 1e9) return absl::StrFormat("%.2f GiB", b / (1 << 30));
  if (b >= 1e6) return absl::StrFormat("%.1f MiB", b / (1 << 20));
  return absl::StrFormat("%.1f KiB", b / (1 << 10));
}

// The rest of the first line of a file in /proc that begins with `name`.
std::string ProcField(const char* path, absl::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    absl::string_view rest = line;
    if (!absl::ConsumePrefix(&rest, name)) continue;
    rest = absl::StripLeadingAsciiWhitespace(rest);
    if (!absl::ConsumePrefix(&rest, ":")) continue;
    return std::string(absl::StripAsciiWhitespace(rest));
  }
  return "";
}

// Bytes of "123 kB"; -1 if it is not that.
int64_t KilobytesOf(absl::string_view text) {
  int64_t kilobytes = 0;
  absl::ConsumeSuffix(&text, " kB");
  return absl::SimpleAtoi(text, &kilobytes) ? kilobytes * 1024 : -1;
}

// A number in a file of the control group; -1 if there is no limit.
int64_t CgroupLimit(const char* path) {
  int64_t value = -1;
  const std::string text = ReadFile(path).value_or("");
  return absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &value) ? value
                                                                    : -1;
}

bool HasFastBfloat16(const std::set<std::string>& flags) {
  return flags.contains("avx512_bf16") || flags.contains("amx_bf16") ||
         flags.contains("bf16");
}

void ReportProcessor(std::set<std::string>* flags) {
  std::string words = ProcField("/proc/cpuinfo", "flags");
  if (words.empty()) words = ProcField("/proc/cpuinfo", "Features");  // Arm.
  for (const absl::string_view word :
       absl::StrSplit(words, ' ', absl::SkipEmpty())) {
    flags->insert(std::string(word));
  }
  std::vector<std::string> has, lacks;
  for (const char* flag : {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}) {
    (flags->contains(flag) ? has : lacks).push_back(flag);
  }
  std::string text =
      absl::StrCat(std::thread::hardware_concurrency(), " cores");
  const std::string model = ProcField("/proc/cpuinfo", "model name");
  if (!model.empty()) absl::StrAppend(&text, ", ", model);
  Line("processor", text);
  Line("", absl::StrCat("has ", has.empty() ? "none" : absl::StrJoin(has, ", "),
                        lacks.empty() ? "" : "; lacks ",
                        absl::StrJoin(lacks, ", ")));
  const std::vector<std::string> quota =
      absl::StrSplit(ReadFile("/sys/fs/cgroup/cpu.max").value_or(""), ' ');
  double used = 0, period = 0;
  if (quota.size() == 2 && absl::SimpleAtod(quota[0], &used) &&
      absl::SimpleAtod(quota[1], &period) && period > 0) {
    Line("", absl::StrFormat("limited to %.1f cores by its container",
                             used / period));
  }
}

void ReportMemory() {
  const int64_t total = KilobytesOf(ProcField("/proc/meminfo", "MemTotal"));
  const int64_t available =
      KilobytesOf(ProcField("/proc/meminfo", "MemAvailable"));
  std::string text =
      absl::StrCat(Gib(static_cast<double>(total)), ", ",
                   Gib(static_cast<double>(available)), " available");
  const int64_t limit = CgroupLimit("/sys/fs/cgroup/memory.max");
  if (limit > 0 && limit < total) {
    absl::StrAppend(&text, ", limited to ", Gib(static_cast<double>(limit)),
                    " by its container");
  }
  Line("memory", text);
}

void ReportDisk() {
  const absl::StatusOr<int64_t> free = FreeDiskBytes(".");
  Line("disk", free.ok() ? absl::StrCat(Gib(static_cast<double>(*free)),
                                        " free here, where runs/ goes")
                         : std::string(free.status().message()));
}

void ReportGpu() {
  const absl::StatusOr<at::Device> device = OpenDevice("cuda");
  Line("GPU", device.ok()
                  ? absl::StrCat(DescribeCudaDevice(), "; device: cuda uses it")
                  : std::string(device.status().message()));
}

void ReportPython(Missing* missing) {
  // The interpreter of the sandbox, whatever stands first in PATH.
  const char* path = "/usr/bin/python3";
  std::error_code error;
  if (!fs::exists(path, error)) {
    Line("Python", "missing");
    missing->push_back(
        "/usr/bin/python3 runs the programs of code problems: apt-get install "
        "python3");
    return;
  }
  const fs::path real = fs::canonical(path, error);
  Line("Python", absl::StrCat(path, error ? "" : " -> ",
                              error ? "" : real.filename().string(),
                              ", for programs in the sandbox"));
}

void ReportSandbox(Missing* missing) {
  const SandboxReport report = SandboxDoctor();
  const char* name = "sandbox";
  for (const std::string& line : report.lines) {
    Line(name, line);
    name = "";
  }
  if (!report.available) {
    missing->push_back(
        "without a sandbox problems with code cannot be scored; problems of "
        "maths can. Run as root, or allow user namespaces, or install a "
        "bubblewrap that may make them (apt-get install bubblewrap)");
  }
}

absl::Status ReportMachine() {
  std::printf("Ponder " PONDER_VERSION "\n\nThis machine\n");
  Missing missing;
  std::set<std::string> flags;
  ReportProcessor(&flags);
  ReportMemory();
  ReportDisk();
  Line("LibTorch",
       absl::StrCat(TORCH_VERSION, ", ", at::get_num_threads(), " threads"));
  ReportGpu();
  ReportPython(&missing);
  ReportSandbox(&missing);

  const unsigned cores = std::thread::hardware_concurrency();
  std::printf("\nA run here would use\n");
  Line("learner", absl::StrCat(at::get_num_threads(),
                               " threads (--set learner.threads=N)"));
  Line("worker", absl::StrCat("1 process with ", cores,
                              " threads (--set rollout.workers=N, "
                              "rollout.threads_per_worker=N)"));
  Line("sandbox", absl::StrCat(cores,
                               " programs at a time (--set "
                               "reward.sandbox_slots=N)"));
  Line("numbers",
       HasFastBfloat16(flags)
           ? "float32, or bfloat16 (--set policy.dtype=bfloat16): half the "
             "memory, and this processor multiplies it fast"
           : "float32; bfloat16 (--set policy.dtype=bfloat16) halves the "
             "memory, but this processor has no fast products of it");

  std::printf("\nMissing\n");
  if (missing.empty()) {
    std::printf("nothing\n");
    return absl::OkStatus();
  }
  for (const std::string& sentence : missing) {
    std::printf("%s\n", sentence.c_str());
  }
  return absl::FailedPreconditionError(
      "this machine lacks something that runs may need, see above");
}

void ReportWeights(const std::string& folder, const ModelConfig& model,
                   Missing* missing) {
  const auto weights = SafetensorsFolder::Open(folder);
  if (!weights.ok()) {
    Line("weights", std::string(weights.status().message()));
    missing->push_back(
        "without weights only the shape can be used: --set policy.init=random");
    return;
  }
  int64_t bytes = 0;
  std::set<std::string> types;
  for (const TensorInfo& info : (*weights)->tensors()) {
    bytes += info.num_bytes;
    types.insert(info.dtype);
  }
  Line("weights",
       absl::StrCat(Size(bytes), " on disk as ", absl::StrJoin(types, ", ")));
  for (const auto& [name, shape] : TensorShapes(model)) {
    const TensorInfo* info = (*weights)->Find(name);
    if (info != nullptr && info->shape == shape) continue;
    missing->push_back(absl::StrCat(
        folder, ": tensor ", name,
        info == nullptr ? " is missing" : " has another shape than config.json",
        "; the download may be incomplete"));
    return;
  }
}

void ReportTokenizer(const std::string& folder, const PolicyFiles& files,
                     Missing* missing) {
  const auto it = files.find("tokenizer.json");
  if (it == files.end()) {
    Line("tokenizer", "none");
    missing->push_back(
        absl::StrCat(folder, ": tokenizer.json is missing; prompts need it"));
    return;
  }
  const auto tokenizer =
      Tokenizer::FromJson(it->second, absl::StrCat(folder, "/tokenizer.json"));
  if (!tokenizer.ok()) {
    Line("tokenizer", "not known to Ponder");
    missing->push_back(std::string(tokenizer.status().message()));
    return;
  }
  Line("tokenizer", absl::StrCat((*tokenizer)->num_ids(), " ids"));
}

// Bytes of the cache against those that keys and values of all heads, or of
// groups of them, would take.
std::string CacheText(const ModelConfig& m) {
  constexpr int64_t kBytes = 2;
  constexpr int64_t kUsualKeyHeads = 8;
  const int64_t bytes = m.KvBytesPerToken(kBytes);
  // A key without its rotated part, which latent attention adds, and a value.
  const int64_t key = m.has_mla() ? m.mla.qk_nope_head_dim : m.head_dim;
  const int64_t head = m.num_layers * (key + m.v_dim()) * kBytes;
  const auto share = [&](int64_t key_heads) {
    return absl::StrFormat("%.2f %% of the %d of ",
                           100.0 * static_cast<double>(bytes) /
                               static_cast<double>(key_heads * head),
                           key_heads * head);
  };
  std::string text =
      absl::StrCat(bytes, " bytes a token as bfloat16: ", share(m.num_heads),
                   "plain multi-head attention");
  if (m.has_mla()) {
    absl::StrAppend(&text, ", ", share(kUsualKeyHeads),
                    "grouped-query attention with ", kUsualKeyHeads,
                    " key heads");
  } else if (m.num_kv_heads < m.num_heads) {
    absl::StrAppend(&text, ", by grouped-query attention with ", m.num_kv_heads,
                    " key heads");
  }
  return text;
}

absl::Status ReportModel(const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const std::string folder, FindPolicyFolder(path));
  PONDER_ASSIGN_OR_RETURN(const PolicyFiles files, ReadPolicyFiles(folder));
  PONDER_ASSIGN_OR_RETURN(const ModelConfig m, ConfigOfFiles(files, folder));
  Missing missing;
  std::printf("%s\n", folder.c_str());
  Line("architecture",
       absl::StrFormat("%s, %d layers of %d, feed-forward %d, vocabulary %d%s",
                       m.model_type, m.num_layers, m.hidden_size,
                       m.intermediate_size, m.vocab_size,
                       m.tie_word_embeddings ? ", tied embeddings" : ""));
  const std::string reach = absl::StrFormat(
      "rope %s, up to %d tokens", m.rope.type, m.max_position_embeddings);
  if (m.has_mla()) {
    Line("attention",
         absl::StrFormat(
             "multi-head latent: %d heads, latent of %d, rotated key of %d; %s",
             m.num_heads, m.mla.kv_lora_rank, m.mla.qk_rope_head_dim, reach));
  } else {
    Line("attention",
         absl::StrFormat("%d heads of %d, %d of them with keys and values; %s",
                         m.num_heads, m.head_dim, m.num_kv_heads, reach));
  }
  if (m.has_experts()) {
    Line("experts",
         absl::StrFormat("%d of %d, %d for a token, and %d for all, in %d of "
                         "%d layers",
                         m.moe.num_experts, m.moe.intermediate_size,
                         m.moe.experts_per_token, m.moe.num_shared_experts,
                         std::ranges::count(m.moe.layers, true), m.num_layers));
  }
  const int64_t n = m.NumParameters();
  Line("parameters", m.has_experts()
                         ? absl::StrCat(n, ", of which ",
                                        m.NumActiveParameters(), " for a token")
                         : absl::StrCat(n));
  ReportWeights(folder, m, &missing);
  ReportTokenizer(folder, files, &missing);
  if (m.eos_token_ids.empty()) {
    missing.push_back(absl::StrCat(
        folder, ": config.json names no eos_token_id; no response would end"));
  }
  Line("training", absl::StrCat(Size(16 * n),
                                " for weights, gradients and Adam's two "
                                "moments in float32, beside activations; "
                                "`ponder train --dry-run` plans a run"));
  Line("sampling", absl::StrCat(Size(4 * n), " for the weights as float32, ",
                                Size(2 * n), " as bfloat16"));
  Line("KV cache", CacheText(m));
  if (missing.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrJoin(missing, "\n"));
}

}  // namespace

void AddDoctorCommand(CLI::App& app, Command* chosen) {
  auto model = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "doctor", "What this machine has, what a run would use, what is missing");
  command->add_option("--model", *model,
                      "Look at this checkpoint (or a run's) instead");
  command->callback([model, chosen] {
    *chosen = [model] {
      return model->empty() ? ReportMachine() : ReportModel(*model);
    };
  });
}

}  // namespace ponder
