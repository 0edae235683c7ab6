// What a run costs: processor time of this process and of what it started, and
// money from the configured price.

#ifndef PONDER_MONITOR_COST_H_
#define PONDER_MONITOR_COST_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "proto/config.pb.h"

namespace ponder {

// Processor time, user and system, of this process and all its descendants,
// those that have ended (and were waited for) included. Thread-safe.
double CoreSecondsOfProcessTree();

struct Cost {
  double core_seconds = 0;
  double money = 0;
  std::string currency;
};

// "412 core-seconds, 0.0046 USD".
std::string CostText(const Cost& cost);

// Thread-safe.
class CostMeter {
 public:
  explicit CostMeter(const CostConfig& config);

  // Time of workers on other machines, from their heartbeats.
  void AddCoreSeconds(double core_seconds) ABSL_LOCKS_EXCLUDED(mu_);

  // Since the meter was made.
  Cost Total() const ABSL_LOCKS_EXCLUDED(mu_);

  // Since the last Lap(), or since the meter was made: what a stage or a step
  // cost.
  Cost Lap() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  Cost Of(double core_seconds) const;
  double CoreSeconds() const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  const CostConfig config_;
  const double start_;  // Core-seconds of the process tree.
  mutable absl::Mutex mu_;
  double elsewhere_ ABSL_GUARDED_BY(mu_) = 0;  // Core-seconds.
  double lap_start_ ABSL_GUARDED_BY(mu_) = 0;  // Core-seconds since `start_`.
};

}  // namespace ponder

#endif  // PONDER_MONITOR_COST_H_
