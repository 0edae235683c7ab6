#include "rl/critic.h"

#include <utility>

#include "ATen/ATen.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rl/learner.h"
#include "rl/value_loss.h"
#include "torch/csrc/autograd/autograd.h"

namespace ponder {

using at::Tensor;

namespace {

constexpr char kHead[] = "value_head.weight";
constexpr char kPrefix[] = "critic.";

}  // namespace

absl::StatusOr<std::unique_ptr<Critic>> Critic::Create(
    const ModelConfig& config, const TensorMap& policy,
    const Options& options) {
  TensorMap weights =
      CopyTensors(policy, at::kFloat, policy.begin()->second.device());
  for (auto& [name, weight] : weights) {
    weight.set_requires_grad(IsTrainedByGradient(config, name));
  }
  PONDER_ASSIGN_OR_RETURN(
      auto decoder,
      Decoder::Create(config, weights, options.dtype, options.max_tokens));
  weights[kHead] =
      at::zeros({1, config.hidden_size}, weights.begin()->second.options())
          .detach()
          .set_requires_grad(true);
  return std::unique_ptr<Critic>(
      new Critic(std::move(decoder), std::move(weights), options));
}

Critic::~Critic() {
  for (const auto& [name, weight] : weights_) weight.mutable_grad().reset();
}

Tensor Critic::PackedValues(const PackedBatch& pack) const {
  const Tensor hidden = decoder_->PackedHidden(
      pack.ids, pack.cu_seqlens, options_.learner.activation_checkpointing());
  const Tensor states = at::index_select(hidden, 0, pack.rows).to(at::kFloat);
  return at::matmul(states, weights_.at(kHead).t()).squeeze(1);
}

std::vector<std::vector<float>> Critic::Values(
    const std::vector<TrainSequence>& batch) const {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<float>> values(batch.size());
  for (const PackedBatch& pack : PackSequences(
           batch, SequencesWithTargets(batch),
           options_.learner.micro_batch_tokens(), decoder_->device())) {
    ScatterTargets(PackedValues(pack), pack, &values);
  }
  return values;
}

CriticStats Critic::Update(const std::vector<TrainSequence>& batch,
                           const LossScale& scale, double learning_rate) {
  CriticStats stats;
  const std::vector<int64_t> chosen = SequencesWithTargets(batch);
  if (chosen.empty()) return stats;
  double targets = 0;
  for (const PackedBatch& pack :
       PackSequences(batch, chosen, options_.learner.micro_batch_tokens(),
                     decoder_->device())) {
    const ValueLoss loss = ClippedValueLoss(
        PackedValues(pack), GatherField(batch, pack, &TrainSequence::values),
        GatherField(batch, pack, &TrainSequence::returns),
        TokenWeights(pack, scale), options_.critic.value_clip());
    torch::autograd::backward({loss.loss}, {});
    stats.loss += loss.loss.item<double>();
    stats.clip_fraction += loss.clipped;
    stats.tokens += pack.ids.size(0);
    targets += static_cast<double>(pack.targets.numel());
  }
  stats.clip_fraction /= targets;
  stats.grad_norm = optimizer_.GradNorm();
  optimizer_.Step(learning_rate, stats.grad_norm);
  return stats;
}

TensorMap Critic::State() const {
  TensorMap state;
  for (const auto& [name, weight] : weights_) {
    state[absl::StrCat(kPrefix, name)] = weight.detach();
  }
  for (const auto& [name, moment] : optimizer_.State()) {
    state[absl::StrCat(kPrefix, name)] = moment;
  }
  return state;
}

absl::Status Critic::SetState(const TensorMap& state, int64_t step) {
  const at::NoGradGuard no_grad;
  TensorMap moments;
  for (const auto& [name, tensor] : state) {
    if (!name.starts_with(kPrefix)) continue;
    const std::string own = name.substr(sizeof(kPrefix) - 1);
    const auto it = weights_.find(own);
    if (it == weights_.end()) {
      moments[own] = tensor;
      continue;
    }
    if (it->second.sizes() != tensor.sizes()) {
      return absl::DataLossError(
          absl::StrCat("the checkpoint's critic has another shape at ", own));
    }
    it->second.copy_(tensor);
  }
  return optimizer_.SetState(moments, step);
}

}  // namespace ponder
