// Advantages of the samples of one prompt, relative to each other.

#ifndef PONDER_RL_ADVANTAGE_H_
#define PONDER_RL_ADVANTAGE_H_

#include "ATen/core/Tensor.h"

namespace ponder {

struct GroupAdvantages {
  at::Tensor advantages;  // [n] float64.
  // All rewards that count are equal, or fewer than two count: no signal.
  bool zero_spread = false;
};

// Of `rewards` [n] float64, NaN for a sample that has none. Such a sample is in
// neither mean nor deviation and gets A = 0; so does every sample of a group in
// which fewer than two count or all are equal. Means and n are over those that
// count.

// GRPO (arXiv:2402.03300, sec. 4.1.2), with the deviation of n - 1 as verl has
// it:
//
//   A_i = (r_i - mean(r)) / (std(r) + 1e-6)
GroupAdvantages GrpoAdvantages(const at::Tensor& rewards);

// Dr. GRPO (arXiv:2503.20783, sec. 3.2):
//
//   A_i = r_i - mean(r)
GroupAdvantages DrGrpoAdvantages(const at::Tensor& rewards);

// RLOO (arXiv:2402.14740, sec. 3.3), the mean being over the others:
//
//   A_i = r_i - mean_{j != i}(r_j) = n / (n - 1) (r_i - mean(r))
GroupAdvantages RlooAdvantages(const at::Tensor& rewards);

}  // namespace ponder

#endif  // PONDER_RL_ADVANTAGE_H_
