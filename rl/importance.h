// Correction for samples that another policy drew than the one at the start of
// the step.

#ifndef PONDER_RL_IMPORTANCE_H_
#define PONDER_RL_IMPORTANCE_H_

#include "ATen/core/Tensor.h"

namespace ponder {

enum class ImportanceMode {
  kNone,
  kTokenTruncate,
  kTokenMask,
  kSequenceTruncate,
  kSequenceMask,
};

struct ImportanceOptions {
  ImportanceMode mode = ImportanceMode::kNone;
  double low = 0.5;  // Of the masks.
  double high = 2;
};

// What the loss of each of the T tokens of one response is multiplied with,
// from w_t = exp(old_t - behavior_t):
//
//   kNone              1
//   kTokenTruncate     min(w_t, high)                       verl's rollout_is
//   kTokenMask         w_t where low <= w_t <= high, else 0       IcePop
//   kSequenceTruncate  min(W, high)
//   kSequenceMask      1 where low <= W <= high, else 0     verl's rollout_rs
//
// W = exp(mean_t log w_t), the geometric mean: a product of T ratios would mask
// every long thought. A masked token has weight 0 and still counts in the
// denominator of the loss, so that masking makes the rest not louder
// (arXiv:2505.24298; AReaL). log w_t is clamped to [-20, 20] (as in verl).
//
// old      [T] float64, of the policy at the start of the step.
// behavior [T] of the policy that sampled.
at::Tensor ImportanceWeights(const at::Tensor& old, const at::Tensor& behavior,
                             const ImportanceOptions& options);

}  // namespace ponder

#endif  // PONDER_RL_IMPORTANCE_H_
