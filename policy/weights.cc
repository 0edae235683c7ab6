#include "policy/weights.h"

#include <cmath>

#include "ATen/Parallel.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/philox.h"
#include "policy/linear_kernel.h"

namespace ponder {
namespace {

using at::Tensor;
using Shapes = std::map<std::string, std::vector<int64_t>>;

constexpr char kEmbedding[] = "model.embed_tokens.weight";
constexpr char kHead[] = "lm_head.weight";
constexpr char kCorrectionBias[] = "mlp.gate.e_score_correction_bias";

void AddGroupedQueryAttention(const ModelConfig& c, const std::string& prefix,
                              Shapes* shapes) {
  const int64_t d = c.hidden_size;
  const int64_t q = c.num_heads * c.head_dim;
  const int64_t kv = c.num_kv_heads * c.head_dim;
  const std::string p = prefix + "self_attn.";
  (*shapes)[p + "q_proj.weight"] = {q, d};
  (*shapes)[p + "k_proj.weight"] = {kv, d};
  (*shapes)[p + "v_proj.weight"] = {kv, d};
  (*shapes)[p + "o_proj.weight"] = {d, q};
  if (c.qkv_bias) {
    (*shapes)[p + "q_proj.bias"] = {q};
    (*shapes)[p + "k_proj.bias"] = {kv};
    (*shapes)[p + "v_proj.bias"] = {kv};
  }
  if (c.output_bias) (*shapes)[p + "o_proj.bias"] = {d};
  if (c.qk_norm) {
    (*shapes)[p + "q_norm.weight"] = {c.head_dim};
    (*shapes)[p + "k_norm.weight"] = {c.head_dim};
  }
}

void AddLatentAttention(const ModelConfig& c, const std::string& prefix,
                        Shapes* shapes) {
  const MlaConfig& m = c.mla;
  const int64_t d = c.hidden_size;
  const int64_t q = c.num_heads * c.qk_dim();
  const int64_t kv_a = m.kv_lora_rank + m.qk_rope_head_dim;
  const std::string p = prefix + "self_attn.";
  if (m.q_lora_rank == 0) {
    (*shapes)[p + "q_proj.weight"] = {q, d};
  } else {
    (*shapes)[p + "q_a_proj.weight"] = {m.q_lora_rank, d};
    (*shapes)[p + "q_a_layernorm.weight"] = {m.q_lora_rank};
    (*shapes)[p + "q_b_proj.weight"] = {q, m.q_lora_rank};
    if (c.qkv_bias) (*shapes)[p + "q_a_proj.bias"] = {m.q_lora_rank};
  }
  (*shapes)[p + "kv_a_proj_with_mqa.weight"] = {kv_a, d};
  if (c.qkv_bias) (*shapes)[p + "kv_a_proj_with_mqa.bias"] = {kv_a};
  (*shapes)[p + "kv_a_layernorm.weight"] = {m.kv_lora_rank};
  (*shapes)[p + "kv_b_proj.weight"] = {
      c.num_heads * (m.qk_nope_head_dim + m.v_head_dim), m.kv_lora_rank};
  (*shapes)[p + "o_proj.weight"] = {d, c.num_heads * m.v_head_dim};
  if (c.output_bias) (*shapes)[p + "o_proj.bias"] = {d};
}

void AddFeedForward(const std::string& p, int64_t d, int64_t size, bool bias,
                    Shapes* shapes) {
  (*shapes)[p + "gate_proj.weight"] = {size, d};
  (*shapes)[p + "up_proj.weight"] = {size, d};
  (*shapes)[p + "down_proj.weight"] = {d, size};
  if (bias) {
    (*shapes)[p + "gate_proj.bias"] = {size};
    (*shapes)[p + "up_proj.bias"] = {size};
    (*shapes)[p + "down_proj.bias"] = {d};
  }
}

void AddExperts(const ModelConfig& c, const std::string& prefix,
                Shapes* shapes) {
  const MoeConfig& moe = c.moe;
  (*shapes)[prefix + "mlp.gate.weight"] = {moe.num_experts, c.hidden_size};
  if (moe.correction_bias) {
    (*shapes)[prefix + kCorrectionBias] = {moe.num_experts};
  }
  for (int64_t e = 0; e < moe.num_experts; ++e) {
    AddFeedForward(absl::StrCat(prefix, "mlp.experts.", e, "."), c.hidden_size,
                   moe.intermediate_size, false, shapes);
  }
  if (moe.num_shared_experts > 0) {
    AddFeedForward(prefix + "mlp.shared_experts.", c.hidden_size,
                   moe.num_shared_experts * moe.intermediate_size, false,
                   shapes);
  }
}

void AddLayer(const ModelConfig& c, const std::string& prefix, bool experts,
              Shapes* shapes) {
  (*shapes)[prefix + "input_layernorm.weight"] = {c.hidden_size};
  (*shapes)[prefix + "post_attention_layernorm.weight"] = {c.hidden_size};
  if (c.has_mla()) {
    AddLatentAttention(c, prefix, shapes);
  } else {
    AddGroupedQueryAttention(c, prefix, shapes);
  }
  if (experts) {
    AddExperts(c, prefix, shapes);
  } else {
    AddFeedForward(prefix + "mlp.", c.hidden_size, c.intermediate_size,
                   c.mlp_bias, shapes);
  }
}

// Of multi-token prediction. Files of DeepSeek repeat embedding and head there.
Shapes PredictionShapes(const ModelConfig& c) {
  Shapes shapes;
  const int64_t d = c.hidden_size;
  for (int64_t k = 0; k < c.num_nextn_predict_layers; ++k) {
    const std::string p = LayerPrefix(c.num_layers + k);
    AddLayer(c, p, c.has_experts(), &shapes);
    shapes[p + "enorm.weight"] = {d};
    shapes[p + "hnorm.weight"] = {d};
    shapes[p + "eh_proj.weight"] = {d, 2 * d};
    shapes[p + "shared_head.norm.weight"] = {d};
    shapes[p + "shared_head.head.weight"] = {c.vocab_size, d};
    shapes[p + "embed_tokens.weight"] = {c.vocab_size, d};
  }
  return shapes;
}

// Standard normal numbers by Box and Muller, stream `key`.
void FillNormal(float* values, int64_t n, double std, uint64_t key) {
  at::parallel_for(0, (n + 1) / 2, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {
      const uint64_t at = static_cast<uint64_t>(2 * pair);
      const double u = 1.0 - UniformDouble(key, at);
      const double angle = 2 * M_PI * UniformDouble(key, at + 1);
      const double r = std * std::sqrt(-2 * std::log(u));
      values[2 * pair] = static_cast<float>(r * std::cos(angle));
      if (2 * pair + 1 < n) {
        values[2 * pair + 1] = static_cast<float>(r * std::sin(angle));
      }
    }
  });
}

}  // namespace

NamedTensors::NamedTensors(const TensorMap& all, absl::string_view prefix) {
  for (auto it = all.lower_bound(std::string(prefix));
       it != all.end() && absl::StartsWith(it->first, prefix); ++it) {
    tensors_[it->first.substr(prefix.size())] = it->second;
  }
}

const Tensor& NamedTensors::operator[](absl::string_view name) const {
  static const Tensor* const none = new Tensor();
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? *none : it->second;
}

std::string LayerPrefix(int64_t layer) {
  return absl::StrCat("model.layers.", layer, ".");
}

Shapes TensorShapes(const ModelConfig& c) {
  Shapes shapes;
  shapes[kEmbedding] = {c.vocab_size, c.hidden_size};
  shapes["model.norm.weight"] = {c.hidden_size};
  if (!c.tie_word_embeddings) shapes[kHead] = {c.vocab_size, c.hidden_size};
  for (int64_t i = 0; i < c.num_layers; ++i) {
    AddLayer(c, LayerPrefix(i), c.IsMoeLayer(i), &shapes);
  }
  return shapes;
}

bool IsTrainedByGradient(const ModelConfig& config, absl::string_view name) {
  if (absl::EndsWith(name, kCorrectionBias)) return false;
  int64_t layer = 0;
  return !absl::ConsumePrefix(&name, "model.layers.") ||
         !absl::SimpleAtoi(name.substr(0, name.find('.')), &layer) ||
         layer < config.num_layers;
}

at::ScalarType TensorType(absl::string_view name, at::ScalarType dtype) {
  return absl::EndsWith(name, kCorrectionBias) ? at::kFloat : dtype;
}

TensorMap RandomWeights(const ModelConfig& config, double embedding_std,
                        double matrix_gain, uint64_t seed) {
  TensorMap weights;
  for (const auto& [name, shape] : TensorShapes(config)) {
    if (shape.size() == 1) {
      weights[name] =
          absl::StrContains(name, "norm") ? at::ones(shape) : at::zeros(shape);
      continue;
    }
    const bool embedding = name == kEmbedding || name == kHead;
    double std = embedding || matrix_gain == 0
                     ? embedding_std
                     : matrix_gain / std::sqrt(shape[1]);
    if (absl::StrContains(name, "o_proj") ||
        absl::StrContains(name, "down_proj")) {
      std /= std::sqrt(2.0 * static_cast<double>(config.num_layers));
    }
    Tensor w = at::empty(shape);
    FillNormal(w.mutable_data_ptr<float>(), w.numel(), std,
               StreamKey().Add(seed).Add("weights").Add(name).key());
    weights[name] = w;
  }
  return weights;
}

absl::Status CheckTensors(const ModelConfig& config, const TensorMap& weights) {
  Shapes shapes = TensorShapes(config);
  for (const auto& [name, shape] : shapes) {
    if (!weights.contains(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the checkpoint has no tensor ", name));
    }
  }
  shapes.merge(PredictionShapes(config));
  for (const auto& [name, tensor] : weights) {
    const auto it = shapes.find(name);
    if (it == shapes.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the checkpoint has a tensor ", name, " that the architecture ",
          config.model_type, " does not know"));
    }
    std::vector<int64_t> wanted = it->second;
    if (tensor.scalar_type() == at::kChar && wanted.size() == 2) {
      wanted[1] = kernels::Q8RowBytes(wanted[1]);  // QuantizedQ8()'s.
    }
    if (tensor.sizes() != at::IntArrayRef(wanted)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor ", name, " has shape [", absl::StrJoin(tensor.sizes(), ", "),
          "], config.json wants [", absl::StrJoin(wanted, ", "), "]"));
    }
  }
  return absl::OkStatus();
}

}  // namespace ponder
