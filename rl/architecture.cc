#include "rl/architecture.h"

namespace ponder {

ModelConfig ModelConfigOf(const Architecture& a) {
  ModelConfig c;
  c.model_type = a.model_type();
  c.vocab_size = a.vocab_size();
  c.hidden_size = a.hidden_size();
  c.intermediate_size = a.intermediate_size();
  c.num_layers = a.num_hidden_layers();
  c.num_heads = a.num_attention_heads();
  c.num_kv_heads = a.num_key_value_heads();
  c.head_dim = a.has_head_dim() ? a.head_dim() : c.hidden_size / c.num_heads;
  c.max_position_embeddings = a.max_position_embeddings();
  c.rms_norm_eps = a.rms_norm_eps();
  c.tie_word_embeddings = a.tie_word_embeddings();
  c.qkv_bias = c.model_type == "qwen2";
  c.qk_norm = c.model_type == "qwen3";
  c.rope.theta = a.rope_theta();
  return c;
}

}  // namespace ponder
