#include "policy/gguf/gguf_export.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "policy/files/safetensors.h"
#include "policy/gguf/ggml_blocks.h"
#include "policy/gguf/gguf_tokenizer.h"
#include "policy/gguf/gguf_writer.h"
#include "policy/model_config.h"
#include "policy/rope.h"

namespace ponder {
namespace {

// general.file_type and the type of matrices.
struct FileType {
  uint32_t number;
  GgmlType matrices;
};

absl::StatusOr<FileType> FileTypeOf(absl::string_view type) {
  static constexpr std::pair<absl::string_view, FileType> kTypes[] = {
      {"f32", {0, GgmlType::kF32}},      {"f16", {1, GgmlType::kF16}},
      {"q4_0", {2, GgmlType::kQ4_0}},    {"q8_0", {7, GgmlType::kQ8_0}},
      {"q4_k_m", {15, GgmlType::kQ4_K}}, {"bf16", {32, GgmlType::kBf16}}};
  for (const auto& [name, file_type] : kTypes) {
    if (name == type) return file_type;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--type ", type, ": wanted f32, f16, bf16, q8_0, q4_0 or q4_k_m"));
}

// llama.cpp's q4_k_m gives these layers more bits: the first and last eighth
// and every third between them.
bool GetsMoreBits(int64_t layer, int64_t num_layers) {
  return layer < num_layers / 8 || layer >= 7 * num_layers / 8 ||
         (layer - num_layers / 8) % 3 == 2;
}

// A row of a tensor as floats.
void ReadRow(const TensorInfo& tensor, int64_t row, absl::Span<float> out) {
  const auto size = static_cast<size_t>(SafetensorsDtypeSize(tensor.dtype));
  const char* const bytes =
      tensor.bytes + static_cast<size_t>(row) * out.size() * size;
  if (tensor.dtype == "F32") {
    std::memcpy(out.data(), bytes, out.size() * size);
    return;
  }
  for (size_t k = 0; k < out.size(); ++k) {
    uint16_t bits;
    std::memcpy(&bits, bytes + 2 * k, sizeof(bits));
    out[k] = tensor.dtype == "BF16"
                 ? std::bit_cast<float>(static_cast<uint32_t>(bits) << 16)
                 : HalfToFloat(bits);
  }
}

// llama.cpp's name of the architecture.
std::string GgufArchitecture(const ModelConfig& config) {
  if (config.model_type == "mistral") return "llama";
  if (config.model_type == "qwen3_moe") return "qwen3moe";
  return config.has_mla() ? "deepseek2" : config.model_type;
}

// What GGUF, or llama.cpp that reads it, has no words for.
absl::Status CheckHeld(const ModelConfig& config, const std::string& folder) {
  const MoeConfig& moe = config.moe;
  if (moe.num_groups > 1 && !moe.correction_bias) {
    return absl::UnimplementedError(absl::StrCat(
        folder, ": experts in groups (DeepSeek-V2's n_group ", moe.num_groups,
        ") cannot be written to GGUF: llama.cpp rates every group as "
        "DeepSeek-V3 does, by its two best experts, and would compute "
        "something else"));
  }
  if (config.model_type == "qwen3_moe" &&
      std::ranges::count(moe.layers, false) > 0) {
    return absl::UnimplementedError(absl::StrCat(
        folder,
        ": layers without experts (mlp_only_layers, decoder_sparse_step) "
        "cannot be written to GGUF: llama.cpp's qwen3moe has none"));
  }
  if (config.has_mla() && config.qkv_bias) {
    return absl::UnimplementedError(
        absl::StrCat(folder,
                     ": attention_bias cannot be written to GGUF: llama.cpp's "
                     "deepseek2 has none"));
  }
  return absl::OkStatus();
}

class Exporter {
 public:
  Exporter(const std::string& folder, const SafetensorsFolder& weights,
           const ModelConfig& config, FileType type)
      : folder_(folder), weights_(weights), config_(config), type_(type) {}

  absl::Status AddKeys() {
    PONDER_RETURN_IF_ERROR(CheckHeld(config_, folder_));
    const std::string arch = GgufArchitecture(config_);
    const auto key = [&](absl::string_view name) {
      return absl::StrCat(arch, ".", name);
    };
    const auto u32 = [](int64_t value) { return static_cast<uint32_t>(value); };
    writer_.Add("general.architecture", arch);
    writer_.Add("general.name", "ponder");
    writer_.Add("general.file_type", type_.number);
    writer_.Add(key("block_count"), u32(config_.num_layers));
    writer_.Add(key("context_length"), u32(config_.max_position_embeddings));
    writer_.Add(key("embedding_length"), u32(config_.hidden_size));
    writer_.Add(key("feed_forward_length"), u32(config_.intermediate_size));
    writer_.Add(key("vocab_size"), u32(config_.vocab_size));
    writer_.Add(key("attention.head_count"), u32(config_.num_heads));
    writer_.Add(key("attention.head_count_kv"), u32(config_.cache_heads()));
    writer_.Add(key("attention.layer_norm_rms_epsilon"),
                static_cast<float>(config_.rms_norm_eps));
    writer_.Add(key("attention.key_length"), u32(config_.cache_key_dim()));
    writer_.Add(
        key("attention.value_length"),
        u32(config_.has_mla() ? config_.mla.kv_lora_rank : config_.head_dim));
    writer_.Add(key("rope.dimension_count"), u32(config_.rope_dim()));
    writer_.Add(key("rope.freq_base"), static_cast<float>(config_.rope.theta));
    if (config_.has_mla()) {
      writer_.Add(key("attention.q_lora_rank"), u32(config_.mla.q_lora_rank));
      writer_.Add(key("attention.kv_lora_rank"), u32(config_.mla.kv_lora_rank));
      writer_.Add(key("attention.key_length_mla"), u32(config_.qk_dim()));
      writer_.Add(key("attention.value_length_mla"), u32(config_.v_dim()));
    }
    if (config_.has_experts()) {
      const MoeConfig& moe = config_.moe;
      writer_.Add(key("expert_count"), u32(moe.num_experts));
      writer_.Add(key("expert_used_count"), u32(moe.experts_per_token));
      writer_.Add(key("expert_feed_forward_length"),
                  u32(moe.intermediate_size));
      if (config_.has_mla()) {
        constexpr uint32_t kSoftmax = 1, kSigmoid = 2;
        writer_.Add(key("leading_dense_block_count"),
                    u32(std::ranges::count(moe.layers, false)));
        writer_.Add(key("expert_shared_count"), u32(moe.num_shared_experts));
        writer_.Add(key("expert_weights_scale"), static_cast<float>(moe.scale));
        writer_.Add(key("expert_weights_norm"), moe.normalize_weights);
        writer_.Add(key("expert_gating_func"),
                    moe.sigmoid ? kSigmoid : kSoftmax);
        writer_.Add(key("expert_group_count"), u32(moe.num_groups));
        writer_.Add(key("expert_group_used_count"), u32(moe.groups_per_token));
      }
    }
    return AddRopeScaling(key("rope.scaling."));
  }

  absl::Status AddTensors() {
    PONDER_RETURN_IF_ERROR(
        AddMatrix("token_embd.weight", "model.embed_tokens.weight",
                  config_.tie_word_embeddings ? Output() : type_.matrices));
    PONDER_RETURN_IF_ERROR(
        AddVector("output_norm.weight", "model.norm.weight"));
    if (!config_.tie_word_embeddings) {
      PONDER_RETURN_IF_ERROR(
          AddMatrix("output.weight", "lm_head.weight", Output()));
    }
    if (config_.rope.type == "llama3") AddRopeFactors();
    for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
      PONDER_RETURN_IF_ERROR(AddLayer(layer));
    }
    // What has no place in the file would be lost.
    for (const TensorInfo& tensor : weights_.tensors()) {
      const bool tied =
          config_.tie_word_embeddings && tensor.name == "lm_head.weight";
      // llama.cpp doesn't predict several tokens; its own converter leaves
      // those layers out, too.
      const bool prediction = IsOfPrediction(tensor.name);
      if (!used_.contains(tensor.name) && !tied && !prediction &&
          !absl::EndsWith(tensor.name, "rotary_emb.inv_freq")) {
        return absl::UnimplementedError(
            absl::StrCat(folder_, ": tensor ", tensor.name,
                         " has no place in a GGUF file "
                         "of architecture ",
                         GgufArchitecture(config_)));
      }
    }
    return absl::OkStatus();
  }

  GgufWriter& writer() { return writer_; }

 private:
  bool IsOfPrediction(absl::string_view name) const {
    int64_t layer = 0;
    return absl::ConsumePrefix(&name, "model.layers.") &&
           absl::SimpleAtoi(name.substr(0, name.find('.')), &layer) &&
           layer >= config_.num_layers &&
           layer < config_.num_layers + config_.num_nextn_predict_layers;
  }

  absl::Status AddRopeScaling(const std::string& key) {
    const RopeConfig& rope = config_.rope;
    if (rope.type == "default" || rope.type == "llama3") {
      return absl::OkStatus();
    }
    if (rope.type != "linear" && rope.type != "yarn") {
      return absl::UnimplementedError(
          absl::StrCat(folder_, ": rope type ", rope.type,
                       " cannot be written to GGUF; llama.cpp knows default, "
                       "linear, yarn and llama3"));
    }
    writer_.Add(key + "type", rope.type);
    writer_.Add(key + "factor", static_cast<float>(rope.factor));
    if (rope.type != "yarn") return absl::OkStatus();
    if (config_.has_mla() && rope.mscale_all_dim != 0 &&
        rope.mscale == rope.mscale_all_dim && rope.truncate &&
        rope.attention_factor == 0) {
      writer_.Add(key + "yarn_log_multiplier",
                  static_cast<float>(0.1 * rope.mscale_all_dim));
    } else if (rope.mscale != 0 || rope.mscale_all_dim != 0 || !rope.truncate) {
      return absl::UnimplementedError(
          absl::StrCat(folder_,
                       ": this yarn (mscale, or ramps that are not truncated) "
                       "cannot be written to GGUF"));
    }
    writer_.Add(key + "original_context_length",
                static_cast<uint32_t>(rope.original_max_position_embeddings));
    writer_.Add(key + "yarn_beta_fast", static_cast<float>(rope.beta_fast));
    writer_.Add(key + "yarn_beta_slow", static_cast<float>(rope.beta_slow));
    if (rope.attention_factor != 0) {
      // llama.cpp multiplies with its own 0.1 ln(factor) + 1.
      writer_.Add(key + "yarn_attn_factor",
                  static_cast<float>(rope.attention_factor /
                                     (0.1 * std::log(rope.factor) + 1)));
    }
    return absl::OkStatus();
  }

  // What llama.cpp divides the plain frequencies by.
  void AddRopeFactors() {
    RopeConfig plain;
    plain.theta = config_.rope.theta;
    std::vector<float> factors = RopeFrequencies(plain, config_.head_dim);
    const std::vector<float> scaled =
        RopeFrequencies(config_.rope, config_.head_dim);
    for (size_t k = 0; k < factors.size(); ++k) factors[k] /= scaled[k];
    GgufTensor tensor;
    tensor.name = "rope_freqs.weight";
    tensor.shape = {static_cast<int64_t>(factors.size())};
    tensor.read_row = [factors](int64_t, absl::Span<float> row) {
      std::copy(factors.begin(), factors.end(), row.begin());
    };
    writer_.AddTensor(std::move(tensor));
  }

  struct Projection {
    const char* to;
    const char* from;
    GgmlType type;
    bool has_bias = false;
    int64_t heads = 0;  // Whose halves llama.cpp wants interleaved; 0: none.
  };

  absl::Status AddProjection(const std::string& to, const std::string& from,
                             const Projection& p) {
    PONDER_RETURN_IF_ERROR(AddMatrix(absl::StrCat(to, p.to, ".weight"),
                                     absl::StrCat(from, p.from, ".weight"),
                                     p.type, p.heads));
    if (!p.has_bias) return absl::OkStatus();
    return AddVector(absl::StrCat(to, p.to, ".bias"),
                     absl::StrCat(from, p.from, ".bias"), p.heads);
  }

  absl::Status AddLayer(int64_t layer) {
    const std::string from = absl::StrCat("model.layers.", layer, ".");
    const std::string to = absl::StrCat("blk.", layer, ".");
    const bool k_mixture = type_.number == 15;
    const GgmlType more = k_mixture && GetsMoreBits(layer, config_.num_layers)
                              ? GgmlType::kQ6_K
                              : type_.matrices;
    PONDER_RETURN_IF_ERROR(
        AddVector(to + "attn_norm.weight", from + "input_layernorm.weight"));
    PONDER_RETURN_IF_ERROR(config_.has_mla() ? AddLatentAttention(to, from)
                                             : AddAttention(to, from, more));
    PONDER_RETURN_IF_ERROR(AddVector(to + "ffn_norm.weight",
                                     from + "post_attention_layernorm.weight"));
    if (config_.IsMoeLayer(layer)) return AddExperts(to, from, more);
    const bool bias = config_.mlp_bias;
    for (const Projection& p : {
             Projection{"ffn_gate", "mlp.gate_proj", type_.matrices, bias},
             Projection{"ffn_up", "mlp.up_proj", type_.matrices, bias},
             Projection{"ffn_down", "mlp.down_proj", more, bias},
         }) {
      PONDER_RETURN_IF_ERROR(AddProjection(to, from, p));
    }
    return absl::OkStatus();
  }

  absl::Status AddAttention(const std::string& to, const std::string& from,
                            GgmlType more) {
    // Only llama's rotary embedding turns neighbours; its rows are permuted.
    const bool permuted = GgufArchitecture(config_) == "llama";
    const bool bias = config_.qkv_bias;
    for (const Projection& p : {
             Projection{"attn_q", "self_attn.q_proj", type_.matrices, bias,
                        permuted ? config_.num_heads : 0},
             Projection{"attn_k", "self_attn.k_proj", type_.matrices, bias,
                        permuted ? config_.num_kv_heads : 0},
             Projection{"attn_v", "self_attn.v_proj", more, bias},
             Projection{"attn_output", "self_attn.o_proj", type_.matrices,
                        config_.output_bias},
         }) {
      PONDER_RETURN_IF_ERROR(AddProjection(to, from, p));
    }
    if (!config_.qk_norm) return absl::OkStatus();
    PONDER_RETURN_IF_ERROR(
        AddVector(to + "attn_q_norm.weight", from + "self_attn.q_norm.weight"));
    return AddVector(to + "attn_k_norm.weight",
                     from + "self_attn.k_norm.weight");
  }

  // kv_b_proj is written as its two parts, the keys' transposed: llama.cpp
  // computes in the absorbed form, too.
  absl::Status AddLatentAttention(const std::string& to,
                                  const std::string& from) {
    std::vector<Projection> projections = {
        {"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa", type_.matrices},
        {"attn_output", "self_attn.o_proj", type_.matrices}};
    if (config_.mla.q_lora_rank == 0) {
      projections.push_back({"attn_q", "self_attn.q_proj", type_.matrices});
    } else {
      projections.push_back({"attn_q_a", "self_attn.q_a_proj", type_.matrices});
      projections.push_back({"attn_q_b", "self_attn.q_b_proj", type_.matrices});
      PONDER_RETURN_IF_ERROR(
          AddVector(to + "attn_q_a_norm.weight",
                    from + "self_attn.q_a_layernorm.weight"));
    }
    for (const Projection& p : projections) {
      PONDER_RETURN_IF_ERROR(AddProjection(to, from, p));
    }
    PONDER_RETURN_IF_ERROR(AddVector(to + "attn_kv_a_norm.weight",
                                     from + "self_attn.kv_a_layernorm.weight"));

    PONDER_ASSIGN_OR_RETURN(const TensorInfo* const kv_b,
                            FindMatrix(from + "self_attn.kv_b_proj.weight"));
    const MlaConfig& m = config_.mla;
    const int64_t keys = m.qk_nope_head_dim, rank = m.kv_lora_rank;
    const int64_t head_rows = keys + m.v_head_dim;
    if (kv_b->shape !=
        std::vector<int64_t>{config_.num_heads * head_rows, rank}) {
      return absl::InvalidArgumentError(absl::StrCat(folder_, ": tensor ",
                                                     kv_b->name,
                                                     " has another shape than "
                                                     "config.json"));
    }
    // The keys' part of one head at a time.
    struct Transposed {
      int64_t head = -1;
      std::vector<float> rows;
    };
    GgufTensor tensor;
    tensor.name = to + "attn_k_b.weight";
    tensor.shape = {config_.num_heads, rank, keys};
    tensor.type = TypeFor(keys, type_.matrices);
    tensor.read_row = [=, part = std::make_shared<Transposed>()](
                          int64_t row, absl::Span<float> out) {
      const int64_t head = row / rank;
      if (part->head != head) {
        part->head = head;
        part->rows.resize(static_cast<size_t>(keys * rank));
        for (int64_t k = 0; k < keys; ++k) {
          ReadRow(*kv_b, head * head_rows + k,
                  absl::MakeSpan(part->rows)
                      .subspan(static_cast<size_t>(k * rank),
                               static_cast<size_t>(rank)));
        }
      }
      for (size_t k = 0; k < out.size(); ++k) {
        out[k] = part->rows[k * static_cast<size_t>(rank) +
                            static_cast<size_t>(row % rank)];
      }
    };
    writer_.AddTensor(std::move(tensor));

    tensor = GgufTensor();
    tensor.name = to + "attn_v_b.weight";
    tensor.shape = {config_.num_heads, m.v_head_dim, rank};
    tensor.type = TypeFor(rank, type_.matrices);
    tensor.read_row = [=, values = m.v_head_dim](int64_t row,
                                                 absl::Span<float> out) {
      ReadRow(*kv_b, row / values * head_rows + keys + row % values, out);
    };
    writer_.AddTensor(std::move(tensor));
    return absl::OkStatus();
  }

  absl::Status AddExperts(const std::string& to, const std::string& from,
                          GgmlType more) {
    // A router is small, and what it chooses is not to change.
    PONDER_RETURN_IF_ERROR(AddMatrix(to + "ffn_gate_inp.weight",
                                     from + "mlp.gate.weight", GgmlType::kF32));
    if (config_.moe.correction_bias) {
      PONDER_RETURN_IF_ERROR(AddVector(
          to + "exp_probs_b.bias", from + "mlp.gate.e_score_correction_bias"));
    }
    for (const auto& [name, part, type] :
         {std::tuple("gate", ".gate_proj.weight", type_.matrices),
          std::tuple("up", ".up_proj.weight", type_.matrices),
          std::tuple("down", ".down_proj.weight", more)}) {
      PONDER_RETURN_IF_ERROR(
          AddStacked(absl::StrCat(to, "ffn_", name, "_exps.weight"),
                     from + "mlp.experts.", part, type));
      if (config_.moe.num_shared_experts == 0) continue;
      PONDER_RETURN_IF_ERROR(
          AddMatrix(absl::StrCat(to, "ffn_", name, "_shexp.weight"),
                    absl::StrCat(from, "mlp.shared_experts", part), type));
    }
    return absl::OkStatus();
  }

  // One tensor [E, rows, columns] of the experts' matrices.
  absl::Status AddStacked(const std::string& to, const std::string& prefix,
                          const char* suffix, GgmlType type) {
    std::vector<const TensorInfo*> experts;
    for (int64_t e = 0; e < config_.moe.num_experts; ++e) {
      PONDER_ASSIGN_OR_RETURN(const TensorInfo* const expert,
                              FindMatrix(absl::StrCat(prefix, e, suffix)));
      if (expert->shape != (e == 0 ? expert : experts[0])->shape) {
        return absl::InvalidArgumentError(
            absl::StrCat(folder_, ": tensor ", expert->name,
                         " has another shape than the same of expert 0"));
      }
      experts.push_back(expert);
    }
    GgufTensor tensor;
    tensor.name = to;
    const int64_t rows = experts[0]->shape[0];
    tensor.shape = {config_.moe.num_experts, rows, experts[0]->shape[1]};
    tensor.type = TypeFor(experts[0]->shape[1], type);
    tensor.read_row = [experts, rows](int64_t row, absl::Span<float> out) {
      ReadRow(*experts[static_cast<size_t>(row / rows)], row % rows, out);
    };
    writer_.AddTensor(std::move(tensor));
    return absl::OkStatus();
  }

  // llama.cpp's own quantiser gives the output more bits, too.
  GgmlType Output() const {
    const bool four_bits =
        type_.matrices == GgmlType::kQ4_0 || type_.matrices == GgmlType::kQ4_K;
    return four_bits ? GgmlType::kQ6_K : type_.matrices;
  }

  absl::StatusOr<const TensorInfo*> Find(const std::string& name) {
    const TensorInfo* const tensor = weights_.Find(name);
    if (tensor == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder_, ": tensor ", name, " is missing"));
    }
    if (tensor->dtype != "F32" && tensor->dtype != "F16" &&
        tensor->dtype != "BF16") {
      return absl::UnimplementedError(
          absl::StrCat(folder_, ": tensor ", name, " is ", tensor->dtype,
                       "; wanted F32, F16 or BF16"));
    }
    used_.insert(name);
    return tensor;
  }

  absl::StatusOr<const TensorInfo*> FindMatrix(const std::string& name) {
    PONDER_ASSIGN_OR_RETURN(const TensorInfo* const tensor, Find(name));
    if (tensor->shape.size() != 2) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder_, ": tensor ", name, " is no matrix"));
    }
    return tensor;
  }

  // `type`, or the nearest whose blocks fit into rows of so many numbers.
  static GgmlType TypeFor(int64_t columns, GgmlType type) {
    if (columns % GgmlBlockNumbers(type) == 0) return type;
    return columns % GgmlBlockNumbers(GgmlType::kQ8_0) == 0 ? GgmlType::kQ8_0
                                                            : GgmlType::kF16;
  }

  // The row of the source for a row of llama.cpp's order: of each head the
  // first and second half take turns.
  static int64_t SourceRow(int64_t row, int64_t head_dim) {
    const int64_t head = row / head_dim;
    const int64_t within = row % head_dim;
    return head * head_dim + within % 2 * (head_dim / 2) + within / 2;
  }

  absl::Status AddMatrix(const std::string& to, const std::string& from,
                         GgmlType type, int64_t heads = 0) {
    PONDER_ASSIGN_OR_RETURN(const TensorInfo* const source, FindMatrix(from));
    GgufTensor tensor;
    tensor.name = to;
    tensor.shape = source->shape;
    tensor.type = TypeFor(source->shape[1], type);
    const int64_t head_dim = heads > 0 ? source->shape[0] / heads : 0;
    tensor.read_row = [source, head_dim](int64_t row, absl::Span<float> out) {
      ReadRow(*source, head_dim > 0 ? SourceRow(row, head_dim) : row, out);
    };
    writer_.AddTensor(std::move(tensor));
    return absl::OkStatus();
  }

  absl::Status AddVector(const std::string& to, const std::string& from,
                         int64_t heads = 0) {
    PONDER_ASSIGN_OR_RETURN(const TensorInfo* const source, Find(from));
    if (source->shape.size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder_, ": tensor ", from, " is no vector"));
    }
    GgufTensor tensor;
    tensor.name = to;
    tensor.shape = source->shape;
    const int64_t head_dim = heads > 0 ? source->shape[0] / heads : 0;
    tensor.read_row = [source, head_dim](int64_t, absl::Span<float> out) {
      ReadRow(*source, 0, out);
      if (head_dim == 0) return;
      const std::vector<float> plain(out.begin(), out.end());
      for (size_t k = 0; k < out.size(); ++k) {
        out[k] = plain[static_cast<size_t>(
            SourceRow(static_cast<int64_t>(k), head_dim))];
      }
    };
    writer_.AddTensor(std::move(tensor));
    return absl::OkStatus();
  }

  const std::string& folder_;
  const SafetensorsFolder& weights_;
  const ModelConfig& config_;
  const FileType type_;
  GgufWriter writer_;
  std::set<std::string> used_;  // Tensors of the source.
};

}  // namespace

absl::StatusOr<GgufSummary> ExportGguf(const std::string& folder,
                                       absl::string_view type,
                                       const std::string& path,
                                       const std::function<bool()>& stop) {
  PONDER_ASSIGN_OR_RETURN(const FileType file_type, FileTypeOf(type));
  const std::string config_path = absl::StrCat(folder, "/config.json");
  PONDER_ASSIGN_OR_RETURN(const std::string config_json, ReadFile(config_path));
  PONDER_ASSIGN_OR_RETURN(const ModelConfig config,
                          ParseModelConfig(config_json, config_path));
  PONDER_ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsFolder> weights,
                          SafetensorsFolder::Open(folder));
  Exporter exporter(folder, *weights, config, file_type);
  PONDER_RETURN_IF_ERROR(exporter.AddKeys());
  PONDER_RETURN_IF_ERROR(
      AddGgufTokenizer(folder, config.vocab_size, &exporter.writer()));
  PONDER_RETURN_IF_ERROR(exporter.AddTensors());
  PONDER_RETURN_IF_ERROR(exporter.writer().Write(path, stop));
  return GgufSummary{GgufArchitecture(config), config.NumParameters(),
                     exporter.writer().FileBytes()};
}

}  // namespace ponder
