// Tables of the rotary position embedding.

#ifndef PONDER_POLICY_ROPE_H_
#define PONDER_POLICY_ROPE_H_

#include <cstdint>
#include <vector>

#include "policy/model_config.h"

namespace ponder {

// cos and sin of position * frequency, times the attention factor of yarn:
// [num_positions, head_dim / 2] each, row by row.
struct RopeTable {
  int64_t half_dim;  // head_dim / 2.
  std::vector<float> cos;
  std::vector<float> sin;
};

// The frequencies [head_dim / 2], scaled as `rope` says (formulas: reference
// implementation of transformers, modeling_rope_utils; llama3: Llama 3.1's
// model card; yarn: arXiv:2309.00071, sec. 3). "dynamic" equals "default" up
// to max_position_embeddings; beyond it a frequency would depend on how long
// the sequence is in the end, which no cache can hold, so it is refused there.
std::vector<float> RopeFrequencies(const RopeConfig& rope, int64_t head_dim);

// 0.1 mscale ln(factor) + 1 (yarn's paper, eq. 22; mscale is DeepSeek's).
double YarnMscale(double factor, double mscale);

// Factor on cos and sin: 1 but for yarn.
double RopeAttentionFactor(const RopeConfig& rope);

RopeTable MakeRopeTable(const RopeConfig& rope, int64_t head_dim,
                        int64_t num_positions);

}  // namespace ponder

#endif  // PONDER_POLICY_ROPE_H_
