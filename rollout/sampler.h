// Draws tokens from rows of logits.

#ifndef PONDER_ROLLOUT_SAMPLER_H_
#define PONDER_ROLLOUT_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"

namespace ponder {

struct SamplingParams {
  uint64_t key = 0;        // Random stream of the sample (base/philox.h).
  double temperature = 1;  // 0: the likeliest token, the lowest id of equals.
  int32_t top_k = 0;       // Keep the k likeliest tokens. 0: all.
  double top_p =
      1;  // Keep the likeliest tokens up to this probability. 1: all.
};

struct SampledToken {
  int32_t id;
  // log softmax(logits / temperature)[id] over the full vocabulary, whatever
  // top_k and top_p; at temperature 1 for a greedy token.
  float logprob;
};

// Draws a token of each row of logits [N, V], float32 or bfloat16 on any
// device: row n by inverse CDF in ascending token id with the random number
// (params[n].key, positions[n]), where positions[n] is the token's place in its
// response. Thread-safe.
std::vector<SampledToken> SampleTokens(
    const at::Tensor& logits, const std::vector<SamplingParams>& params,
    const std::vector<int64_t>& positions);

}  // namespace ponder

#endif  // PONDER_ROLLOUT_SAMPLER_H_
