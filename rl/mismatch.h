// How far the policy that sampled is from another one, by the log-probabilities
// of the sampled tokens.

#ifndef PONDER_RL_MISMATCH_H_
#define PONDER_RL_MISMATCH_H_

#include <cstdint>

#include "ATen/core/Tensor.h"

namespace ponder {

// With b_t of the sampler, p_t of the learner (logarithms), d_t = b_t - p_t.
// Means are over tokens, sequence by sequence where it says so; names as in
// verl's rollout_corr_helper.py, compute_offpolicy_metrics.
struct LogprobMismatch {
  int64_t tokens = 0;
  int64_t sequences = 0;
  double max_abs = 0;  // Of d.
  double mean_abs = 0;
  double kl = 0;                // mean d: k1 of KL(sampler || learner).
  double k3_kl = 0;             // mean(exp(-d) + d - 1).
  double training_log_ppl = 0;  // Mean over sequences of -mean p.
  double rollout_log_ppl = 0;   // ... and of -mean b.
  double training_ppl = 0;      // Mean over sequences of exp(-mean p).
  double rollout_ppl = 0;
  double log_ppl_diff = 0;      // Mean over sequences of mean d.
  double log_ppl_abs_diff = 0;  // ... of |mean d|.
  double ppl_ratio = 0;         // ... of exp(mean d).
  double chi2_token = 0;        // mean exp(-2 d) - 1.
  double chi2_seq = 0;          // Mean over sequences of exp(-2 sum d) - 1.
  // Of |exp(b) - exp(p)|.
  double prob_diff_mean = 0;
  double prob_diff_max = 0;
  double prob_diff_std = 0;
  double prob_pearson = 0;  // Correlation of exp(b) and exp(p).
};

// Takes in one sequence after the other. Logarithms that are taken to exp() are
// clamped to [-20, 20].
class MismatchMeter {
 public:
  // learner, sampler [T].
  void Add(const at::Tensor& learner, const at::Tensor& sampler);
  LogprobMismatch Result() const;

 private:
  LogprobMismatch sums_;
  double prob_diff_squares_ = 0;
  // Of the sampler's (b) and the learner's (p) probabilities.
  double sum_b_ = 0, sum_p_ = 0, sum_bb_ = 0, sum_pp_ = 0, sum_bp_ = 0;
};

}  // namespace ponder

#endif  // PONDER_RL_MISMATCH_H_
