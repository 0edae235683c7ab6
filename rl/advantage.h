// Advantages of the samples of one prompt.

#ifndef PONDER_RL_ADVANTAGE_H_
#define PONDER_RL_ADVANTAGE_H_

#include <optional>
#include <vector>

namespace ponder {

struct GroupAdvantages {
  std::vector<double> advantages;  // One for each sample.
  // All rewards that count are equal, or fewer than two count: no signal.
  bool zero_spread = false;
};

// GRPO (arXiv:2402.03300, sec. 4.1.2):
//
//   A_i = (r_i - mean(r)) / (std(r) + 1e-6)
//
// with the standard deviation of n - 1 (as verl has it). A sample without a
// reward is in neither mean nor deviation and gets A = 0; so does every sample
// of a group in which fewer than two count or all are equal.
GroupAdvantages GrpoAdvantages(
    const std::vector<std::optional<double>>& rewards);

}  // namespace ponder

#endif  // PONDER_RL_ADVANTAGE_H_
