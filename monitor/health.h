// HealthRules says in plain words whether a GRPO stage still learns, and when a
// run should stop rather than burn money.

#ifndef PONDER_MONITOR_HEALTH_H_
#define PONDER_MONITOR_HEALTH_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "monitor/event_writer.h"
#include "nlohmann/json.hpp"
#include "proto/config.pb.h"

namespace ponder {

// What the rules look at, of one step.
struct StepHealth {
  double unscorable_fraction = 0;  // Of the samples.
  double correct_fraction = 0;     // Of the samples.
  double clip_ratio = 0;           // Share of samples cut at the token limit.
  // Mean over tokens, nats; none: nothing was learned from.
  std::optional<double> entropy = 0;
  // |sampler - learner|, mean over tokens that the policy itself sampled; none:
  // all were an older one's, or nothing was learned from.
  std::optional<double> logprob_diff_mean = 0;
  double zero_signal_fraction = 0;  // Groups whose rewards are all equal.
  double grad_norm = 0;             // Before clipping.
  double reward = 0;                // Mean over the samples.
  double response_length = 0;       // Mean, tokens.
};

struct HealthReport {
  enum Verdict { kOk, kWarn, kStop };
  // kWarn in the step in which a rule begins to act, not in those after it.
  Verdict verdict = kOk;
  // One sentence: what the step looked like and which rules it broke.
  std::string line;
  // For kWarn and kStop: which rules began to act, and what to do.
  std::string advice;
  // A sentence for each rule that acts, whether it began to or goes on to.
  std::vector<std::string> warnings;
  // health/RULE: 1 where the step broke the rule, else 0.
  Metrics metrics;
};

// Rules: zero_signal, truncation, entropy_floor, mismatch, unscorable,
// length_collapse, reward_hacking, grad_norm; their thresholds are
// HealthConfig's. From the sixth step on, a rule that is broken three steps in
// a row acts: it warns, or stops the run if it is one of those that may. A
// value that is not a number breaks its rule. Not thread-safe.
class HealthRules {
 public:
  explicit HealthRules(const HealthConfig& config);

  // `step` of the stage, from 1. Steps come in their order.
  HealthReport Check(int64_t step, const StepHealth& health);

  // Held-out accuracy, 0 to 1, of the policy after the last step that was
  // checked; before the first one it is that of the stage's start.
  void Evaluated(double accuracy);

  // What the rules remember, for a checkpoint.
  nlohmann::ordered_json ToJson() const;
  // Takes back what ToJson() gave; what is missing is forgotten.
  void FromJson(const nlohmann::ordered_json& json);

 private:
  // Steps in a row.
  struct Row {
    int broken = 0;
    int beyond = 0;  // Beyond the harder limit.
  };
  // The best evaluation so far, with the mean reward of the five steps before
  // it; none: of the stage's first five, which are to come.
  struct Best {
    double accuracy = 0;
    std::optional<double> reward;
  };
  struct Fall {
    double from = 0, to = 0;                // Accuracy.
    double reward_from = 0, reward_to = 0;  // Of the same two.
  };
  struct Rule;

  std::vector<Rule> Judge(const StepHealth& health) const;
  bool MayStop(HealthConfig::Rule rule) const;

  HealthConfig config_;
  std::map<HealthConfig::Rule, Row> rows_;
  // Of the stage's first five steps, and of the newest five.
  std::vector<double> first_rewards_, first_lengths_, last_rewards_;
  std::optional<Best> best_;
  std::optional<Fall> fall_;  // Of the newest evaluation against the best.
};

}  // namespace ponder

#endif  // PONDER_MONITOR_HEALTH_H_
