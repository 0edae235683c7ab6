// What one step of reinforcement learning looked like, as metrics.

#ifndef PONDER_RL_GRPO_METRICS_H_
#define PONDER_RL_GRPO_METRICS_H_

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "monitor/event_writer.h"
#include "monitor/score_metrics.h"
#include "rl/group_feeder.h"
#include "rl/learner.h"
#include "rl/mismatch.h"
#include "rl/train_group.h"

namespace ponder {

// Mean, largest and smallest of some numbers.
struct Range {
  double sum = 0, count = 0;
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();

  void Add(double x);
  double mean() const { return count > 0 ? sum / count : 0; }
  // PREFIX/{mean,max,min}; nothing without numbers.
  void Log(const std::string& prefix, Metrics* metrics) const;
};

// All that was sampled for one step, what was dropped since it has no signal
// included.
struct BatchStats {
  Range score, response_length, prompt_length;
  Range terminated_length;  // Of samples that ended by themselves.
  double samples = 0, truncated = 0, thinking = 0;
  double groups = 0, all_correct = 0, all_wrong = 0;  // Verdicts of a group.
  // Groups of at least two samples, and those in which no two rewards differ.
  double compared_groups = 0, zero_spread = 0;
  ScoreMetrics scores;
  std::map<std::string, Range> set_rewards;  // By data set.
  std::vector<float> lengths;  // Of the responses, for the histogram.
  Range sampling_seconds, reward_wait_seconds;
  Range staleness;     // Of groups, in policy versions.
  int64_t tokens = 0;  // Sampled.

  // A group that came back while `policy_version` is the newest. With
  // mask_truncated, samples that hit the token limit have no reward.
  void Add(const FinishedGroup& group, int64_t policy_version,
           bool mask_truncated);
  double truncated_fraction() const;
  double zero_spread_fraction() const;
  // Of the groups, or where an advantage is not relative to its group, of the
  // step: whether no two rewards differ.
  double zero_signal_fraction(const GrpoStage& stage) const;
};

// What is made of them, once it has advantages and importance weights.
struct LearningStats {
  Range advantage;  // Of tokens.
  Range value, value_return;
  double explained_variance = 0;  // Of the returns by the values.
  // Of the importance weights; without any they are none.
  Range importance;
  double importance_squares = 0;
  double masked = 0;  // Tokens with weight 0.

  void Add(const TrainGroup& group);

 private:
  double return_squares_ = 0, error_sum_ = 0, error_squares_ = 0;
};

void LogBatch(const BatchStats& stats, Metrics* metrics);
void LogLearning(const LearningStats& stats, Metrics* metrics);
void LogFeeding(const StepGroups& step, Metrics* metrics);
void LogMismatch(const LogprobMismatch& mismatch, Metrics* metrics);

}  // namespace ponder

#endif  // PONDER_RL_GRPO_METRICS_H_
