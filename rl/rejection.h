// Rejection sampling: which samples of a policy are worth learning from.

#ifndef PONDER_RL_REJECTION_H_
#define PONDER_RL_REJECTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "proto/config.pb.h"
#include "rl/group_sampler.h"

namespace ponder {

// What became of a stage's samples. Each is counted once, by the first reason
// in this order; the shortest of a problem first, and in their order where
// equally long.
struct RejectionCounts {
  int64_t samples = 0;
  int64_t wrong = 0;  // Or unscorable.
  int64_t truncated = 0;
  int64_t too_long = 0;
  int64_t against_rule = 0;
  int64_t repeated = 0;     // The same response to the same problem.
  int64_t beyond_most = 0;  // More than max_per_problem.
  int64_t kept = 0;
  int64_t problems = 0;  // That something was kept of.

  // "kept 312 of 1024 samples, of 205 problems; dropped 600 wrong, ...".
  std::string Text() const;
  // The same, a number by name.
  nlohmann::ordered_json ToJson() const;
};

// Indices of the samples of each group that `keep` keeps, ascending; R1's
// second stage (arXiv:2501.12948, sec. 2.3.3) keeps correct responses without
// mixed languages and long paragraphs. Groups of the same problem of the same
// data set are one. A rule's component that could not be scored is not met.
std::vector<std::vector<int>> KeptSamples(
    const KeepSamples& keep, const std::vector<FinishedGroup>& groups,
    RejectionCounts* counts);

}  // namespace ponder

#endif  // PONDER_RL_REJECTION_H_
