#include "policy/model_config.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "policy/files/json.h"

namespace ponder {
namespace {

using Json = nlohmann::json;

// Far above any model; with these no count of parameters or bytes overflows.
constexpr int64_t kMaxVocabulary = int64_t{1} << 28;
constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr int64_t kMaxHeads = int64_t{1} << 12;  // And elements of a head.
constexpr int64_t kMaxLayers = int64_t{1} << 13;
constexpr int64_t kMaxPositions = int64_t{1} << 32;
// Far below any; with these every frequency of a rope is a number.
constexpr double kMinTheta = 2;
constexpr double kMinRotations = 1e-3;

// Reads typed fields of one JSON object and remembers the first that is wrong.
class Fields {
 public:
  Fields(const Json& object, std::string where)
      : object_(object), where_(std::move(where)) {}

  bool Has(const char* name) const {
    return object_.contains(name) && !object_[name].is_null();
  }

  void Read(const char* name, double* value) {
    if (!Has(name)) return;
    if (!object_[name].is_number()) return Fail(name, "a number");
    *value = object_[name].get<double>();
  }

  void Read(const char* name, int64_t* value) {
    if (!Has(name)) return;
    const Json& number = object_[name];
    if (!number.is_number_integer() ||
        (number.is_number_unsigned() &&
         number.get<uint64_t>() > uint64_t{INT64_MAX})) {
      return Fail(name, "an integer");
    }
    *value = number.get<int64_t>();
  }

  void Read(const char* name, bool* value) {
    if (!Has(name)) return;
    if (!object_[name].is_boolean()) return Fail(name, "true or false");
    *value = object_[name].get<bool>();
  }

  void Read(const char* name, std::string* value) {
    if (!Has(name)) return;
    if (!object_[name].is_string()) return Fail(name, "a string");
    *value = object_[name].get<std::string>();
  }

  // `*value` is what is meant if there is none; 0 if there must be one.
  void ReadSize(const char* name, int64_t limit, int64_t* value) {
    Read(name, value);
    if (status_.ok() && (*value <= 0 || *value > limit)) {
      Fail(name, absl::StrCat("an integer from 1 to ", limit));
    }
  }

  void ReadAtLeast(const char* name, double bound, double* value) {
    if (!Has(name)) return;
    Read(name, value);
    if (status_.ok() && *value < bound) {
      Fail(name, absl::StrCat("a number from ", bound, " on"));
    }
  }

  absl::Status status() const { return status_; }

 private:
  void Fail(const char* name, absl::string_view wanted) {
    if (!status_.ok()) return;
    std::string found = "nothing";
    if (object_.contains(name)) {
      constexpr size_t kMaxShown = 60;
      found = object_[name].dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true);
      if (found.size() > kMaxShown) found = found.substr(0, kMaxShown) + "...";
    }
    status_ = absl::InvalidArgumentError(
        absl::StrCat(where_, ": ", name, " must be ", wanted, ", got ", found));
  }

  const Json& object_;
  const std::string where_;
  absl::Status status_;
};

absl::Status ReadRope(const Json& config, const std::string& where,
                      RopeConfig* rope) {
  Fields top(config, where);
  top.ReadAtLeast("rope_theta", kMinTheta, &rope->theta);
  PONDER_RETURN_IF_ERROR(top.status());
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    if (!top.Has(name)) continue;
    if (!config[name].is_object()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": ", name, " must be an object"));
    }
    Fields fields(config[name], absl::StrCat(where, ": ", name));
    fields.Read("type", &rope->type);
    fields.Read("rope_type", &rope->type);
    fields.ReadAtLeast("rope_theta", kMinTheta, &rope->theta);
    fields.ReadAtLeast("factor", 1, &rope->factor);
    fields.ReadAtLeast("original_max_position_embeddings", 1,
                       &rope->original_max_position_embeddings);
    fields.ReadAtLeast("low_freq_factor", 0, &rope->low_freq_factor);
    fields.Read("high_freq_factor", &rope->high_freq_factor);
    fields.Read("beta_fast", &rope->beta_fast);
    fields.ReadAtLeast("beta_slow", kMinRotations, &rope->beta_slow);
    fields.Read("attention_factor", &rope->attention_factor);
    fields.Read("mscale", &rope->mscale);
    fields.Read("mscale_all_dim", &rope->mscale_all_dim);
    fields.Read("truncate", &rope->truncate);
    PONDER_RETURN_IF_ERROR(fields.status());
  }
  if (rope->low_freq_factor >= rope->high_freq_factor ||
      rope->beta_slow > rope->beta_fast) {
    return absl::InvalidArgumentError(absl::StrCat(
        where,
        ": low_freq_factor must be below high_freq_factor, and "
        "beta_slow at most beta_fast, in the scaling of the rope"));
  }
  for (const char* known : {"default", "linear", "dynamic", "llama3", "yarn"}) {
    if (rope->type == known) return absl::OkStatus();
  }
  return absl::UnimplementedError(absl::StrCat(
      where, ": rope type \"", rope->type,
      "\" is not known; known are default, linear, dynamic, llama3, yarn"));
}

// One id or a list of them; none where there is no such key.
absl::StatusOr<std::vector<int32_t>> EosTokenIds(const Json& object,
                                                 absl::string_view where) {
  const auto found = object.find("eos_token_id");
  if (found == object.end() || found->is_null()) return std::vector<int32_t>();
  const Json list = found->is_array() ? *found : Json::array({*found});
  std::vector<int32_t> ids;
  for (const Json& id : list) {
    if (!id.is_number_unsigned() ||
        id.get<uint64_t>() >= uint64_t{kMaxVocabulary}) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": eos_token_id must be a token id or a list of them"));
    }
    ids.push_back(static_cast<int32_t>(id.get<uint64_t>()));
  }
  return ids;
}

absl::Status CheckShape(const ModelConfig& c, absl::string_view where) {
  if (c.num_heads % c.num_kv_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": num_attention_heads (", c.num_heads,
        ") must be a multiple of num_key_value_heads (", c.num_kv_heads, ")"));
  }
  if (c.head_dim % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": head_dim must be even, got ", c.head_dim));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t ModelConfig::NumParameters() const {
  const int64_t q = num_heads * head_dim;
  const int64_t kv = num_kv_heads * head_dim;
  int64_t layer = hidden_size * (q + 2 * kv) + q * hidden_size +
                  3 * hidden_size * intermediate_size + 2 * hidden_size;
  if (qkv_bias) layer += q + 2 * kv;
  if (output_bias) layer += hidden_size;
  if (mlp_bias) layer += 2 * intermediate_size + hidden_size;
  if (qk_norm) layer += 2 * head_dim;
  const int64_t embeddings =
      vocab_size * hidden_size * (tie_word_embeddings ? 1 : 2);
  return num_layers * layer + embeddings + hidden_size;
}

int64_t ModelConfig::KvBytesPerToken(int64_t bytes_per_element) const {
  return num_layers * 2 * num_kv_heads * head_dim * bytes_per_element;
}

absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view config_json,
                                             absl::string_view where_view) {
  const std::string where(where_view);
  PONDER_ASSIGN_OR_RETURN(const Json json,
                          ParseCheckpointJson(config_json, where));
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": is not a JSON object"));
  }
  ModelConfig c;
  Fields fields(json, where);
  fields.Read("model_type", &c.model_type);
  if (c.model_type != "llama" && c.model_type != "qwen2" &&
      c.model_type != "qwen3") {
    return absl::UnimplementedError(
        absl::StrCat(where, ": model_type \"", c.model_type,
                     "\" is not known; known are llama, qwen2, qwen3"));
  }
  fields.ReadSize("vocab_size", kMaxVocabulary, &c.vocab_size);
  fields.ReadSize("hidden_size", kMaxWidth, &c.hidden_size);
  fields.ReadSize("intermediate_size", kMaxWidth, &c.intermediate_size);
  fields.ReadSize("num_hidden_layers", kMaxLayers, &c.num_layers);
  fields.ReadSize("num_attention_heads", kMaxHeads, &c.num_heads);
  PONDER_RETURN_IF_ERROR(fields.status());
  c.num_kv_heads = c.num_heads;
  fields.ReadSize("num_key_value_heads", kMaxHeads, &c.num_kv_heads);
  c.head_dim = c.hidden_size / c.num_heads;
  fields.ReadSize("head_dim", kMaxHeads, &c.head_dim);
  c.max_position_embeddings = 2048;
  fields.ReadSize("max_position_embeddings", kMaxPositions,
                  &c.max_position_embeddings);
  fields.Read("rms_norm_eps", &c.rms_norm_eps);
  fields.Read("tie_word_embeddings", &c.tie_word_embeddings);
  bool attention_bias = false;
  fields.Read("attention_bias", &attention_bias);
  fields.Read("mlp_bias", &c.mlp_bias);
  bool use_sliding_window = false;
  fields.Read("use_sliding_window", &use_sliding_window);
  std::string activation = "silu";
  fields.Read("hidden_act", &activation);
  PONDER_RETURN_IF_ERROR(fields.status());

  if (activation != "silu") {
    return absl::UnimplementedError(
        absl::StrCat(where, ": hidden_act \"", activation,
                     "\" is not known; known is silu"));
  }
  if (use_sliding_window) {
    return absl::UnimplementedError(absl::StrCat(
        where,
        ": use_sliding_window true is not supported; set it to false "
        "if the context stays below sliding_window"));
  }
  if (c.model_type == "qwen2") {
    c.qkv_bias = true;
    c.mlp_bias = false;
  } else {
    c.qkv_bias = attention_bias;
    c.output_bias = attention_bias;
  }
  c.qk_norm = c.model_type == "qwen3";
  PONDER_RETURN_IF_ERROR(CheckShape(c, where));
  PONDER_RETURN_IF_ERROR(ReadRope(json, where, &c.rope));
  if (c.rope.original_max_position_embeddings == 0) {
    c.rope.original_max_position_embeddings =
        static_cast<double>(c.max_position_embeddings);
  }

  PONDER_ASSIGN_OR_RETURN(c.eos_token_ids, EosTokenIds(json, where));
  return c;
}

absl::StatusOr<std::vector<int32_t>> ParseEosTokenIds(
    absl::string_view config_json, absl::string_view where) {
  PONDER_ASSIGN_OR_RETURN(const Json json,
                          ParseCheckpointJson(config_json, where));
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": is not a JSON object"));
  }
  return EosTokenIds(json, where);
}

std::string ModelConfigToJson(const ModelConfig& c,
                              absl::string_view torch_dtype) {
  nlohmann::ordered_json json;
  const std::string family = c.model_type == "llama"   ? "Llama"
                             : c.model_type == "qwen3" ? "Qwen3"
                                                       : "Qwen2";
  json["architectures"] = {absl::StrCat(family, "ForCausalLM")};
  json["model_type"] = c.model_type;
  json["vocab_size"] = c.vocab_size;
  json["hidden_size"] = c.hidden_size;
  json["intermediate_size"] = c.intermediate_size;
  json["num_hidden_layers"] = c.num_layers;
  json["num_attention_heads"] = c.num_heads;
  json["num_key_value_heads"] = c.num_kv_heads;
  json["head_dim"] = c.head_dim;
  json["max_position_embeddings"] = c.max_position_embeddings;
  json["rms_norm_eps"] = c.rms_norm_eps;
  json["rope_theta"] = c.rope.theta;
  json["tie_word_embeddings"] = c.tie_word_embeddings;
  json["hidden_act"] = "silu";
  json["attention_dropout"] = 0.0;
  if (c.model_type != "qwen2") json["attention_bias"] = c.qkv_bias;
  json["use_cache"] = true;
  if (!c.eos_token_ids.empty()) {
    json["bos_token_id"] = c.eos_token_ids[0];
    json["eos_token_id"] = c.eos_token_ids[0];
  }
  json["torch_dtype"] = std::string(torch_dtype);
  return json.dump(2) + "\n";
}

}  // namespace ponder
