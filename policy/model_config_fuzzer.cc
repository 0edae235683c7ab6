// libFuzzer target of config.json: raw text, and edits of the three families'
// files. What is accepted has sizes and frequencies that can be worked with.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>

#include "absl/types/span.h"
#include "nlohmann/json.hpp"
#include "policy/files/mutated_json.h"
#include "policy/model_config.h"
#include "policy/rope.h"

namespace {

constexpr const char* kConfigs[] = {
    R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "vocab_size": 320, "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 128, "attention_bias": false,
        "mlp_bias": true, "hidden_act": "silu", "tie_word_embeddings": false,
        "rope_theta": 500000.0, "eos_token_id": [1, 2],
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
          "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}})",
    R"({"model_type": "qwen2", "vocab_size": 320, "hidden_size": 64,
        "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 1,
        "max_position_embeddings": 128, "use_sliding_window": false,
        "sliding_window": null, "hidden_act": "silu", "rms_norm_eps": 1e-6,
        "tie_word_embeddings": true, "eos_token_id": 5,
        "rope_scaling": {"type": "yarn", "factor": 4.0, "beta_fast": 32,
          "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 0.5,
          "attention_factor": 1.0, "truncate": true,
          "original_max_position_embeddings": 32}})",
    R"({"model_type": "qwen3", "vocab_size": 320, "hidden_size": 64,
        "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 32,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-6,
        "tie_word_embeddings": true, "eos_token_id": null,
        "rope_parameters": {"rope_type": "linear", "factor": 2.0,
          "rope_theta": 1000000.0}})"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t kind = data[0] % (std::size(kConfigs) + 1);
  const std::string text =
      kind == std::size(kConfigs)
          ? std::string(reinterpret_cast<const char*>(data) + 1, size - 1)
          : ponder::MutatedJson(nlohmann::json::parse(kConfigs[kind]),
                                absl::MakeConstSpan(data, size).subspan(1))
                .dump();
  (void)ponder::ParseEosTokenIds(text, "fuzz");
  const auto config = ponder::ParseModelConfig(text, "fuzz");
  if (!config.ok()) return 0;
  if (config->NumParameters() <= 0 || config->KvBytesPerToken(4) <= 0) {
    std::abort();
  }
  for (const float f :
       ponder::RopeFrequencies(config->rope, config->head_dim)) {
    if (std::isnan(f)) std::abort();
  }
  return 0;
}
