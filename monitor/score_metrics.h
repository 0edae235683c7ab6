// What the scores of one step looked like, as metrics.

#ifndef PONDER_MONITOR_SCORE_METRICS_H_
#define PONDER_MONITOR_SCORE_METRICS_H_

#include <map>
#include <string>
#include <vector>

#include "monitor/event_writer.h"
#include "proto/reward.pb.h"

namespace ponder {

// Of the responses as a whole, that is of their accuracy; but unscorable is
// also one that is correct or wrong and has no reward, because a component with
// a weight could not be scored:
//   reward/{correct,wrong,unscorable,beyond_limits,timeout}_frac
//   reward/latency_s/{p50,p99}      from when the service read a response on
// and of each component, where TRL's names end:
//   rewards/NAME/{mean,std}         over those that could be scored
//   rewards/NAME/{correct,wrong,unscorable,beyond_limits,timeout}_frac
//   rewards/NAME/latency_s/{p50,p99}     in the component's verifier
// Shares are of all responses. Not thread-safe.
class ScoreMetrics {
 public:
  void Add(const ScoredResponse& score);

  // Nothing if no score was added.
  void Log(Metrics* metrics) const;

  // Of the responses; 0 if there are none.
  double unscorable_fraction() const;
  double correct_fraction() const;

 private:
  struct Tally {
    double count = 0, correct = 0, wrong = 0, unscorable = 0;
    double beyond_limits = 0, timeout = 0;
    std::vector<double> values;   // Of those that could be scored.
    std::vector<double> seconds;  // Of each.

    // `Score`: ScoredResponse or ComponentScore.
    template <typename Score>
    void Count(const Score& score);
    void Log(const std::string& prefix, Metrics* metrics) const;
  };

  Tally responses_;
  std::map<std::string, Tally> components_;  // By name.
};

}  // namespace ponder

#endif  // PONDER_MONITOR_SCORE_METRICS_H_
