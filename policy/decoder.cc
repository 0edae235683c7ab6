#include "policy/decoder.h"

#include <cmath>
#include <utility>

#include "ATen/ops/embedding.h"
#include "ATen/ops/empty.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "policy/attention.h"
#include "policy/feed_forward.h"
#include "policy/latent_attention.h"
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

}  // namespace

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
      rope_(MakeRopeAngles(
          MakeRopeTable(config.rope, config.rope_dim(), max_tokens),
          weights_.at(kEmbedding).device())) {
  for (int64_t i = 0; i < config_.num_layers; ++i) {
    Layer& layer = layers_.emplace_back();
    const std::string prefix = LayerPrefix(i);
    layer.weights = NamedTensors(weights_, prefix);
    layer.attention = NamedTensors(weights_, prefix + "self_attn.");
    if (config_.IsMoeLayer(i)) {
      layer.experts.emplace(config_.moe, weights_, prefix + "mlp.");
    } else {
      layer.feed_forward = NamedTensors(weights_, prefix + "mlp.");
    }
  }
  output_ = &weights_.at(config_.tie_word_embeddings ? kEmbedding : kHead);
}

double Decoder::attention_scale() const {
  const double scale = 1.0 / std::sqrt(static_cast<double>(config_.qk_dim()));
  return config_.has_mla() ? scale * LatentAttentionFactor(config_.rope)
                           : scale;
}

Tensor Decoder::RunLayer(int64_t index, const Tensor& x, const Pass& pass,
                         bool again) const {
  const Layer& layer = layers_[index];
  const double eps = config_.rms_norm_eps;
  const AttendFn attend = [&](const Tensor& q, const Tensor& k,
                              const Tensor& v) {
    return pass.attention(index, q, k, v);
  };
  const Tensor normed =
      RmsNorm(x, layer.weights["input_layernorm.weight"], eps);
  const NamedTensors& w = layer.attention;
  Tensor attended;
  if (!config_.has_mla()) {
    attended = GroupedQueryAttention(config_, w, normed, pass.positions, rope_,
                                     attend);
  } else if (pass.cached) {
    attended = AbsorbedLatentAttention(config_, w, normed, pass.positions,
                                       rope_, attend);
  } else {
    attended = ExpandedLatentAttention(config_, w, normed, pass.positions,
                                       rope_, attend);
  }
  const Tensor h = x + attended;
  const Tensor normed_h =
      RmsNorm(h, layer.weights["post_attention_layernorm.weight"], eps);
  if (!layer.experts.has_value()) {
    return h + FeedForward(layer.feed_forward, normed_h);
  }
  Routing routing;
  Tensor y = layer.experts->Apply(normed_h, &routing);
  if (pass.balance != nullptr) {
    y = pass.balance->Add(index, routing, pass.cu_seqlens, again, y);
  }
  return h + y;
}

Tensor Decoder::Hidden(const Tensor& ids, const Pass& pass) const {
  Tensor x = at::embedding(weights_.at(kEmbedding), ids).to(dtype_);
  for (int64_t i = 0; i < config_.num_layers; ++i) {
    if (pass.checkpoint && at::GradMode::is_enabled()) {
      x = CheckpointFunction::apply(
          x, c10::make_intrusive<Recomputation>(
                 [this, i, pass](const Tensor& input) {
                   // Its first run is without gradients.
                   return RunLayer(i, input, pass, at::GradMode::is_enabled());
                 }));
    } else {
      x = RunLayer(i, x, pass, /*again=*/false);
    }
  }
  return RmsNorm(x, weights_.at(kFinalNorm), config_.rms_norm_eps);
}

Tensor Decoder::PackedHidden(const Tensor& ids,
                             const std::vector<int64_t>& cu_seqlens,
                             bool checkpoint, ExpertBalance* balance) const {
  Tensor positions = at::empty({ids.size(0)}, at::kLong);
  int64_t* position = positions.mutable_data_ptr<int64_t>();
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    PONDER_CHECK(cu_seqlens[s + 1] - cu_seqlens[s] <= max_tokens_);
    for (int64_t t = cu_seqlens[s]; t < cu_seqlens[s + 1]; ++t) {
      position[t] = t - cu_seqlens[s];
    }
  }
  Pass pass;
  pass.positions = positions.to(ids.device());
  pass.attention = [cu_seqlens, scale = attention_scale()](
                       int64_t, const Tensor& q, const Tensor& k,
                       const Tensor& v) {
    return PackedAttention(q, k, v, cu_seqlens, scale);
  };
  pass.checkpoint = checkpoint;
  pass.cu_seqlens = cu_seqlens;
  pass.balance = balance;
  return Hidden(ids, pass);
}

Tensor Decoder::CachedHidden(const Tensor& ids, const Tensor& positions,
                             const AttentionFn& attention) const {
  Pass pass;
  pass.positions = positions;
  pass.attention = attention;
  pass.cached = true;
  return Hidden(ids, pass);
}

Tensor Decoder::Logits(const Tensor& hidden) const {
  return Linear(hidden, output_weight(), Tensor());
}

}  // namespace ponder
