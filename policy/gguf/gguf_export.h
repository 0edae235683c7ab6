// A Hugging Face folder as a GGUF file for llama.cpp.

#ifndef PONDER_POLICY_GGUF_GGUF_EXPORT_H_
#define PONDER_POLICY_GGUF_GGUF_EXPORT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder {

struct GgufSummary {
  std::string architecture;  // llama, qwen2, qwen3, qwen3moe, deepseek2.
  int64_t parameters = 0;
  int64_t bytes = 0;  // Of the file.
};

// Reads config.json, the safetensors, tokenizer.json and, where they are,
// tokenizer_config.json and chat_template.jinja of `folder` and writes `path`,
// which is whole or not there.
//
// `type` is f32, f16, bf16, q8_0, q4_0 or q4_k_m. Vectors stay float32. q4_0
// and q4_k_m are llama.cpp's mixtures: Q6_K for the output, and in q4_k_m for
// half of the layers' attn_v and ffn_down; Q4_0 or Q4_K for the rest. Rows that
// are no multiple of a type's block are written as Q8_0 (multiples of 32) or
// F16.
//
// INVALID_ARGUMENT or UNIMPLEMENTED names what the folder has that GGUF or
// llama.cpp cannot hold; ALREADY_EXISTS if `path` is there; CANCELLED once
// `stop` (see GgufWriter::Write()) says so.
absl::StatusOr<GgufSummary> ExportGguf(
    const std::string& folder, absl::string_view type, const std::string& path,
    const std::function<bool()>& stop = nullptr);

}  // namespace ponder

#endif  // PONDER_POLICY_GGUF_GGUF_EXPORT_H_
