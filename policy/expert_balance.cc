#include "policy/expert_balance.h"

#include "ATen/core/grad_mode.h"
#include "ATen/ops/bincount.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "ATen/ops/zeros_like.h"
#include "torch/csrc/autograd/custom_function.h"

namespace ponder {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// y, with the gradient of `loss` in its backward pass.
class WithLoss : public torch::autograd::Function<WithLoss> {
 public:
  static Tensor forward(AutogradContext*, const Tensor& y, const Tensor& loss) {
    static_cast<void>(loss);
    return y.view_as(y);
  }

  static variable_list backward(AutogradContext*, variable_list grads) {
    return {grads[0], at::ones({}, grads[0].options().dtype(at::kFloat))};
  }
};

Tensor TokensByExpert(const Tensor& experts, int64_t num_experts) {
  return at::bincount(experts.flatten(), {}, num_experts);
}

}  // namespace

ExpertBalance::ExpertBalance(const ModelConfig& config, double loss_weight)
    : loss_weight_(loss_weight),
      tokens_(
          at::zeros({config.num_layers, config.moe.num_experts}, at::kLong)) {}

Tensor ExpertBalance::Add(int64_t layer, const Routing& routing,
                          const std::vector<int64_t>& cu_seqlens, bool again,
                          const Tensor& y) {
  const int64_t num_experts = tokens_.size(1);
  if (!again) {
    tokens_[layer] += TokensByExpert(routing.experts, num_experts).to(at::kCPU);
  }
  if (loss_weight_ == 0) return y;
  // f_e / T_s for each token of the sequence s.
  const Tensor factors = at::zeros_like(routing.scores.detach());
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    const int64_t first = cu_seqlens[s];
    const int64_t n = cu_seqlens[s + 1] - first;
    if (n == 0) continue;
    const auto length = static_cast<double>(n);
    const Tensor chosen = routing.experts.narrow(0, first, n);
    factors.narrow(0, first, n)
        .copy_(TokensByExpert(chosen, num_experts) *
               (static_cast<double>(num_experts) /
                (static_cast<double>(chosen.size(1)) * length * length)));
  }
  const Tensor shares = routing.scores / routing.scores.sum(-1, true);
  const Tensor loss = (factors * shares).sum() * loss_weight_;
  if (!again) loss_ += loss.item<double>();
  return at::GradMode::is_enabled() ? WithLoss::apply(y, loss) : y;
}

void UpdateExpertBias(const ModelConfig& config, const Tensor& tokens,
                      double rate, const TensorMap& weights) {
  const at::NoGradGuard no_grad;
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    if (!config.IsMoeLayer(layer)) continue;
    const Tensor load = tokens[layer].to(at::kDouble);
    Tensor bias =
        weights.at(LayerPrefix(layer) + "mlp.gate.e_score_correction_bias");
    bias += ((load.mean() - load).sign() * rate).to(bias.options());
  }
}

}  // namespace ponder
