// The shape of a dense decoder, as read from a Hugging Face config.json.

#ifndef PONDER_POLICY_MODEL_CONFIG_H_
#define PONDER_POLICY_MODEL_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder {

// Rotary position embedding (arXiv:2104.09864) and the scalings of the field.
struct RopeConfig {
  std::string type = "default";  // default, linear, dynamic, llama3, yarn.
  double theta = 10000;
  double factor = 1;
  // Context before scaling, in tokens. llama3, yarn and dynamic.
  double original_max_position_embeddings = 0;
  // llama3.
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  // yarn (arXiv:2309.00071).
  double beta_fast = 32;
  double beta_slow = 1;
  double attention_factor = 0;  // 0: derived from `factor` and mscale.
  double mscale = 0;
  double mscale_all_dim = 0;
  bool truncate = true;
};

struct ModelConfig {
  std::string model_type;  // "llama", "qwen2", "qwen3".
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t max_position_embeddings = 0;  // Tokens.
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;     // On q, k and v: Qwen2; Llama's attention_bias.
  bool output_bias = false;  // On o as well: Llama's attention_bias.
  bool mlp_bias = false;
  bool qk_norm = false;  // RMSNorm of each head's query and key: Qwen3.
  RopeConfig rope;
  std::vector<int32_t> eos_token_ids;

  // Parameters, tied ones once.
  int64_t NumParameters() const;
  // Bytes that keys and values of one token take in all layers.
  int64_t KvBytesPerToken(int64_t bytes_per_element) const;
};

// Reads a config.json, in the spellings of transformers 4 and 5. UNIMPLEMENTED
// with its name for an architecture or rope type that Ponder lacks;
// INVALID_ARGUMENT for a shape that cannot be: no count of parameters or bytes
// of what is returned overflows. `where` names the file.
absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view config_json,
                                             absl::string_view where);

// The eos_token_id of a config.json or generation_config.json, one or several;
// none where the file has none. INVALID_ARGUMENT for anything but token ids.
absl::StatusOr<std::vector<int32_t>> ParseEosTokenIds(
    absl::string_view config_json, absl::string_view where);

// The config.json of a model with random weights, as transformers reads it.
// `config` has one of the three model types and the default rope.
std::string ModelConfigToJson(const ModelConfig& config,
                              absl::string_view torch_dtype);

}  // namespace ponder

#endif  // PONDER_POLICY_MODEL_CONFIG_H_
