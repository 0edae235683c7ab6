#include "rl/learner.h"

#include <algorithm>
#include <utility>

#include "ATen/ops/empty.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "policy/ops.h"

namespace ponder {

using at::Tensor;

namespace {

int64_t CountTargets(const std::vector<TrainSequence>& batch,
                     const std::vector<int64_t>& chosen) {
  int64_t count = 0;
  for (const int64_t i : chosen) {
    count += static_cast<int64_t>(batch[i].targets.size());
  }
  return count;
}

bool IsZero(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return value == 0; });
}

}  // namespace

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

TokenLogprobs Learner::Logprobs(const Decoder& decoder,
                                const PackedBatch& packed, double temperature,
                                bool want_entropy,
                                ExpertBalance* balance) const {
  const Tensor hidden = decoder.PackedHidden(
      packed.ids, packed.cu_seqlens,
      options_.learner.activation_checkpointing(), balance);
  return ChunkedTokenLogprobs(
      at::index_select(hidden, 0, packed.rows), decoder.output_weight(),
      packed.targets, temperature, options_.learner.logits_chunk_tokens(),
      want_entropy);
}

std::vector<std::vector<float>> Learner::Logprobs(
    const Decoder& decoder, const std::vector<TrainSequence>& batch,
    double temperature) const {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<float>> logprobs(batch.size());
  for (const PackedBatch& pack : PackSequences(
           batch, SequencesWithTargets(batch),
           options_.learner.micro_batch_tokens(), decoder_->device())) {
    ScatterTargets(
        Logprobs(decoder, pack, temperature, false, nullptr).logprobs, pack,
        &logprobs);
  }
  return logprobs;
}

std::vector<std::vector<float>> Learner::Logprobs(
    const std::vector<TrainSequence>& batch, double temperature) const {
  return Logprobs(*decoder_, batch, temperature);
}

std::vector<std::vector<float>> Learner::ReferenceLogprobs(
    const std::vector<TrainSequence>& batch, double temperature) const {
  PONDER_CHECK(reference_ != nullptr);
  return Logprobs(*reference_, batch, temperature);
}

std::vector<PackedBatch> Learner::PackShare(
    const std::vector<TrainSequence>& batch,
    const std::vector<int64_t>& chosen) const {
  const int64_t max_tokens = options_.learner.micro_batch_tokens();
  const Collective* const all = options_.collective;
  if (all == nullptr)
    return PackSequences(batch, chosen, max_tokens, decoder_->device());
  // Dealt out from the longest to the shortest.
  std::vector<int64_t> order = chosen;
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return batch[a].ids.size() > batch[b].ids.size();
  });
  std::vector<int64_t> share;
  for (size_t i = static_cast<size_t>(all->rank()); i < order.size();
       i += static_cast<size_t>(all->size())) {
    share.push_back(order[i]);
  }
  return PackSequences(batch, share, max_tokens, decoder_->device());
}

void Learner::SumOverProcesses(const std::vector<double*>& values) const {
  if (options_.collective == nullptr) return;
  const Tensor sums =
      at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  double* sum = sums.mutable_data_ptr<double>();
  for (size_t i = 0; i < values.size(); ++i) sum[i] = *values[i];
  options_.collective->Sum(sums);
  for (size_t i = 0; i < values.size(); ++i) *values[i] = sum[i];
}

void Learner::ShareLogprobs(const std::vector<TrainSequence>& batch,
                            std::vector<std::vector<float>>* logprobs) const {
  if (options_.collective == nullptr) return;
  std::vector<float> all;
  std::vector<float> was_there;  // Not every sequence was run.
  for (size_t i = 0; i < batch.size(); ++i) {
    was_there.push_back((*logprobs)[i].empty() ? 0.0f : 1.0f);
    (*logprobs)[i].resize(batch[i].targets.size(), 0.0f);
    all.insert(all.end(), (*logprobs)[i].begin(), (*logprobs)[i].end());
  }
  const Tensor sums = at::tensor(all), ran = at::tensor(was_there);
  options_.collective->Sum(sums);
  options_.collective->Sum(ran);
  const float* next = sums.const_data_ptr<float>();
  for (size_t i = 0; i < batch.size(); ++i) {
    const float* first = next;
    next += batch[i].targets.size();
    (*logprobs)[i].assign(first, next);
    if (ran.const_data_ptr<float>()[i] == 0) (*logprobs)[i].clear();
  }
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
  Tensor expert_tokens;
  if (balance.has_value()) {
    expert_tokens = balance->tokens().clone();
    stats->expert_balance_loss = balance->loss();
    SumOverProcesses({&stats->expert_balance_loss});
  }
  Collective* const all = options_.collective;
  if (all != nullptr) {
    for (const auto& [name, weight] : weights()) {
      if (weight.requires_grad()) all->Sum(weight.grad());
    }
    if (expert_tokens.defined()) all->Sum(expert_tokens);
    if (all->rank() != 0) {
      optimizer_.ZeroGrad();
      return TakeWeights();
    }
  }
  stats->learning_rate = learning_rate;
  stats->grad_norm = optimizer_.GradNorm();
  stats->applied = optimizer_.Step(learning_rate, stats->grad_norm);
  stats->expert_tokens = expert_tokens;
  const double rate = options_.learner.expert_bias_update_rate();
  if (balance.has_value() && stats->applied && rate > 0) {
    UpdateExpertBias(decoder_->config(), expert_tokens, rate, weights());
  }
  if (all != nullptr) TakeWeights();
}

void Learner::TakeWeights() {
  for (const auto& [name, weight] : weights()) {
    options_.collective->Broadcast(weight.detach());
  }
}

void Learner::Announce(const LearnerCall& call) const {
  if (options_.announce != nullptr) options_.announce(call);
}

UpdateStats Learner::SupervisedUpdate(const std::vector<TrainSequence>& batch,
                                      double learning_rate) {
  UpdateStats stats;
  const std::vector<int64_t> chosen = SequencesWithTargets(batch);
  const double count = static_cast<double>(CountTargets(batch, chosen));
  if (count == 0) return stats;
  stats.flops = 3 * ForwardFlops(decoder_->config(), batch, chosen);
  Announce(
      {.supervised = true, .batch = &batch, .learning_rate = learning_rate});
  double tokens = 0;
  std::optional<ExpertBalance> balance = NewBalance(chosen.size());
  for (const PackedBatch& pack : PackShare(batch, chosen)) {
    const TokenLogprobs result =
        Logprobs(*decoder_, pack, 1.0, true, balance ? &*balance : nullptr);
    const Tensor loss = -result.logprobs.sum() / count;
    torch::autograd::backward({loss}, {});
    stats.loss += loss.item<double>();
    stats.entropy += result.entropy.detach().sum().item<double>() / count;
    tokens += static_cast<double>(pack.ids.size(0));
  }
  SumOverProcesses({&stats.loss, &stats.entropy, &tokens});
  stats.tokens = static_cast<int64_t>(tokens);
  ApplyUpdate(learning_rate, balance, &stats);
  return stats;
}

UpdateStats Learner::PolicyUpdate(const std::vector<TrainSequence>& batch,
                                  const LossScale& scale, double temperature,
                                  const PolicyLossOptions& options,
                                  double learning_rate) {
  UpdateStats stats;
  stats.learning_rate = learning_rate;
  stats.logprobs.resize(batch.size());
  std::vector<int64_t> chosen;
  for (const int64_t i : SequencesWithTargets(batch)) {
    if (options.kl_coef != 0 || options.entropy_coef != 0 ||
        options.objective == Objective::kDppoTv ||
        !IsZero(batch[i].advantages)) {
      chosen.push_back(i);
    }
  }
  if (chosen.empty()) return stats;
  stats.flops = 3 * ForwardFlops(decoder_->config(), batch, chosen);

  Announce({.batch = &batch,
            .scale = scale,
            .temperature = temperature,
            .options = options,
            .learning_rate = learning_rate});
  double tokens = 0;
  std::optional<ExpertBalance> balance = NewBalance(chosen.size());
  for (const PackedBatch& pack : PackShare(batch, chosen)) {
    const TokenLogprobs result = Logprobs(*decoder_, pack, temperature, true,
                                          balance ? &*balance : nullptr);
    const auto field = [&](std::vector<float> TrainSequence::*name) {
      return GatherField(batch, pack, name);
    };
    PolicyLossInput input;
    input.logprobs = result.logprobs;
    input.old = field(&TrainSequence::old_logprobs);
    if (!input.old.defined()) {
      input.old = field(&TrainSequence::behavior_logprobs);
    }
    input.behavior = field(&TrainSequence::behavior_logprobs);
    input.advantages = field(&TrainSequence::advantages);
    input.weights = TokenWeights(pack, scale);
    input.importance = field(&TrainSequence::importance);
    input.reference = field(&TrainSequence::reference_logprobs);
    input.entropy = result.entropy;
    input.cu_tokens = pack.cu_tokens;
    const PolicyLoss loss = PolicyGradientLoss(input, options);
    torch::autograd::backward({loss.loss}, {});
    stats.loss += loss.loss.item<double>();
    stats.entropy += result.entropy.detach().sum().item<double>();
    stats.clip_fraction += loss.clipped;
    stats.dual_clip_fraction += loss.dual_clipped;
    stats.masked_fraction += loss.masked;
    stats.approx_kl += loss.log_ratio;
    stats.reference_kl += loss.kl;
    tokens += static_cast<double>(pack.ids.size(0));
    ScatterTargets(result.logprobs, pack, &stats.logprobs);
  }
  const std::vector<double*> means = {
      &stats.entropy,         &stats.clip_fraction, &stats.dual_clip_fraction,
      &stats.masked_fraction, &stats.approx_kl,     &stats.reference_kl};
  SumOverProcesses(means);
  SumOverProcesses({&stats.loss, &tokens});
  for (double* mean : means) {
    *mean /= static_cast<double>(CountTargets(batch, chosen));
  }
  stats.tokens = static_cast<int64_t>(tokens);
  ShareLogprobs(batch, &stats.logprobs);
  ApplyUpdate(learning_rate, balance, &stats);
  return stats;
}

void Learner::FreezeReference(const TensorMap& weights) {
  PONDER_CHECK(FreezeReference(decoder_->config(), weights).ok());
}

absl::Status Learner::FreezeReference(const ModelConfig& config,
                                      const TensorMap& weights) {
  PONDER_ASSIGN_OR_RETURN(
      reference_,
      Decoder::Create(config,
                      CopyTensors(weights, options_.dtype, decoder_->device()),
                      options_.dtype, options_.max_tokens));
  return absl::OkStatus();
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
