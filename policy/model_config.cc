#include "policy/model_config.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "policy/config_keys.h"
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
constexpr int64_t kMaxExperts = int64_t{1} << 14;
constexpr double kMaxParameters = 1e15;
// Far below any; with these every frequency of a rope is a number.
constexpr double kMinTheta = 2;
constexpr double kMinRotations = 1e-3;

constexpr const char* kModelTypes[] = {"llama",      "mistral",   "qwen2",
                                       "qwen3",      "qwen3_moe", "deepseek_v2",
                                       "deepseek_v3"};

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

  // `*value` stays where there is none.
  void ReadSizeOrNone(const char* name, int64_t limit, int64_t* value) {
    if (!Has(name)) return;
    Read(name, value);
    if (status_.ok() && (*value < 0 || *value > limit)) {
      Fail(name, absl::StrCat("an integer from 0 to ", limit));
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
  bool has_factor = false;
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
    has_factor = has_factor || fields.Has("factor");
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
    if (rope->type != known) continue;
    if (has_factor || rope->type == "default") return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": the rope of type \"", rope->type, "\" has no factor"));
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

void ReadMla(Fields& fields, MlaConfig* mla) {
  fields.ReadSize("kv_lora_rank", kMaxWidth, &mla->kv_lora_rank);
  fields.ReadSizeOrNone("q_lora_rank", kMaxWidth, &mla->q_lora_rank);
  fields.ReadSize("qk_nope_head_dim", kMaxHeads, &mla->qk_nope_head_dim);
  fields.ReadSize("qk_rope_head_dim", kMaxHeads, &mla->qk_rope_head_dim);
  fields.ReadSize("v_head_dim", kMaxHeads, &mla->v_head_dim);
}

// What both families say in the same words.
absl::Status ReadExperts(Fields& fields, MoeConfig* moe) {
  fields.ReadSize("num_experts_per_tok", kMaxExperts, &moe->experts_per_token);
  fields.ReadSize("moe_intermediate_size", kMaxWidth, &moe->intermediate_size);
  fields.Read("norm_topk_prob", &moe->normalize_weights);
  return fields.status();
}

// num_experts was num_experts or n_routed_experts in the file.
absl::Status CheckExperts(const ModelConfig& c, absl::string_view where) {
  const MoeConfig& moe = c.moe;
  const int64_t group = moe.num_experts / std::max<int64_t>(1, moe.num_groups);
  if (moe.num_groups < 1 || moe.num_experts % moe.num_groups != 0 ||
      moe.groups_per_token < 1 || moe.groups_per_token > moe.num_groups) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": ", moe.num_experts, " experts in n_group ", moe.num_groups,
        " groups, of which topk_group ", moe.groups_per_token,
        " are chosen: the groups must divide the experts, and at most all "
        "groups be chosen"));
  }
  if (moe.experts_per_token > moe.groups_per_token * group ||
      (moe.correction_bias && moe.num_groups > 1 && group < 2)) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": num_experts_per_tok is ", moe.experts_per_token,
                     ", and there are ", moe.groups_per_token, " groups of ",
                     group, " experts to choose from"));
  }
  // As a number that can't overflow.
  const double experts =
      static_cast<double>(c.num_layers) *
      static_cast<double>(moe.num_experts + moe.num_shared_experts) * 3 *
      static_cast<double>(c.hidden_size) *
      static_cast<double>(moe.intermediate_size);
  if (experts > kMaxParameters) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": the experts would have ", experts,
                     " parameters, more than any model"));
  }
  return absl::OkStatus();
}

absl::Status ReadQwenMoe(const Json& json, const std::string& where,
                         ModelConfig* c) {
  Fields fields(json, where);
  MoeConfig& moe = c->moe;
  // transformers 5 writes num_local_experts.
  fields.ReadSize(
      fields.Has("num_experts") ? "num_experts" : "num_local_experts",
      kMaxExperts, &moe.num_experts);
  PONDER_RETURN_IF_ERROR(ReadExperts(fields, &moe));
  int64_t step = 1;
  fields.ReadSize("decoder_sparse_step", kMaxLayers, &step);
  PONDER_RETURN_IF_ERROR(fields.status());
  for (int64_t i = 0; i < c->num_layers; ++i) {
    moe.layers.push_back((i + 1) % step == 0);
  }
  if (fields.Has("mlp_only_layers")) {
    const Json& list = json["mlp_only_layers"];
    for (const Json& layer : list.is_array() ? list : Json::array({list})) {
      if (!layer.is_number_unsigned()) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": mlp_only_layers must be a list of layers"));
      }
      const uint64_t i = layer.get<uint64_t>();
      if (i < moe.layers.size()) moe.layers[i] = false;
    }
  }
  return CheckExperts(*c, where);
}

absl::Status ReadDeepSeekMoe(const Json& json, const std::string& where,
                             ModelConfig* c) {
  Fields fields(json, where);
  MoeConfig& moe = c->moe;
  if (!fields.Has("n_routed_experts")) return absl::OkStatus();
  const bool v3 = c->model_type == "deepseek_v3";
  // A file of transformers 5 names neither for V3.
  std::string scoring = v3 ? "sigmoid" : "softmax";
  std::string method = v3 ? "noaux_tc" : "greedy";
  const std::string wanted_scoring = scoring;
  fields.Read("scoring_func", &scoring);
  fields.Read("topk_method", &method);
  fields.ReadSize("n_routed_experts", kMaxExperts, &moe.num_experts);
  PONDER_RETURN_IF_ERROR(ReadExperts(fields, &moe));
  fields.ReadSizeOrNone("n_shared_experts", kMaxExperts,
                        &moe.num_shared_experts);
  fields.Read("routed_scaling_factor", &moe.scale);
  int64_t first_dense = 0, frequency = 1;
  fields.Read("first_k_dense_replace", &first_dense);
  fields.Read("moe_layer_freq", &frequency);
  fields.ReadSizeOrNone("num_nextn_predict_layers", kMaxLayers,
                        &c->num_nextn_predict_layers);
  if (method != "greedy") {
    fields.ReadSize("n_group", kMaxExperts, &moe.num_groups);
    fields.ReadSize("topk_group", kMaxExperts, &moe.groups_per_token);
  }
  PONDER_RETURN_IF_ERROR(fields.status());
  if (scoring != wanted_scoring ||
      (v3 ? method != "noaux_tc"
          : method != "greedy" && method != "group_limited_greedy")) {
    return absl::UnimplementedError(
        absl::StrCat(where, ": experts chosen by scoring_func \"", scoring,
                     "\" and topk_method \"", method, "\" are not known for ",
                     c->model_type, "; known are ",
                     v3 ? "sigmoid with noaux_tc"
                        : "softmax with greedy or group_limited_greedy"));
  }
  if (frequency != 1) {
    return absl::UnimplementedError(
        absl::StrCat(where, ": moe_layer_freq must be 1, got ", frequency));
  }
  if (!v3 && moe.normalize_weights) {
    return absl::UnimplementedError(absl::StrCat(
        where,
        ": norm_topk_prob true is not supported for deepseek_v2: its own code "
        "and that of transformers mean different things by it"));
  }
  moe.sigmoid = v3;
  moe.correction_bias = v3;
  for (int64_t i = 0; i < c->num_layers; ++i) {
    moe.layers.push_back(i >= first_dense);
  }
  return CheckExperts(*c, where);
}

int64_t AttentionParameters(const ModelConfig& c) {
  const int64_t d = c.hidden_size;
  if (c.has_mla()) {
    const MlaConfig& m = c.mla;
    const int64_t q = c.num_heads * c.qk_dim();
    const int64_t queries =
        m.q_lora_rank == 0
            ? d * q
            : d * m.q_lora_rank + m.q_lora_rank + m.q_lora_rank * q;
    int64_t n =
        queries + d * (m.kv_lora_rank + m.qk_rope_head_dim) + m.kv_lora_rank +
        m.kv_lora_rank * c.num_heads * (m.qk_nope_head_dim + m.v_head_dim) +
        c.num_heads * m.v_head_dim * d;
    if (c.qkv_bias) {
      n += m.q_lora_rank + m.kv_lora_rank + m.qk_rope_head_dim + d;
    }
    return n;
  }
  const int64_t q = c.num_heads * c.head_dim;
  const int64_t kv = c.num_kv_heads * c.head_dim;
  int64_t n = d * (q + 2 * kv) + q * d;
  if (c.qkv_bias) n += q + 2 * kv;
  if (c.output_bias) n += d;
  if (c.qk_norm) n += 2 * c.head_dim;
  return n;
}

// `experts` routed ones are counted in each layer that has some.
int64_t FeedForwardParameters(const ModelConfig& c, int64_t layer,
                              int64_t experts) {
  const int64_t d = c.hidden_size;
  if (c.IsMoeLayer(layer)) {
    return d * c.moe.num_experts +
           (c.moe.correction_bias ? c.moe.num_experts : 0) +
           3 * d * c.moe.intermediate_size *
               (experts + c.moe.num_shared_experts);
  }
  return 3 * d * c.intermediate_size +
         (c.mlp_bias ? 2 * c.intermediate_size + d : 0);
}

int64_t CountParameters(const ModelConfig& c, int64_t experts) {
  int64_t n = c.vocab_size * c.hidden_size * (c.tie_word_embeddings ? 1 : 2) +
              c.hidden_size;
  for (int64_t i = 0; i < c.num_layers; ++i) {
    n += AttentionParameters(c) + FeedForwardParameters(c, i, experts) +
         2 * c.hidden_size;
  }
  return n;
}

absl::Status CheckShape(const ModelConfig& c, absl::string_view where) {
  if (c.rope_dim() % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": ", c.has_mla() ? "qk_rope_head_dim" : "head_dim",
                     " must be even, got ", c.rope_dim()));
  }
  if (c.has_mla()) return absl::OkStatus();
  if (c.num_heads % c.num_kv_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": num_attention_heads (", c.num_heads,
        ") must be a multiple of num_key_value_heads (", c.num_kv_heads, ")"));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t ModelConfig::NumParameters() const {
  return CountParameters(*this, moe.num_experts);
}

int64_t ModelConfig::NumActiveParameters() const {
  return CountParameters(*this, moe.experts_per_token);
}

int64_t ModelConfig::KvBytesPerToken(int64_t bytes_per_element) const {
  return num_layers * cache_heads() * (cache_key_dim() + cache_value_dim()) *
         bytes_per_element;
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
  if (std::ranges::find(kModelTypes, c.model_type) == std::end(kModelTypes)) {
    return absl::UnimplementedError(absl::StrCat(
        where, ": model_type \"", c.model_type, "\" is not known; known are ",
        absl::StrJoin(kModelTypes, ", ")));
  }
  PONDER_RETURN_IF_ERROR(CheckConfigKeys(json, where));
  const bool deepseek = c.model_type.starts_with("deepseek_");
  fields.ReadSize("vocab_size", kMaxVocabulary, &c.vocab_size);
  fields.ReadSize("hidden_size", kMaxWidth, &c.hidden_size);
  fields.ReadSize("intermediate_size", kMaxWidth, &c.intermediate_size);
  fields.ReadSize("num_hidden_layers", kMaxLayers, &c.num_layers);
  fields.ReadSize("num_attention_heads", kMaxHeads, &c.num_heads);
  PONDER_RETURN_IF_ERROR(fields.status());
  c.num_kv_heads = c.num_heads;
  if (deepseek) {
    // Their key heads are as many as query heads, and transformers 5 writes
    // a head_dim that is qk_rope_head_dim.
    ReadMla(fields, &c.mla);
  } else {
    fields.ReadSize("num_key_value_heads", kMaxHeads, &c.num_kv_heads);
    c.head_dim = c.hidden_size / c.num_heads;
    fields.ReadSize("head_dim", kMaxHeads, &c.head_dim);
  }
  c.max_position_embeddings = 2048;
  fields.ReadSize("max_position_embeddings", kMaxPositions,
                  &c.max_position_embeddings);
  fields.Read("rms_norm_eps", &c.rms_norm_eps);
  fields.Read("tie_word_embeddings", &c.tie_word_embeddings);
  bool attention_bias = false;
  fields.Read("attention_bias", &attention_bias);
  fields.Read("mlp_bias", &c.mlp_bias);
  // Qwen's files name a window that is in use only if they say so.
  bool use_sliding_window = c.model_type == "mistral";
  fields.Read("use_sliding_window", &use_sliding_window);
  int64_t sliding_window = 0;
  fields.ReadSizeOrNone("sliding_window", kMaxPositions, &sliding_window);
  std::string activation = "silu";
  fields.Read("hidden_act", &activation);
  PONDER_RETURN_IF_ERROR(fields.status());

  if (activation != "silu") {
    return absl::UnimplementedError(
        absl::StrCat(where, ": hidden_act \"", activation,
                     "\" is not known; known is silu"));
  }
  if (c.model_type == "qwen2") {
    c.qkv_bias = true;
    c.mlp_bias = false;
  } else if (c.model_type == "mistral") {
    c.mlp_bias = false;
  } else {
    c.qkv_bias = attention_bias;
    c.output_bias = attention_bias;
  }
  c.qk_norm = c.model_type == "qwen3" || c.model_type == "qwen3_moe";
  if (c.model_type == "qwen3_moe") {
    PONDER_RETURN_IF_ERROR(ReadQwenMoe(json, where, &c));
  } else if (deepseek) {
    PONDER_RETURN_IF_ERROR(ReadDeepSeekMoe(json, where, &c));
  }
  PONDER_RETURN_IF_ERROR(CheckShape(c, where));
  PONDER_RETURN_IF_ERROR(ReadRope(json, where, &c.rope));
  if (c.rope.original_max_position_embeddings == 0) {
    c.rope.original_max_position_embeddings =
        static_cast<double>(c.max_position_embeddings);
  }

  if (use_sliding_window && sliding_window > 0) {
    // Up to here a window sees all.
    c.max_position_embeddings =
        std::min(c.max_position_embeddings, sliding_window);
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
