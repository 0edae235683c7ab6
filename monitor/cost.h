// What a run costs: processor time of its processes by what they did, GPU time,
// and money at the configured prices.

#ifndef PONDER_MONITOR_COST_H_
#define PONDER_MONITOR_COST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "proto/config.pb.h"

namespace ponder {

// Processor time, user and system, of this process and all its descendants,
// those that have ended (and were waited for) included. Thread-safe.
double CoreSecondsOfProcessTree();

// Of this process's children that have ended: not only its own, also those of a
// shell that became this program by exec. Thread-safe.
double CoreSecondsOfEndedChildren();

// Of each of these processes with its descendants; 0 of those that are gone.
// Thread-safe.
std::vector<double> CoreSecondsOfProcesses(const std::vector<int64_t>& pids);

struct Cost {
  double core_seconds = 0;
  double gpu_seconds = 0;
  double money = 0;
  std::string currency;
};

// Time at its price.
Cost CostOf(const CostConfig& config, double core_seconds, double gpu_seconds);

// "412 core-seconds, 0.0046 USD"; with GPU time "..., 60 GPU-seconds, ...".
std::string CostText(const Cost& cost);

// Core-seconds by phase. While the policy is evaluated all of them are
// evaluation's; else they are those of whoever spent them.
struct PhaseSeconds {
  double generation = 0;  // Workers.
  double reward = 0;      // The reward server with its programs.
  double learning = 0;    // The trainer, its learner processes, all the rest.
  double evaluation = 0;

  double total() const { return generation + reward + learning + evaluation; }
};

// Core-seconds of a run's processes, counted from anywhere, at one moment.
struct RoleSeconds {
  double workers = 0;
  double rewards = 0;
  double all = 0;  // These two included.
};

// Adds to `phases` what was spent between two readings. A process that ended in
// between takes its time to `all` alone; no phase ever shrinks.
void ChargePhases(const RoleSeconds& before, const RoleSeconds& now,
                  bool evaluating, PhaseSeconds* phases);

}  // namespace ponder

#endif  // PONDER_MONITOR_COST_H_
