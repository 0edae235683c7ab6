#include "monitor/score_metrics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace ponder {
namespace {

// The smallest value that at least `percent` % of them do not exceed.
double Percentile(std::vector<double> values, size_t percent) {
  const size_t rank = (values.size() * percent + 99) / 100;
  const auto at = values.begin() + (std::max<size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

template <typename Score>
void ScoreMetrics::Tally::Count(const Score& score) {
  count += 1;
  correct += score.verdict() == CORRECT;
  wrong += score.verdict() == WRONG;
  unscorable += score.verdict() == UNSCORABLE;
  beyond_limits += score.beyond_limits();
  timeout += score.timed_out();
  seconds.push_back(score.seconds());
}

void ScoreMetrics::Tally::Log(const std::string& prefix,
                              Metrics* metrics) const {
  const auto add = [&](const char* name, double value) {
    metrics->push_back({absl::StrCat(prefix, "/", name), value});
  };
  add("correct_frac", correct / count);
  add("wrong_frac", wrong / count);
  add("unscorable_frac", unscorable / count);
  add("beyond_limits_frac", beyond_limits / count);
  add("timeout_frac", timeout / count);
  add("latency_s/p50", Percentile(seconds, 50));
  add("latency_s/p99", Percentile(seconds, 99));
  if (values.empty()) return;
  const double n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  add("mean", mean);
  add("std", n > 1 ? std::sqrt(squares / (n - 1)) : 0);
}

void ScoreMetrics::Add(const ScoredResponse& score) {
  responses_.Count(score);
  // Correct, but a weighted component could not be scored.
  if (score.verdict() != UNSCORABLE && !score.has_reward()) {
    responses_.unscorable += 1;
  }
  for (const ComponentScore& component : score.components()) {
    Tally& tally = components_[component.name()];
    tally.Count(component);
    if (component.has_value()) tally.values.push_back(component.value());
  }
}

void ScoreMetrics::Log(Metrics* metrics) const {
  if (responses_.count == 0) return;
  responses_.Log("reward", metrics);
  for (const auto& [name, tally] : components_) {
    tally.Log(absl::StrCat("rewards/", name), metrics);
  }
}

double ScoreMetrics::correct_fraction() const {
  return responses_.correct / std::max(1.0, responses_.count);
}

double ScoreMetrics::unscorable_fraction() const {
  return responses_.unscorable / std::max(1.0, responses_.count);
}

}  // namespace ponder
