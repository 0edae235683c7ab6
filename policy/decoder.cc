#include "policy/decoder.h"

#include <cmath>
#include <utility>

#include "ATen/Parallel.h"
#include "ATen/ops/embedding.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/philox.h"
#include "base/status_macros.h"
#include "torch/csrc/autograd/autograd.h"
#include "torch/csrc/autograd/custom_function.h"

namespace ponder {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr char kEmbedding[] = "model.embed_tokens.weight";
constexpr char kFinalNorm[] = "model.norm.weight";
constexpr char kHead[] = "lm_head.weight";

std::string LayerPrefix(int64_t layer) {
  return absl::StrCat("model.layers.", layer, ".");
}

// Runs `body` without keeping its graph, and again in the backward pass
// (activation checkpointing, arXiv:1604.06174). The weights that `body` uses
// are leaves, so the inner backward pass adds to their gradients by itself.
struct Recomputation : torch::CustomClassHolder {
  explicit Recomputation(std::function<Tensor(const Tensor&)> f)
      : body(std::move(f)) {}
  std::function<Tensor(const Tensor&)> body;
};

class CheckpointFunction
    : public torch::autograd::Function<CheckpointFunction> {
 public:
  static Tensor forward(
      AutogradContext* ctx, const Tensor& x,
      const c10::intrusive_ptr<Recomputation>& recomputation) {
    ctx->save_for_backward({x});
    ctx->saved_data["body"] = c10::IValue::make_capsule(recomputation);
    return recomputation->body(x);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::AutoGradMode with_graph(true);
    auto* recomputation =
        static_cast<Recomputation*>(ctx->saved_data["body"].toCapsule().get());
    Tensor x = ctx->get_saved_variables()[0].detach();
    x.set_requires_grad(true);
    const Tensor y = recomputation->body(x);
    torch::autograd::backward({y}, {grads[0]});
    return {x.grad(), Tensor()};
  }
};

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

std::map<std::string, std::vector<int64_t>> TensorShapes(const ModelConfig& c) {
  const int64_t d = c.hidden_size;
  const int64_t q = c.num_heads * c.head_dim;
  const int64_t kv = c.num_kv_heads * c.head_dim;
  std::map<std::string, std::vector<int64_t>> shapes;
  shapes[kEmbedding] = {c.vocab_size, d};
  shapes[kFinalNorm] = {d};
  if (!c.tie_word_embeddings) shapes[kHead] = {c.vocab_size, d};
  for (int64_t i = 0; i < c.num_layers; ++i) {
    const std::string p = LayerPrefix(i);
    shapes[p + "input_layernorm.weight"] = {d};
    shapes[p + "post_attention_layernorm.weight"] = {d};
    shapes[p + "self_attn.q_proj.weight"] = {q, d};
    shapes[p + "self_attn.k_proj.weight"] = {kv, d};
    shapes[p + "self_attn.v_proj.weight"] = {kv, d};
    shapes[p + "self_attn.o_proj.weight"] = {d, q};
    shapes[p + "mlp.gate_proj.weight"] = {c.intermediate_size, d};
    shapes[p + "mlp.up_proj.weight"] = {c.intermediate_size, d};
    shapes[p + "mlp.down_proj.weight"] = {d, c.intermediate_size};
    if (c.qkv_bias) {
      shapes[p + "self_attn.q_proj.bias"] = {q};
      shapes[p + "self_attn.k_proj.bias"] = {kv};
      shapes[p + "self_attn.v_proj.bias"] = {kv};
    }
    if (c.output_bias) shapes[p + "self_attn.o_proj.bias"] = {d};
    if (c.mlp_bias) {
      shapes[p + "mlp.gate_proj.bias"] = {c.intermediate_size};
      shapes[p + "mlp.up_proj.bias"] = {c.intermediate_size};
      shapes[p + "mlp.down_proj.bias"] = {d};
    }
    if (c.qk_norm) {
      shapes[p + "self_attn.q_norm.weight"] = {c.head_dim};
      shapes[p + "self_attn.k_norm.weight"] = {c.head_dim};
    }
  }
  return shapes;
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
  const auto shapes = TensorShapes(config);
  for (const auto& [name, shape] : shapes) {
    const auto it = weights.find(name);
    if (it == weights.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the checkpoint has no tensor ", name));
    }
    if (it->second.sizes() != at::IntArrayRef(shape)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor ", name, " has shape [",
          absl::StrJoin(it->second.sizes(), ", "), "], config.json wants [",
          absl::StrJoin(shape, ", "), "]"));
    }
  }
  for (const auto& [name, tensor] : weights) {
    if (!shapes.contains(name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the checkpoint has a tensor ", name, " that the architecture ",
          config.model_type, " does not know"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Decoder>> Decoder::Create(
    const ModelConfig& config, TensorMap weights, at::ScalarType dtype,
    int64_t max_tokens) {
  if (dtype != at::kFloat && dtype != at::kBFloat16) {
    return absl::InvalidArgumentError(
        "a policy computes in float32 or bfloat16");
  }
  if (max_tokens > config.max_position_embeddings) {
    return absl::InvalidArgumentError(absl::StrCat(
        "prompt and response may take ", max_tokens,
        " tokens together, the policy's max_position_embeddings is ",
        config.max_position_embeddings,
        "; lower prompt.max_prompt_tokens or prompt.max_response_tokens"));
  }
  PONDER_RETURN_IF_ERROR(CheckTensors(config, weights));
  return std::shared_ptr<const Decoder>(
      new Decoder(config, std::move(weights), dtype, max_tokens));
}

Decoder::Decoder(const ModelConfig& config, TensorMap weights,
                 at::ScalarType dtype, int64_t max_tokens)
    : config_(config),
      weights_(std::move(weights)),
      dtype_(dtype),
      max_tokens_(max_tokens),
      rope_(std::make_shared<const RopeTable>(
          MakeRopeTable(config.rope, config.head_dim, max_tokens))),
      layers_(config.num_layers) {
  for (int64_t i = 0; i < config_.num_layers; ++i) {
    const std::string prefix = LayerPrefix(i);
    for (auto it = weights_.lower_bound(prefix);
         it != weights_.end() && it->first.starts_with(prefix); ++it) {
      layers_[i][it->first.substr(prefix.size())] = it->second;
    }
  }
  output_ = &weights_.at(config_.tie_word_embeddings ? kEmbedding : kHead);
}

double Decoder::attention_scale() const {
  return 1.0 / std::sqrt(static_cast<double>(config_.head_dim));
}

const Tensor& Decoder::Layer(int64_t layer, const char* name) const {
  static const Tensor* const none = new Tensor();
  const auto it = layers_[layer].find(name);
  return it == layers_[layer].end() ? *none : it->second;
}

Tensor Decoder::RunLayer(int64_t layer, const Tensor& x,
                         const Tensor& positions,
                         const AttentionFn& attention) const {
  const double eps = config_.rms_norm_eps;
  const auto weight = [&](const char* name) -> const Tensor& {
    return Layer(layer, name);
  };
  const int64_t t = x.size(0);

  const Tensor normed = RmsNorm(x, weight("input_layernorm.weight"), eps);
  Tensor q = Linear(normed, weight("self_attn.q_proj.weight"),
                    weight("self_attn.q_proj.bias"))
                 .view({t, config_.num_heads, config_.head_dim});
  Tensor k = Linear(normed, weight("self_attn.k_proj.weight"),
                    weight("self_attn.k_proj.bias"))
                 .view({t, config_.num_kv_heads, config_.head_dim});
  const Tensor v = Linear(normed, weight("self_attn.v_proj.weight"),
                          weight("self_attn.v_proj.bias"))
                       .view({t, config_.num_kv_heads, config_.head_dim});
  if (config_.qk_norm) {
    q = RmsNorm(q, weight("self_attn.q_norm.weight"), eps);
    k = RmsNorm(k, weight("self_attn.k_norm.weight"), eps);
  }
  const Tensor attended =
      attention(layer, Rope(q, positions, rope_), Rope(k, positions, rope_), v);
  const Tensor h =
      x + Linear(attended.view({t, -1}), weight("self_attn.o_proj.weight"),
                 weight("self_attn.o_proj.bias"));

  const Tensor normed_h =
      RmsNorm(h, weight("post_attention_layernorm.weight"), eps);
  const Tensor gated = SwiGlu(Linear(normed_h, weight("mlp.gate_proj.weight"),
                                     weight("mlp.gate_proj.bias")),
                              Linear(normed_h, weight("mlp.up_proj.weight"),
                                     weight("mlp.up_proj.bias")));
  return h + Linear(gated, weight("mlp.down_proj.weight"),
                    weight("mlp.down_proj.bias"));
}

Tensor Decoder::Hidden(const Tensor& ids, const Tensor& positions,
                       const AttentionFn& attention, bool checkpoint) const {
  Tensor x = at::embedding(weights_.at(kEmbedding), ids).to(dtype_);
  for (int64_t i = 0; i < config_.num_layers; ++i) {
    if (checkpoint && at::GradMode::is_enabled()) {
      x = CheckpointFunction::apply(
          x, c10::make_intrusive<Recomputation>(
                 [this, i, positions, attention](const Tensor& input) {
                   return RunLayer(i, input, positions, attention);
                 }));
    } else {
      x = RunLayer(i, x, positions, attention);
    }
  }
  return RmsNorm(x, weights_.at(kFinalNorm), config_.rms_norm_eps);
}

Tensor Decoder::PackedHidden(const Tensor& ids,
                             const std::vector<int64_t>& cu_seqlens,
                             bool checkpoint) const {
  Tensor positions = at::empty({ids.size(0)}, at::kLong);
  int64_t* position = positions.mutable_data_ptr<int64_t>();
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    PONDER_CHECK(cu_seqlens[s + 1] - cu_seqlens[s] <= max_tokens_);
    for (int64_t t = cu_seqlens[s]; t < cu_seqlens[s + 1]; ++t) {
      position[t] = t - cu_seqlens[s];
    }
  }
  const double scale = attention_scale();
  return Hidden(
      ids, positions,
      [cu_seqlens, scale](int64_t, const Tensor& q, const Tensor& k,
                          const Tensor& v) {
        return PackedAttention(q, k, v, cu_seqlens, scale);
      },
      checkpoint);
}

Tensor Decoder::Logits(const Tensor& hidden) const {
  return Linear(hidden, output_weight(), Tensor());
}

}  // namespace ponder
