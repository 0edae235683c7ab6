// Writes GGUF files, version 3, for llama.cpp.
//
//   "GGUF", u32 3, u64 tensors, u64 keys
//   each key:     string (u64 length, bytes), u32 type, value
//   each tensor:  string name, u32 dims, u64 dims, innermost first,
//                 u32 ggml type, u64 offset
//   zeros up to a multiple of 32, then the tensors, each padded likewise;
//   offsets count from there

#ifndef PONDER_POLICY_GGUF_GGUF_WRITER_H_
#define PONDER_POLICY_GGUF_GGUF_WRITER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "policy/gguf/ggml_blocks.h"

namespace ponder {

// A tensor to be written.
struct GgufTensor {
  std::string name;
  std::vector<int64_t> shape;  // Outermost first, as in safetensors.
  GgmlType type = GgmlType::kF32;
  // Fills row number `row` (of the product of all dimensions but the last)
  // with the last dimension's numbers.
  std::function<void(int64_t row, absl::Span<float> numbers)> read_row;
};

// Keys and tensors in the order in which they are added. Not thread-safe.
class GgufWriter {
 public:
  void Add(absl::string_view key, uint32_t value);
  void Add(absl::string_view key, float value);
  void Add(absl::string_view key, bool value);
  void Add(absl::string_view key, absl::string_view value);
  void Add(absl::string_view key, const char* value) {
    Add(key, absl::string_view(value));
  }
  void Add(absl::string_view key, const std::vector<std::string>& values);
  void Add(absl::string_view key, const std::vector<int32_t>& values);
  void Add(absl::string_view key, const std::vector<float>& values);
  void AddTensor(GgufTensor tensor) { tensors_.push_back(std::move(tensor)); }

  // Bytes of the whole file.
  int64_t FileBytes() const;

  // Writes a file that is either whole or not there, also where the process is
  // killed and the file system can keep a file without a name. ALREADY_EXISTS
  // if `path` is there; OUT_OF_RANGE names a tensor with a number that isn't
  // finite or, as F16, too large; CANCELLED once `stop`, which may be null and
  // is asked before each tensor, says so.
  absl::Status Write(const std::string& path,
                     const std::function<bool()>& stop = nullptr) const;

 private:
  template <typename T>
  void AddArray(absl::string_view key, uint32_t type,
                const std::vector<T>& values);
  std::string Header() const;

  std::string keys_;  // Encoded.
  uint64_t num_keys_ = 0;
  std::vector<GgufTensor> tensors_;
};

}  // namespace ponder

#endif  // PONDER_POLICY_GGUF_GGUF_WRITER_H_
