#include "policy/config_keys.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

using Json = nlohmann::json;

// Those of the families' own files and of transformers 4 and 5.
constexpr absl::string_view kKeys[] = {
    // What is computed; model_config.cc reads them.
    "attention_bias", "decoder_sparse_step", "eos_token_id",
    "first_k_dense_replace", "head_dim", "hidden_act", "hidden_size",
    "intermediate_size", "kv_lora_rank", "max_position_embeddings", "mlp_bias",
    "mlp_only_layers", "model_type", "moe_intermediate_size", "moe_layer_freq",
    "n_group", "n_routed_experts", "n_shared_experts", "norm_topk_prob",
    "num_attention_heads", "num_experts", "num_experts_per_tok",
    "num_hidden_layers", "num_key_value_heads", "num_local_experts",
    "num_nextn_predict_layers", "q_lora_rank", "qk_nope_head_dim",
    "qk_rope_head_dim", "rms_norm_eps", "rope_parameters", "rope_scaling",
    "rope_theta", "routed_scaling_factor", "scoring_func", "sliding_window",
    "tie_word_embeddings", "topk_group", "topk_method", "use_sliding_window",
    "v_head_dim", "vocab_size",
    // What is said twice, or by the weights.
    "architectures", "dtype", "layer_types", "max_window_layers", "qk_head_dim",
    "quantization_config", "torch_dtype",
    // Variants that only one value of is computed; see below.
    "rope_interleave", "rope_interleaved", "use_mrope",
    // Training elsewhere.
    "attention_dropout", "aux_loss_alpha", "ep_size", "initializer_range",
    "output_router_logits", "pretraining_tp", "router_aux_loss_coef", "seq_aux",
    // Ids that the tokenizer's files have, and defaults of generation.
    "bad_words_ids", "begin_suppress_tokens", "bos_token_id",
    "decoder_start_token_id", "diversity_penalty", "do_sample",
    "early_stopping", "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty", "forced_bos_token_id",
    "forced_eos_token_id", "length_penalty", "max_length", "min_length",
    "no_repeat_ngram_size", "num_beam_groups", "num_beams",
    "num_return_sequences", "pad_token_id", "prefix", "remove_invalid_values",
    "repetition_penalty", "sep_token_id", "suppress_tokens", "temperature",
    "tokenizer_class", "top_k", "top_p", "typical_p",
    // How a library handles the file.
    "add_cross_attention", "attn_implementation", "auto_map",
    "chunk_size_feed_forward", "cross_attention_hidden_size", "finetuning_task",
    "id2label", "is_decoder", "is_encoder_decoder", "is_llama_config",
    "label2id", "max_sequence_length", "model_max_length", "output_attentions",
    "output_hidden_states", "output_scores", "problem_type", "pruned_heads",
    "return_dict", "return_dict_in_generate", "task_specific_params",
    "tf_legacy_loss", "tie_encoder_decoder", "torchscript",
    "transformers.js_config", "transformers_version", "use_bfloat16",
    "use_cache"};

constexpr absl::string_view kRopeKeys[] = {"attention_factor",
                                           "beta_fast",
                                           "beta_slow",
                                           "factor",
                                           "high_freq_factor",
                                           "low_freq_factor",
                                           "mscale",
                                           "mscale_all_dim",
                                           "original_max_position_embeddings",
                                           "rope_theta",
                                           "rope_type",
                                           "truncate",
                                           "type"};

// "_name_or_path" and the like are a library's own; unsloth marks its copies.
bool IsPrivate(absl::string_view key) {
  return absl::StartsWith(key, "_") || absl::StartsWith(key, "unsloth_");
}

absl::Status CheckKnown(const Json& object,
                        std::span<const absl::string_view> known,
                        absl::string_view where) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || IsPrivate(key) ||
        std::ranges::find(known, absl::string_view(key)) != known.end()) {
      continue;
    }
    return absl::UnimplementedError(
        absl::StrCat(where, ": the key \"", key,
                     "\" is not known, so what it asks for would be missing; "
                     "take it out if it changes nothing"));
  }
  return absl::OkStatus();
}

absl::Status CheckFlag(const Json& config, const char* key, bool computed,
                       absl::string_view where) {
  if (!config.contains(key) || config[key].is_null()) return absl::OkStatus();
  if (config[key] == computed) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat(where, ": ", key, " must be ", computed ? "true" : "false"));
}

// What is not quantized has no such key, or null.
absl::Status CheckQuantization(const Json& config, absl::string_view where) {
  const auto found = config.find("quantization_config");
  if (found == config.end() || found->is_null()) return absl::OkStatus();
  std::string method;
  if (found->is_object() && found->contains("quant_method") &&
      (*found)["quant_method"].is_string()) {
    method = (*found)["quant_method"].get<std::string>();
  }
  if (method == "fp8") return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat(where, ": quantization_config: quant_method \"", method,
                   "\" is not known; known is fp8, in blocks of 128 x 128"));
}

}  // namespace

absl::Status CheckConfigKeys(const Json& config, absl::string_view where) {
  PONDER_RETURN_IF_ERROR(CheckKnown(config, kKeys, where));
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    if (!config.contains(name) || !config[name].is_object()) continue;
    PONDER_RETURN_IF_ERROR(
        CheckKnown(config[name], kRopeKeys, absl::StrCat(where, ": ", name)));
  }
  PONDER_RETURN_IF_ERROR(CheckFlag(config, "rope_interleave", true, where));
  PONDER_RETURN_IF_ERROR(CheckFlag(config, "rope_interleaved", false, where));
  PONDER_RETURN_IF_ERROR(CheckFlag(config, "use_mrope", false, where));
  return CheckQuantization(config, where);
}

}  // namespace ponder
