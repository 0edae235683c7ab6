// HealthRules says in plain words whether a GRPO stage still learns, and when a
// run should stop rather than burn money.

#ifndef PONDER_MONITOR_HEALTH_H_
#define PONDER_MONITOR_HEALTH_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "monitor/event_writer.h"
#include "proto/config.pb.h"

namespace ponder {

// What the rules look at, of one step.
struct StepHealth {
  double unscorable_fraction = 0;   // Of the samples.
  double clip_ratio = 0;            // Share of samples cut at the token limit.
  double entropy = 0;               // Mean over tokens, nats.
  double logprob_diff_mean = 0;     // |sampler - learner|, mean over tokens.
  double zero_signal_fraction = 0;  // Groups whose rewards are all equal.
  double grad_norm = 0;             // Before clipping.
};

struct HealthReport {
  enum Verdict { kOk, kWarn, kStop };
  Verdict verdict = kOk;
  // One sentence: what the step looked like and which rules it broke.
  std::string line;
  // For kWarn and kStop: which rules were broken too often, and what to do.
  std::string advice;
  // health/RULE: 1 where the step broke the rule, else 0.
  Metrics metrics;
};

// Not thread-safe. Rules: unscorable, truncation, entropy_floor, mismatch,
// zero_signal and grad_norm. From the sixth step on, a rule that is broken in
// three steps in a row is a warning, or a stop if health.stop is set;
// entropy_floor and zero_signal (a policy may just have solved everything) only
// warn. A value that is not a number breaks its rule.
class HealthRules {
 public:
  explicit HealthRules(const HealthConfig& config) : config_(config) {}

  // `step` of the stage, from 1. Steps come in their order.
  HealthReport Check(int64_t step, const StepHealth& health);

 private:
  const HealthConfig config_;
  std::map<std::string, int> broken_in_a_row_;
};

}  // namespace ponder

#endif  // PONDER_MONITOR_HEALTH_H_
