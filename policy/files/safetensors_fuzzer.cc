// libFuzzer target of safetensors files: raw bytes, and edited headers over
// data of any length. What is accepted must lie within the file.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "nlohmann/json.hpp"
#include "policy/files/mutated_json.h"
#include "policy/files/safetensors.h"

namespace {

std::string FileOf(absl::string_view header, size_t data_bytes) {
  std::string file;
  for (size_t i = 0; i < 8; ++i) {
    file.push_back(static_cast<char>((header.size() >> (8 * i)) & 0xff));
  }
  return absl::StrCat(file, header, std::string(data_bytes, '\x3f'));
}

const nlohmann::json& Header() {
  static const auto& header = *new nlohmann::json(nlohmann::json::parse(R"({
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
    "c": {"dtype": "F8_E4M3", "shape": [0, 5], "data_offsets": [32, 32]},
    "d": {"dtype": "I64", "shape": [], "data_offsets": [32, 40]}})"));
  return header;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const bool raw = data[0] % 4 == 0;
  const std::string file =
      raw ? std::string(reinterpret_cast<const char*>(data) + 1, size - 1)
          : FileOf(ponder::MutatedJson(
                       Header(), absl::MakeConstSpan(data, size).subspan(2))
                       .dump(),
                   data[1] % 64);
  const auto tensors = ponder::ParseSafetensors(file, "fuzz");
  if (!tensors.ok()) return 0;
  const char* const end = file.data() + file.size();
  for (const ponder::TensorInfo& tensor : *tensors) {
    int64_t bytes = ponder::SafetensorsDtypeSize(tensor.dtype);
    for (const int64_t n : tensor.shape) bytes *= n;
    if (bytes != tensor.num_bytes || tensor.bytes < file.data() ||
        tensor.num_bytes > end - tensor.bytes) {
      std::abort();
    }
  }
  return 0;
}
