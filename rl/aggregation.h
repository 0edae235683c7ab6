// How the losses of an update's tokens become one number.

#ifndef PONDER_RL_AGGREGATION_H_
#define PONDER_RL_AGGREGATION_H_

#include <cstdint>

namespace ponder {

enum class Aggregation {
  kTokenMean,         // DAPO, arXiv:2503.14476, sec. 3.3.
  kSeqMeanTokenMean,  // GRPO, arXiv:2402.03300, eq. 3.
  kSeqMeanTokenSum,
  kSeqMeanTokenSumNorm,  // Dr. GRPO, arXiv:2503.20783, sec. 3.1.
  kTokenSum,
};

// The whole of one optimizer update. Counts are of all its sequences that have
// a reward, those without advantage included, over all micro-batches and
// learner processes: what a token weighs does not depend on how it is cut.
struct LossScale {
  Aggregation aggregation = Aggregation::kTokenMean;
  int64_t tokens = 1;       // N: response tokens of the update, at least 1.
  int64_t sequences = 1;    // B: at least 1.
  int64_t norm_tokens = 1;  // L: the constant of kSeqMeanTokenSumNorm.
};

// The weight w_t of each token of a response of T tokens; loss = sum w_t l_t.
//
//   kTokenMean            1 / N
//   kSeqMeanTokenMean     1 / (B T)
//   kSeqMeanTokenSum      1 / B
//   kSeqMeanTokenSumNorm  1 / (B L)
//   kTokenSum             1
//
// Names as in verl's loss_agg_mode.
double TokenWeight(const LossScale& scale, int64_t response_tokens);

}  // namespace ponder

#endif  // PONDER_RL_AGGREGATION_H_
