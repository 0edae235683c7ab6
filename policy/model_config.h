// The shape of a decoder, as read from a Hugging Face config.json.

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

// Multi-head latent attention (arXiv:2405.04434, sec. 2.1). Sizes are those of
// a token or of a head of it.
struct MlaConfig {
  int64_t kv_lora_rank = 0;  // Of the latent of keys and values; 0: no MLA.
  int64_t q_lora_rank = 0;   // Of the queries' latent; 0: queries have none.
  int64_t qk_nope_head_dim = 0;
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
};

// Mixture of experts: Qwen3's, and DeepSeekMoE (arXiv:2401.06066) with the
// routing of DeepSeek-V2 (arXiv:2405.04434, sec. 2.2) and DeepSeek-V3
// (arXiv:2412.19437, sec. 2.1.2).
struct MoeConfig {
  int64_t num_experts = 0;  // Routed ones; 0: every layer is dense.
  int64_t num_shared_experts = 0;
  int64_t experts_per_token = 0;
  int64_t intermediate_size = 0;  // Of one expert.
  bool sigmoid = false;           // Scores; otherwise a softmax over all.
  // Experts are chosen by score plus a bias that balances their load, and
  // weighted by the score alone: DeepSeek-V3.
  bool correction_bias = false;
  // Experts come in groups, and only those of a token's best groups are
  // chosen. A group is as good as its best expert, with correction_bias as its
  // best two together.
  int64_t num_groups = 1;
  int64_t groups_per_token = 1;
  bool normalize_weights = false;  // The chosen experts' weights sum to one.
  double scale = 1;                // Factor on the weights.
  std::vector<bool> layers;        // Whether layer i has experts.
};

struct ModelConfig {
  // "llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "deepseek_v2",
  // "deepseek_v3".
  std::string model_type;
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  // Tokens; at most those of a sliding window that is in use.
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;     // On q, k and v: Qwen2; Llama's attention_bias.
  bool output_bias = false;  // On o as well: Llama's attention_bias.
  bool mlp_bias = false;
  bool qk_norm = false;  // RMSNorm of each head's query and key: Qwen3.
  MlaConfig mla;         // With it num_kv_heads and head_dim mean nothing.
  MoeConfig moe;
  // Multi-token-prediction layers that follow the last one (arXiv:2412.19437,
  // sec. 2.2). Ponder keeps their tensors and does not compute with them.
  int64_t num_nextn_predict_layers = 0;
  RopeConfig rope;
  std::vector<int32_t> eos_token_ids;

  bool has_mla() const { return mla.kv_lora_rank > 0; }
  bool has_experts() const { return moe.num_experts > 0; }
  bool IsMoeLayer(int64_t layer) const {
    return has_experts() && moe.layers[layer];
  }

  // Elements of a head's query and key, of which rope_dim() are rotated, and of
  // its value.
  int64_t qk_dim() const {
    return has_mla() ? mla.qk_nope_head_dim + mla.qk_rope_head_dim : head_dim;
  }
  int64_t rope_dim() const {
    return has_mla() ? mla.qk_rope_head_dim : head_dim;
  }
  int64_t v_dim() const { return has_mla() ? mla.v_head_dim : head_dim; }

  // What a cache holds of one token in one layer: cache_heads() keys of
  // cache_key_dim() elements and as many values of cache_value_dim(). With MLA
  // that is one key, the latent followed by the rotated key that all heads
  // share; the value is its latent, so none is kept beside it.
  int64_t cache_heads() const { return has_mla() ? 1 : num_kv_heads; }
  int64_t cache_key_dim() const {
    return has_mla() ? mla.kv_lora_rank + mla.qk_rope_head_dim : head_dim;
  }
  int64_t cache_value_dim() const { return has_mla() ? 0 : head_dim; }

  // Parameters, tied ones once, without multi-token prediction's.
  int64_t NumParameters() const;
  // The same without the routed experts that a token does not pass.
  int64_t NumActiveParameters() const;
  // Bytes that a cache takes for one token in all layers.
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
// `config` is dense, of a type that Architecture of proto/config.proto names,
// with the default rope.
std::string ModelConfigToJson(const ModelConfig& config,
                              absl::string_view torch_dtype);

}  // namespace ponder

#endif  // PONDER_POLICY_MODEL_CONFIG_H_
