// Opening a checkpoint and touching every tensor, beside a checksum over the
// same bytes. Both read each byte once, from files that are in the page cache.
//
//   build/release/bench/checkpoint_bench --gib 1

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "policy/checkpoint.h"
#include "policy/files/safetensors.h"

namespace ponder {
namespace {

// A llama of about so many bytes in bfloat16, whose weights lie in `folder`.
absl::Status WriteModel(const std::string& folder, double gib) {
  constexpr int64_t kHidden = 1024, kFeedForward = 4096, kVocab = 32000;
  const double layer = 4 * kHidden * kHidden + 3 * kHidden * kFeedForward;
  const int64_t layers = std::max<int64_t>(
      1,
      static_cast<int64_t>((gib * (1 << 30) / 2 - kVocab * kHidden) / layer));
  const std::string config = absl::StrCat(
      R"({"model_type": "llama", "hidden_size": )", kHidden,
      R"(, "intermediate_size": )", kFeedForward, R"(, "num_hidden_layers": )",
      layers, R"(, "num_attention_heads": 16, "num_key_value_heads": 16,)",
      R"( "vocab_size": )", kVocab,
      R"(, "tie_word_embeddings": true, "max_position_embeddings": 4096})");
  PONDER_ASSIGN_OR_RETURN(const ModelConfig model,
                          ConfigOfFiles({{"config.json", config}}, "bench"));
  TensorMap weights;
  for (const auto& [name, shape] : TensorShapes(model)) {
    weights[name] = at::randn(shape).to(at::kBFloat16);
  }
  return WriteCheckpoint(folder, {{"config.json", config}}, weights,
                         at::kBFloat16);
}

// The sum of all words of a tensor: touches every byte.
uint64_t Touch(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.flatten();
  const auto* words = static_cast<const uint64_t*>(flat.const_data_ptr());
  const size_t size = flat.nbytes() / sizeof(uint64_t);
  uint64_t sum = 0;
  for (size_t i = 0; i < size; ++i) sum += words[i];
  return sum;
}

int64_t StatusKilobytes(const std::string& field) {
  const auto text = ReadFile("/proc/self/status");
  if (!text.ok()) return 0;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(": \t"), absl::SkipEmpty());
    int64_t value = 0;
    if (words.size() > 1 && words[0] == field &&
        absl::SimpleAtoi(words[1], &value)) {
      return value;
    }
  }
  return 0;
}

absl::Status Run(double gib, int rounds) {
  const std::string folder =
      (std::filesystem::temp_directory_path() /
       absl::StrCat("ponder-checkpoint-bench-", getpid()))
          .string();
  PONDER_RETURN_IF_ERROR(MakeFolders(folder));
  absl::Status status = WriteModel(folder, gib);
  const std::string path = folder + "/model.safetensors";
  double open_seconds = 1e9, checksum_seconds = 1e9;
  int64_t bytes = 0, memory = 0;
  uint64_t sum = 0;
  for (int round = 0; status.ok() && round < rounds; ++round) {
    const int64_t before = StatusKilobytes("VmRSS");
    const absl::Time start = absl::Now();
    absl::StatusOr<Checkpoint> checkpoint =
        LoadCheckpoint(folder, at::kBFloat16);
    if (!checkpoint.ok()) {
      status = checkpoint.status();
      break;
    }
    bytes = 0;
    for (const auto& [name, weight] : checkpoint->weights) {
      sum += Touch(weight);
      bytes += static_cast<int64_t>(weight.nbytes());
    }
    open_seconds =
        std::min(open_seconds, absl::ToDoubleSeconds(absl::Now() - start));
    memory = std::max(memory, StatusKilobytes("VmRSS") - before);
    checkpoint->weights.clear();

    const absl::Time checksum_start = absl::Now();
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const size_t size = std::filesystem::file_size(path);
    void* const map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    sum += ExtendCrc32c(0, map, size);
    munmap(map, size);
    checksum_seconds = std::min(
        checksum_seconds, absl::ToDoubleSeconds(absl::Now() - checksum_start));
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  PONDER_RETURN_IF_ERROR(status);
  std::printf(
      "%.3f GiB of tensors\n"
      "open and touch   %.3f s\n"
      "CRC-32C          %.3f s\n"
      "ratio            %.2f (wanted: at most 1.3)\n"
      "memory           %.3f GiB, %.3f times the tensors (control sum "
      "%016llx)\n",
      static_cast<double>(bytes) / (1 << 30), open_seconds, checksum_seconds,
      open_seconds / checksum_seconds, static_cast<double>(memory) / (1 << 20),
      static_cast<double>(memory) * 1024 / static_cast<double>(bytes),
      static_cast<unsigned long long>(sum));
  return absl::OkStatus();
}

}  // namespace
}  // namespace ponder

int main(int argc, char** argv) {
  CLI::App app{"Opening a checkpoint beside a checksum over its bytes."};
  double gib = 1;
  int rounds = 5;
  app.add_option("--gib", gib, "Size of the checkpoint")->capture_default_str();
  app.add_option("--rounds", rounds, "The fastest counts")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = ponder::Run(gib, rounds);
  if (status.ok()) return 0;
  std::fprintf(stderr, "checkpoint_bench: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
