#include "rl/learner.h"

#include <cmath>
#include <utility>

#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "policy/ops.h"
#include "rl/packing.h"

namespace ponder {

using at::Tensor;

struct Learner::Packed {
  Tensor ids;                       // [T] int64.
  std::vector<int64_t> cu_seqlens;  // Of the sequences in `ids`.
  Tensor rows;        // [N] int64: rows whose hidden state predicts a target.
  Tensor targets;     // [N] int64: the ids that are predicted.
  Tensor behavior;    // [N] float32, as in TrainSequence; empty if not given.
  Tensor advantages;  // [N] float32.
};

absl::StatusOr<std::unique_ptr<Learner>> Learner::Create(
    const ModelConfig& config, TensorMap weights, const Options& options) {
  const double bias_rate = options.learner.expert_bias_update_rate();
  if (bias_rate > 0 && !(config.has_experts() && config.moe.correction_bias)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "learner.expert_bias_update_rate is ", bias_rate, ", but this policy (",
        config.model_type,
        ") has no bias that balances experts, as DeepSeek-V3 has; leave it "
        "out"));
  }
  if (options.learner.expert_balance_loss_coef() > 0 && !config.has_experts()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "learner.expert_balance_loss_coef is ",
        options.learner.expert_balance_loss_coef(), ", but this policy (",
        config.model_type, ") has no experts; leave it out"));
  }
  for (auto& [name, weight] : weights) {
    PONDER_CHECK(weight.scalar_type() == at::kFloat);
    weight.set_requires_grad(IsTrainedByGradient(config, name));
  }
  PONDER_ASSIGN_OR_RETURN(
      auto decoder, Decoder::Create(config, std::move(weights), options.dtype,
                                    options.max_tokens));
  return std::unique_ptr<Learner>(new Learner(std::move(decoder), options));
}

Learner::~Learner() {
  for (const auto& [name, weight] : weights()) {
    weight.mutable_grad().reset();
    weight.set_requires_grad(false);
  }
}

std::vector<Learner::Packed> Learner::Pack(
    const std::vector<TrainSequence>& batch,
    const std::vector<int64_t>& chosen) const {
  std::vector<int64_t> lengths;
  for (const int64_t i : chosen) {
    lengths.push_back(static_cast<int64_t>(batch[i].ids.size()));
  }
  std::vector<Packed> packs;
  for (const std::vector<int64_t>& members :
       PackByTokens(lengths, options_.learner.micro_batch_tokens())) {
    std::vector<int64_t> ids, rows, targets;
    std::vector<float> behavior, advantages;
    Packed& pack = packs.emplace_back();
    pack.cu_seqlens = {0};
    for (const int64_t member : members) {
      const TrainSequence& sequence = batch[chosen[member]];
      const int64_t first = static_cast<int64_t>(ids.size());
      ids.insert(ids.end(), sequence.ids.begin(), sequence.ids.end());
      for (const int32_t target : sequence.targets) {
        rows.push_back(first + target - 1);
        targets.push_back(sequence.ids[target]);
        advantages.push_back(static_cast<float>(sequence.advantage));
      }
      behavior.insert(behavior.end(), sequence.behavior_logprobs.begin(),
                      sequence.behavior_logprobs.end());
      pack.cu_seqlens.push_back(static_cast<int64_t>(ids.size()));
    }
    const at::Device device = decoder_->device();
    pack.ids = at::tensor(ids, at::kLong).to(device);
    pack.rows = at::tensor(rows, at::kLong).to(device);
    pack.targets = at::tensor(targets, at::kLong).to(device);
    pack.behavior = at::tensor(behavior).to(device);
    pack.advantages = at::tensor(advantages).to(device);
  }
  return packs;
}

TokenLogprobs Learner::Logprobs(const Decoder& decoder, const Packed& packed,
                                double temperature, bool want_entropy,
                                ExpertBalance* balance) const {
  const Tensor hidden = decoder.PackedHidden(
      packed.ids, packed.cu_seqlens,
      options_.learner.activation_checkpointing(), balance);
  return ChunkedTokenLogprobs(
      at::index_select(hidden, 0, packed.rows), decoder.output_weight(),
      packed.targets, temperature, options_.learner.logits_chunk_tokens(),
      want_entropy);
}

std::optional<ExpertBalance> Learner::NewBalance(size_t num_sequences) const {
  if (!decoder_->config().has_experts()) return std::nullopt;
  return ExpertBalance(decoder_->config(),
                       options_.learner.expert_balance_loss_coef() /
                           static_cast<double>(num_sequences));
}

void Learner::ApplyUpdate(double learning_rate,
                          const std::optional<ExpertBalance>& balance,
                          UpdateStats* stats) {
  stats->learning_rate = learning_rate;
  stats->grad_norm = optimizer_.GradNorm();
  stats->applied = optimizer_.Step(learning_rate, stats->grad_norm);
  if (!balance.has_value()) return;
  stats->expert_tokens = balance->tokens();
  stats->expert_balance_loss = balance->loss();
  const double rate = options_.learner.expert_bias_update_rate();
  if (stats->applied && rate > 0) {
    UpdateExpertBias(decoder_->config(), balance->tokens(), rate, weights());
  }
}

UpdateStats Learner::SupervisedUpdate(const std::vector<TrainSequence>& batch,
                                      double learning_rate) {
  UpdateStats stats;
  std::vector<int64_t> chosen;
  int64_t count = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].targets.empty()) continue;
    chosen.push_back(static_cast<int64_t>(i));
    count += static_cast<int64_t>(batch[i].targets.size());
  }
  if (count == 0) return stats;
  std::optional<ExpertBalance> balance = NewBalance(chosen.size());
  for (const Packed& pack : Pack(batch, chosen)) {
    const TokenLogprobs result =
        Logprobs(*decoder_, pack, 1.0, true, balance ? &*balance : nullptr);
    const Tensor loss = -result.logprobs.sum() / static_cast<double>(count);
    torch::autograd::backward({loss}, {});
    stats.loss += loss.item<double>();
    stats.entropy +=
        result.entropy.sum().item<double>() / static_cast<double>(count);
    stats.tokens += pack.ids.size(0);
  }
  ApplyUpdate(learning_rate, balance, &stats);
  return stats;
}

namespace {

// Adds one micro-batch to the sums of `m`.
void AddMismatch(const Tensor& learner, const Tensor& sampler,
                 LogprobMismatch* m) {
  if (learner.numel() == 0) return;
  const Tensor d = (sampler - learner).to(at::kDouble);
  const Tensor p =
      (sampler.to(at::kDouble).exp() - learner.to(at::kDouble).exp()).abs();
  m->max_abs = std::max(m->max_abs, d.abs().max().item<double>());
  m->mean_abs += d.abs().sum().item<double>();
  m->mean_kl += d.sum().item<double>();
  // k3 of KL(sampler || learner): exp(-d) + d - 1.
  m->mean_k3 += ((-d).exp() + d - 1).sum().item<double>();
  m->max_prob_diff = std::max(m->max_prob_diff, p.max().item<double>());
  m->mean_prob_diff += p.sum().item<double>();
  m->tokens += learner.numel();
}

void FinishMismatch(LogprobMismatch* m) {
  if (m->tokens == 0) return;
  const double n = static_cast<double>(m->tokens);
  m->mean_abs /= n;
  m->mean_kl /= n;
  m->mean_k3 /= n;
  m->mean_prob_diff /= n;
}

}  // namespace

UpdateStats Learner::PolicyUpdate(const std::vector<TrainSequence>& batch,
                                  int64_t token_count, double temperature,
                                  const PolicyLossOptions& options,
                                  double learning_rate,
                                  LogprobMismatch* mismatch) {
  UpdateStats stats;
  stats.learning_rate = learning_rate;
  std::vector<int64_t> chosen;
  int64_t counted = 0;
  bool any_gradient = false;
  for (size_t i = 0; i < batch.size(); ++i) {
    const TrainSequence& sequence = batch[i];
    PONDER_CHECK(sequence.behavior_logprobs.size() == sequence.targets.size());
    if (sequence.targets.empty()) continue;
    if (sequence.advantage == 0 && options.kl_coef == 0) continue;
    any_gradient = true;
    chosen.push_back(static_cast<int64_t>(i));
    counted += static_cast<int64_t>(sequence.targets.size());
  }
  if (!any_gradient) return stats;

  const double n = static_cast<double>(counted);
  std::optional<ExpertBalance> balance = NewBalance(chosen.size());
  for (const Packed& pack : Pack(batch, chosen)) {
    const TokenLogprobs result = Logprobs(*decoder_, pack, temperature, true,
                                          balance ? &*balance : nullptr);
    Tensor reference;
    if (options.kl_coef != 0) {
      const at::NoGradGuard no_grad;
      reference =
          Logprobs(*reference_, pack, temperature, false, nullptr).logprobs;
    }
    if (mismatch != nullptr) {
      AddMismatch(result.logprobs.detach(), pack.behavior, mismatch);
    }
    const PolicyLoss loss =
        ClippedPolicyLoss(result.logprobs, pack.behavior, pack.advantages,
                          reference, token_count, options);
    torch::autograd::backward({loss.loss}, {});
    stats.loss += loss.loss.item<double>();
    stats.entropy += result.entropy.sum().item<double>() / n;
    stats.clip_fraction += loss.clipped / n;
    stats.dual_clip_fraction += loss.dual_clipped / n;
    stats.approx_kl += loss.log_ratio / n;
    stats.reference_kl += loss.kl / n;
    stats.tokens += pack.ids.size(0);
  }
  if (mismatch != nullptr) FinishMismatch(mismatch);
  ApplyUpdate(learning_rate, balance, &stats);
  return stats;
}

LogprobMismatch Learner::CompareLogprobs(
    const std::vector<TrainSequence>& batch, double temperature) const {
  const at::NoGradGuard no_grad;
  std::vector<int64_t> chosen;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!batch[i].targets.empty()) chosen.push_back(static_cast<int64_t>(i));
  }
  LogprobMismatch mismatch;
  for (const Packed& pack : Pack(batch, chosen)) {
    AddMismatch(Logprobs(*decoder_, pack, temperature, false, nullptr).logprobs,
                pack.behavior, &mismatch);
  }
  FinishMismatch(&mismatch);
  return mismatch;
}

void Learner::FreezeReference(const TensorMap& weights) {
  reference_ =
      *Decoder::Create(decoder_->config(),
                       CopyTensors(weights, options_.dtype, decoder_->device()),
                       options_.dtype, options_.max_tokens);
}

TensorMap CopyTensors(const TensorMap& tensors, at::ScalarType dtype,
                      at::Device device) {
  TensorMap copy;
  for (const auto& [name, tensor] : tensors) {
    copy[name] = tensor.detach().to(device, TensorType(name, dtype),
                                    /*non_blocking=*/false, /*copy=*/true);
  }
  return copy;
}

}  // namespace ponder
