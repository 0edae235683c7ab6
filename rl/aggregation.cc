#include "rl/aggregation.h"

namespace ponder {

double TokenWeight(const LossScale& scale, int64_t response_tokens) {
  const double sequences = static_cast<double>(scale.sequences);
  switch (scale.aggregation) {
    case Aggregation::kTokenMean:
      return 1 / static_cast<double>(scale.tokens);
    case Aggregation::kSeqMeanTokenMean:
      return 1 / (sequences * static_cast<double>(response_tokens));
    case Aggregation::kSeqMeanTokenSum:
      return 1 / sequences;
    case Aggregation::kSeqMeanTokenSumNorm:
      return 1 / (sequences * static_cast<double>(scale.norm_tokens));
    case Aggregation::kTokenSum:
      return 1;
  }
  return 0;
}

}  // namespace ponder
