// Draws one token from a row of logits.

#ifndef PONDER_ROLLOUT_SAMPLER_H_
#define PONDER_ROLLOUT_SAMPLER_H_

#include <cstdint>

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

// Draws the token at place `position` of the response by inverse CDF in
// ascending token id, with the random number (key, position). logits [V] is one
// contiguous row, float32 or bfloat16. Thread-safe.
SampledToken SampleToken(const at::Tensor& logits, const SamplingParams& params,
                         int64_t position);

}  // namespace ponder

#endif  // PONDER_ROLLOUT_SAMPLER_H_
