#include "rl/train_group.h"

#include <algorithm>
#include <limits>

#include "ATen/ATen.h"
#include "rl/advantage.h"
#include "rl/kl.h"
#include "rl/token_advantage.h"

namespace ponder {
namespace {

using at::Tensor;

constexpr double kNoReward = std::numeric_limits<double>::quiet_NaN();

Tensor Doubles(const std::vector<float>& values) {
  return at::tensor(values).to(at::kDouble);
}

std::vector<float> Floats(const Tensor& values) {
  const Tensor floats = values.to(at::kFloat).contiguous();
  const float* first = floats.const_data_ptr<float>();
  return {first, first + floats.numel()};
}

KlEstimator KlEstimatorOf(const GrpoStage& stage) {
  switch (stage.kl_estimator()) {
    case GrpoStage::K1:
      return KlEstimator::kK1;
    case GrpoStage::K2:
      return KlEstimator::kK2;
    case GrpoStage::K3:
      return KlEstimator::kK3;
    case GrpoStage::K3_K2_GRADIENT:
      return KlEstimator::kK3WithK2Gradient;
  }
  return KlEstimator::kK3;
}

// Of the policy at the start of the step, or else of the one that sampled.
const std::vector<float>& PolicyLogprobs(const TrainSequence& sequence) {
  return sequence.old_logprobs.empty() ? sequence.behavior_logprobs
                                       : sequence.old_logprobs;
}

// What each token is penalised with, [T] float64.
Tensor KlPenalty(const GrpoStage& stage, const TrainSequence& sequence) {
  const std::vector<float>& logprobs = PolicyLogprobs(sequence);
  if (stage.kl_coef() == 0 || !stage.kl_in_reward()) {
    return at::zeros({static_cast<int64_t>(logprobs.size())}, at::kDouble);
  }
  return stage.kl_coef() * EstimateKl(KlEstimatorOf(stage), Doubles(logprobs),
                                      Doubles(sequence.reference_logprobs));
}

// Rewards of the tokens of one response, [T].
Tensor TokenRewards(const GrpoStage& stage, const TrainSequence& sequence,
                    double reward) {
  const Tensor rewards = -KlPenalty(stage, sequence);
  rewards[-1] += reward;
  return rewards;
}

GroupAdvantages Relative(const GrpoStage& stage, const Tensor& rewards) {
  switch (stage.advantage()) {
    case GrpoStage::GRPO:
      return GrpoAdvantages(rewards);
    case GrpoStage::RLOO:
      return RlooAdvantages(rewards);
    default:
      return DrGrpoAdvantages(rewards);
  }
}

// Rewards of the group's samples, [n]; NaN without one.
Tensor RewardsWithKl(const GrpoStage& stage, const TrainGroup& group) {
  std::vector<double> rewards;
  for (size_t i = 0; i < group.rewards.size(); ++i) {
    if (!group.rewards[i]) {
      rewards.push_back(kNoReward);
      continue;
    }
    const Tensor penalty = KlPenalty(stage, group.sequences[i]);
    rewards.push_back(*group.rewards[i] - penalty.sum().item<double>());
  }
  return at::tensor(rewards, at::kDouble);
}

// The same advantage for every token of a response.
void AssignRelative(const GrpoStage& stage, TrainGroup* group) {
  const GroupAdvantages result = Relative(stage, RewardsWithKl(stage, *group));
  group->zero_spread = result.zero_spread;
  for (size_t i = 0; i < group->sequences.size(); ++i) {
    TrainSequence& sequence = group->sequences[i];
    sequence.advantages.assign(
        sequence.targets.size(),
        static_cast<float>(
            result.advantages[static_cast<int64_t>(i)].item<double>()));
  }
}

void AssignReturns(const GrpoStage& stage, double reward,
                   TrainSequence* sequence) {
  sequence->advantages = Floats(
      DiscountedReturns(TokenRewards(stage, *sequence, reward), stage.gamma()));
}

void AssignGae(const GrpoStage& stage, double reward, TrainSequence* sequence) {
  const GaeResult gae = GeneralizedAdvantages(
      TokenRewards(stage, *sequence, reward), Doubles(sequence->values),
      stage.gamma(), stage.critic().lambda());
  sequence->advantages = Floats(gae.advantages);
  sequence->returns = Floats(gae.returns);
}

// Rewards do not count; samples without one have no targets here either.
void AssignTeacher(TrainGroup* group) {
  for (TrainSequence& sequence : group->sequences) {
    if (sequence.targets.empty()) continue;
    sequence.advantages =
        Floats(TeacherAdvantages(Doubles(PolicyLogprobs(sequence)),
                                 Doubles(sequence.reference_logprobs)));
  }
}

// Whitens the advantages over all tokens of the step. Those of groups without
// signal count as the zeros that they are, and stay zeros.
void WhitenAll(std::vector<TrainGroup>* groups) {
  std::vector<float> all;
  for (const TrainGroup& group : *groups) {
    for (const TrainSequence& sequence : group.sequences) {
      all.insert(all.end(), sequence.advantages.begin(),
                 sequence.advantages.end());
    }
  }
  const std::vector<float> white = Floats(Whiten(Doubles(all)));
  auto next = white.begin();
  for (TrainGroup& group : *groups) {
    for (TrainSequence& sequence : group.sequences) {
      const auto end = next + static_cast<int64_t>(sequence.advantages.size());
      if (!group.zero_spread) sequence.advantages.assign(next, end);
      next = end;
    }
  }
}

}  // namespace

std::vector<std::optional<double>> RewardsOf(const FinishedGroup& group,
                                             bool mask_truncated) {
  std::vector<std::optional<double>> rewards;
  for (const Sample& sample : group.samples) {
    const bool masked = mask_truncated && sample.finish_reason() == "length";
    std::optional<double>& reward = rewards.emplace_back();
    if (sample.score().has_reward() && !masked) {
      reward = sample.score().reward();
    }
  }
  return rewards;
}

TrainGroup ToTrainGroup(const FinishedGroup& group, bool mask_truncated) {
  TrainGroup result;
  result.rewards = RewardsOf(group, mask_truncated);
  for (size_t i = 0; i < group.samples.size(); ++i) {
    const Sample& sample = group.samples[i];
    TrainSequence& sequence = result.sequences.emplace_back();
    if (!result.rewards[i]) continue;
    sequence.ids.assign(group.lease.prompt_ids().begin(),
                        group.lease.prompt_ids().end());
    for (const int32_t id : sample.response_ids()) {
      sequence.targets.push_back(static_cast<int32_t>(sequence.ids.size()));
      sequence.ids.push_back(id);
    }
    sequence.behavior_logprobs.assign(sample.logprobs().begin(),
                                      sample.logprobs().end());
  }
  return result;
}

bool HasSpread(const std::vector<std::optional<double>>& rewards) {
  std::vector<double> values;
  for (const std::optional<double>& reward : rewards) {
    values.push_back(reward.value_or(kNoReward));
  }
  return !DrGrpoAdvantages(at::tensor(values, at::kDouble)).zero_spread;
}

void PassCount::Add(const FinishedGroup& group) {
  for (const Sample& sample : group.samples) {
    ++samples;
    scored += sample.score().verdict() != UNSCORABLE;
    correct += sample.score().verdict() == CORRECT;
  }
}

std::optional<double> PassCount::rate() const {
  if (scored == 0) return std::nullopt;
  return static_cast<double>(correct) / static_cast<double>(scored);
}

void AssignImportance(const ImportanceOptions& options,
                      TrainSequence* sequence) {
  if (options.mode == ImportanceMode::kNone || sequence->targets.empty()) {
    return;
  }
  sequence->importance =
      Floats(ImportanceWeights(Doubles(sequence->old_logprobs),
                               Doubles(sequence->behavior_logprobs), options));
}

void AssignAdvantages(const GrpoStage& stage, std::vector<TrainGroup>* groups) {
  const bool returns = stage.advantage() == GrpoStage::REINFORCE_PLUS_PLUS;
  const bool gae = stage.advantage() == GrpoStage::GAE;
  for (TrainGroup& group : *groups) {
    if (stage.advantage() == GrpoStage::REVERSE_KL) {
      AssignTeacher(&group);
      continue;
    }
    if (!returns && !gae) {
      AssignRelative(stage, &group);
      continue;
    }
    for (size_t i = 0; i < group.sequences.size(); ++i) {
      if (!group.rewards[i]) continue;
      (gae ? AssignGae : AssignReturns)(stage, *group.rewards[i],
                                        &group.sequences[i]);
    }
  }
  if (returns || gae ||
      stage.advantage() == GrpoStage::REINFORCE_PLUS_PLUS_BASELINE) {
    WhitenAll(groups);
  }
}

double MeanKl(const GrpoStage& stage, const std::vector<TrainGroup>& groups) {
  double sum = 0, count = 0;
  for (const TrainGroup& group : groups) {
    for (const TrainSequence& sequence : group.sequences) {
      if (sequence.targets.empty()) continue;
      sum += KlPenalty(stage, sequence).sum().item<double>();
      count += static_cast<double>(sequence.targets.size());
    }
  }
  return count == 0 ? 0 : sum / (stage.kl_coef() * count);
}

double MeanReverseKl(const std::vector<TrainGroup>& groups) {
  double sum = 0, count = 0;
  for (const TrainGroup& group : groups) {
    for (const TrainSequence& sequence : group.sequences) {
      const std::vector<float>& logprobs = PolicyLogprobs(sequence);
      for (size_t t = 0; t < sequence.targets.size(); ++t) {
        sum += logprobs[t] - sequence.reference_logprobs[t];
      }
      count += static_cast<double>(sequence.targets.size());
    }
  }
  return count == 0 ? 0 : sum / count;
}

bool HasReference(const GrpoStage& stage) {
  return stage.kl_coef() != 0 || stage.advantage() == GrpoStage::REVERSE_KL;
}

bool IsDecoupled(const GrpoStage& stage) {
  return stage.has_decoupled() ? stage.decoupled() : stage.max_staleness() > 0;
}

ImportanceOptions ImportanceOptionsOf(const GrpoStage& stage) {
  const ImportanceConfig& config = stage.importance();
  ImportanceOptions options;
  switch (config.mode()) {
    case ImportanceConfig::AUTO:
      options.mode = IsDecoupled(stage) ? ImportanceMode::kTokenTruncate
                                        : ImportanceMode::kNone;
      break;
    case ImportanceConfig::NONE:
      break;
    case ImportanceConfig::TOKEN_TRUNCATE:
      options.mode = ImportanceMode::kTokenTruncate;
      break;
    case ImportanceConfig::TOKEN_MASK:
      options.mode = ImportanceMode::kTokenMask;
      options.high = 5;
      break;
    case ImportanceConfig::SEQUENCE_TRUNCATE:
      options.mode = ImportanceMode::kSequenceTruncate;
      break;
    case ImportanceConfig::SEQUENCE_MASK:
      options.mode = ImportanceMode::kSequenceMask;
      options.low = 0.999;
      options.high = 1.001;
      break;
  }
  if (config.has_low()) options.low = config.low();
  if (config.has_high()) options.high = config.high();
  return options;
}

PolicyLossOptions PolicyLossOptionsOf(const GrpoStage& stage) {
  PolicyLossOptions options;
  switch (stage.objective()) {
    case GrpoStage::CLIPPED:
      options.objective = Objective::kClipped;
      break;
    case GrpoStage::GSPO:
      options.objective = Objective::kGspo;
      break;
    case GrpoStage::CISPO:
      options.objective = Objective::kCispo;
      break;
    case GrpoStage::SAPO:
      options.objective = Objective::kSapo;
      break;
    case GrpoStage::DPPO_TV:
      options.objective = Objective::kDppoTv;
      break;
  }
  options.clip_low = stage.clip_low();
  options.clip_high = stage.clip_high();
  options.dual_clip = stage.dual_clip();
  options.sapo_positive_temperature = stage.sapo_positive_temperature();
  options.sapo_negative_temperature = stage.sapo_negative_temperature();
  options.tv_bound = stage.tv_bound();
  options.off_policy_mask = stage.off_policy_mask();
  options.kl_coef = stage.kl_in_reward() ? 0 : stage.kl_coef();
  options.kl_estimator = KlEstimatorOf(stage);
  options.entropy_coef = stage.entropy_coef();
  return options;
}

LossScale LossScaleOf(const GrpoStage& stage, int64_t max_response_tokens,
                      const std::vector<TrainSequence>& batch) {
  LossScale scale;
  switch (stage.aggregation()) {
    case GrpoStage::TOKEN_MEAN:
      scale.aggregation = Aggregation::kTokenMean;
      break;
    case GrpoStage::SEQ_MEAN_TOKEN_MEAN:
      scale.aggregation = Aggregation::kSeqMeanTokenMean;
      break;
    case GrpoStage::SEQ_MEAN_TOKEN_SUM:
      scale.aggregation = Aggregation::kSeqMeanTokenSum;
      break;
    case GrpoStage::SEQ_MEAN_TOKEN_SUM_NORM:
      scale.aggregation = Aggregation::kSeqMeanTokenSumNorm;
      break;
    case GrpoStage::TOKEN_SUM:
      scale.aggregation = Aggregation::kTokenSum;
      break;
  }
  const std::vector<int64_t> counted = SequencesWithTargets(batch);
  scale.tokens = 0;
  for (const int64_t i : counted) {
    scale.tokens += static_cast<int64_t>(batch[i].targets.size());
  }
  scale.sequences = static_cast<int64_t>(counted.size());
  scale.norm_tokens = stage.has_aggregation_tokens()
                          ? stage.aggregation_tokens()
                          : max_response_tokens;
  return scale;
}

}  // namespace ponder
