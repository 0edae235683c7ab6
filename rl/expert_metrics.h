// Metrics of how evenly a mixture of experts is used.

#ifndef PONDER_RL_EXPERT_METRICS_H_
#define PONDER_RL_EXPERT_METRICS_H_

#include "monitor/event_writer.h"
#include "proto/config.pb.h"
#include "rl/learner.h"

namespace ponder {

// Of an update's expert_tokens, for each layer whose experts got any:
//
//   experts/load/layer_LL/expert_EEE  its tokens over the mean, 1 if all are
//   even experts/max_violation/layer_LL    the largest of these - 1 (MaxVio of
//                                     arXiv:2408.15664, sec. 3)
//   experts/idle/layer_LL             experts without a token
//
// and experts/balance_loss where there is that loss. Nothing of a dense policy.
void AddExpertMetrics(const UpdateStats& stats, const LearnerConfig& config,
                      Metrics* metrics);

}  // namespace ponder

#endif  // PONDER_RL_EXPERT_METRICS_H_
