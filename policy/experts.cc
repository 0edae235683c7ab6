#include "policy/experts.h"

#include <limits>
#include <tuple>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/topk.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/str_cat.h"
#include "policy/feed_forward.h"
#include "policy/ops.h"

namespace ponder {
namespace {

using at::Tensor;

// What experts are chosen by [T, E], with -inf for those of groups that are
// not among a token's best.
Tensor WithinBestGroups(const MoeConfig& config, const Tensor& choice) {
  if (config.num_groups == 1) return choice;
  const int64_t t = choice.size(0);
  const Tensor grouped = choice.view({t, config.num_groups, -1});
  const Tensor group_scores =
      config.correction_bias ? std::get<0>(at::topk(grouped, 2, -1)).sum(-1)
                             : std::get<0>(grouped.max(-1));
  const Tensor best = std::get<1>(
      at::topk(group_scores, config.groups_per_token, -1, true, false));
  const Tensor outside =
      at::ones({t, config.num_groups}, choice.options().dtype(at::kBool))
          .scatter(1, best, false);
  return grouped
      .masked_fill(outside.unsqueeze(-1),
                   -std::numeric_limits<double>::infinity())
      .view({t, -1});
}

}  // namespace

Routing Route(const MoeConfig& config, const Tensor& logits,
              const Tensor& bias) {
  Routing routing;
  routing.scores = config.sigmoid ? Sigmoid(logits) : at::softmax(logits, -1);
  {
    const at::NoGradGuard no_grad;
    const Tensor choice =
        config.correction_bias ? routing.scores + bias : routing.scores;
    routing.experts = std::get<1>(at::topk(WithinBestGroups(config, choice),
                                           config.experts_per_token, -1));
  }
  routing.weights = routing.scores.gather(1, routing.experts);
  if (config.normalize_weights) {
    // The small number is DeepSeek's; a softmax's chosen sum is far above it.
    routing.weights = routing.weights / (routing.weights.sum(-1, true) + 1e-20);
  }
  if (config.scale != 1) routing.weights = routing.weights * config.scale;
  return routing;
}

Experts::Experts(const MoeConfig& config, const TensorMap& weights,
                 const std::string& prefix)
    : config_(config), shared_(weights, prefix + "shared_experts.") {
  const NamedTensors gate(weights, prefix + "gate.");
  gate_ = gate["weight"];
  correction_bias_ = gate["e_score_correction_bias"];
  for (int64_t e = 0; e < config.num_experts; ++e) {
    routed_.emplace_back(weights, absl::StrCat(prefix, "experts.", e, "."));
  }
}

Tensor Experts::Apply(const Tensor& x, Routing* routing_out) const {
  // Weights as they are in a model of this type: a learner's float32 ones route
  // as the sampler's do.
  const Tensor gate = gate_.to(x.scalar_type()).to(at::kFloat);
  const Routing routing = Route(
      config_, Linear(x.to(at::kFloat), gate, Tensor()), correction_bias_);
  const int64_t chosen = routing.experts.numel();
  const Tensor cpu_experts = routing.experts.to(at::kCPU);
  const int64_t* expert = cpu_experts.const_data_ptr<int64_t>();
  std::vector<std::vector<int64_t>> choices(config_.num_experts);
  for (int64_t i = 0; i < chosen; ++i) choices[expert[i]].push_back(i);

  const Tensor weights = routing.weights.flatten();
  Tensor sum = at::zeros(x.sizes(), x.options().dtype(at::kFloat));
  for (int64_t e = 0; e < config_.num_experts; ++e) {
    if (choices[e].empty()) continue;
    const Tensor index = at::tensor(choices[e], at::kLong).to(x.device());
    const Tensor token =
        index.div(config_.experts_per_token, /*rounding_mode=*/"floor");
    const Tensor y =
        FeedForward(routed_[e], at::index_select(x, 0, token)).to(at::kFloat);
    sum.index_add_(0, token,
                   y * at::index_select(weights, 0, index).unsqueeze(1));
  }
  if (routing_out != nullptr) *routing_out = routing;
  Tensor result = sum.to(x.scalar_type());
  if (config_.num_shared_experts > 0) result = result + FeedForward(shared_, x);
  return result;
}

}  // namespace ponder
