#include "rl/grpo_metrics.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "rl/evaluation.h"

namespace ponder {

void Range::Add(double x) {
  sum += x;
  count += 1;
  min = std::min(min, x);
  max = std::max(max, x);
}

void Range::Log(const std::string& prefix, Metrics* metrics) const {
  if (count == 0) return;
  metrics->push_back({prefix + "/mean", mean()});
  metrics->push_back({prefix + "/max", max});
  metrics->push_back({prefix + "/min", min});
}

void BatchStats::Add(const FinishedGroup& group, int64_t policy_version,
                     bool mask_truncated) {
  for (const Sample& sample : group.samples) {
    const ScoredResponse& score = sample.score();
    const bool cut = sample.finish_reason() == "length";
    const double length = sample.response_ids_size();
    samples += 1;
    tokens += sample.response_ids_size();
    response_length.Add(length);
    lengths.push_back(static_cast<float>(length));
    if (!cut) terminated_length.Add(length);
    truncated += cut;
    scores.Add(score);
    thinking += HasThought(sample.text(), group.lease.thought_opened());
    if (score.has_reward()) {
      this->score.Add(score.reward());
      set_rewards[group.lease.data_set()].Add(score.reward());
    }
  }
  const auto all = [&](Verdict verdict) {
    return !group.samples.empty() &&
           std::all_of(group.samples.begin(), group.samples.end(),
                       [&](const Sample& sample) {
                         return sample.score().verdict() == verdict;
                       });
  };
  groups += 1;
  if (group.samples.size() > 1) {
    compared_groups += 1;
    zero_spread += !HasSpread(RewardsOf(group, mask_truncated));
  }
  all_correct += all(CORRECT);
  all_wrong += all(WRONG);
  prompt_length.Add(group.lease.prompt_ids_size());
  sampling_seconds.Add(group.timing.sampling_seconds());
  reward_wait_seconds.Add(group.timing.reward_wait_seconds());
  staleness.Add(
      static_cast<double>(policy_version - group.lease.policy_version()));
}

double BatchStats::zero_spread_fraction() const {
  return zero_spread / std::max(1.0, compared_groups);
}

double BatchStats::zero_signal_fraction(const GrpoStage& stage) const {
  switch (stage.advantage()) {
    case GrpoStage::REVERSE_KL:  // Its signal is the teacher's.
      return 0;
    case GrpoStage::REINFORCE_PLUS_PLUS:
    case GrpoStage::GAE:
      return score.count > 0 && score.min < score.max ? 0 : 1;
    default:
      return zero_spread_fraction();
  }
}

double BatchStats::truncated_fraction() const {
  return truncated / std::max(1.0, samples);
}

void LearningStats::Add(const TrainGroup& group) {
  for (const TrainSequence& sequence : group.sequences) {
    for (const float a : sequence.advantages) advantage.Add(a);
    for (const float w : sequence.importance) {
      importance.Add(w);
      importance_squares += double{w} * w;
      masked += w == 0;
    }
    for (size_t t = 0; t < sequence.returns.size(); ++t) {
      const double error = sequence.returns[t] - sequence.values[t];
      value.Add(sequence.values[t]);
      value_return.Add(sequence.returns[t]);
      return_squares_ += double{sequence.returns[t]} * sequence.returns[t];
      error_sum_ += error;
      error_squares_ += error * error;
    }
  }
  // Of everything so far.
  const double n = std::max(1.0, value.count);
  const double returns =
      return_squares_ / n - value_return.mean() * value_return.mean();
  const double errors = error_squares_ / n - error_sum_ / n * error_sum_ / n;
  explained_variance = returns > 0 ? 1 - errors / returns : 0;
}

namespace {

struct Named {
  const char* name;
  double value;
};

void AddAll(std::initializer_list<Named> values, Metrics* metrics) {
  for (const Named& named : values) {
    metrics->emplace_back(named.name, named.value);
  }
}

}  // namespace

void LogBatch(const BatchStats& s, Metrics* metrics) {
  const double samples = std::max(1.0, s.samples);
  s.score.Log("critic/score", metrics);
  s.score.Log("critic/rewards", metrics);
  s.response_length.Log("response_length", metrics);
  s.prompt_length.Log("prompt_length", metrics);
  const Range& ended = s.terminated_length;
  if (ended.count > 0) {
    AddAll({{"completions/mean_terminated_length", ended.mean()},
            {"completions/max_terminated_length", ended.max},
            {"completions/min_terminated_length", ended.min}},
           metrics);
  }
  if (s.compared_groups > 0) {
    AddAll({{"frac_reward_zero_std", s.zero_spread_fraction()}}, metrics);
  }
  s.scores.Log(metrics);
  for (const auto& [name, range] : s.set_rewards) {
    metrics->emplace_back("reward/" + name + "/mean", range.mean());
  }
  AddAll({{"response_length/clip_ratio", s.truncated_fraction()},
          {"response/thinking_frac", s.thinking / samples},
          {"reward/all_correct_frac", s.all_correct / std::max(1.0, s.groups)},
          {"reward/all_wrong_frac", s.all_wrong / std::max(1.0, s.groups)},
          {"timing_s/gen", s.sampling_seconds.mean()},
          {"timing_s/reward", s.reward_wait_seconds.mean()},
          {"staleness/mean", s.staleness.mean()},
          {"staleness/max", s.staleness.count > 0 ? s.staleness.max : 0}},
         metrics);
}

void LogLearning(const LearningStats& s, Metrics* metrics) {
  s.advantage.Log("critic/advantages", metrics);
  s.value.Log("critic/values", metrics);
  s.value_return.Log("critic/returns", metrics);
  if (s.value.count > 0) {
    AddAll({{"critic/vf_explained_var", s.explained_variance}}, metrics);
  }
  const Range& w = s.importance;
  if (w.count == 0) return;
  const double mean_square = s.importance_squares / w.count;
  AddAll({{"rollout_corr/rollout_is_mean", w.mean()},
          {"rollout_corr/rollout_is_max", w.max},
          {"rollout_corr/rollout_is_min", w.min},
          {"rollout_corr/rollout_is_std",
           std::sqrt(std::max(0.0, mean_square - w.mean() * w.mean()))},
          {"rollout_corr/rollout_is_eff_sample_size",
           mean_square > 0 ? w.mean() * w.mean() / mean_square : 0},
          {"rollout_corr/rollout_rs_masked_fraction", s.masked / w.count}},
         metrics);
}

void LogFeeding(const StepGroups& step, Metrics* metrics) {
  const auto number = [](auto count) { return static_cast<double>(count); };
  AddAll({{"sampling/groups", number(step.groups.size())},
          {"sampling/dropped_zero_std", number(step.without_spread.size())},
          {"sampling/carried_over", number(step.carried_over)},
          {"sampling/cancelled", number(step.cancelled)},
          {"off_policy/dropped", number(step.too_old)}},
         metrics);
}

void LogMismatch(const LogprobMismatch& m, Metrics* metrics) {
  AddAll({{"rollout_corr/max_abs_diff", m.max_abs},
          {"rollout_corr/mean_abs_diff", m.mean_abs},
          {"rollout_corr/kl", m.kl},
          {"rollout_corr/k3_kl", m.k3_kl},
          {"rollout_corr/training_ppl", m.training_ppl},
          {"rollout_corr/training_log_ppl", m.training_log_ppl},
          {"rollout_corr/rollout_ppl", m.rollout_ppl},
          {"rollout_corr/rollout_log_ppl", m.rollout_log_ppl},
          {"rollout_corr/log_ppl_diff", m.log_ppl_diff},
          {"rollout_corr/log_ppl_abs_diff", m.log_ppl_abs_diff},
          {"rollout_corr/ppl_ratio", m.ppl_ratio},
          {"rollout_corr/chi2_token", m.chi2_token},
          {"rollout_corr/chi2_seq", m.chi2_seq},
          {"training/rollout_probs_diff_mean", m.prob_diff_mean},
          {"training/rollout_probs_diff_max", m.prob_diff_max},
          {"training/rollout_probs_diff_std", m.prob_diff_std},
          {"training/rollout_actor_probs_pearson_corr", m.prob_pearson}},
         metrics);
}

}  // namespace ponder
