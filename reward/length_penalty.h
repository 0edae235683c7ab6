// DAPO's soft penalty on responses that are nearly too long.

#ifndef PONDER_REWARD_LENGTH_PENALTY_H_
#define PONDER_REWARD_LENGTH_PENALTY_H_

#include <cstdint>

namespace ponder {

//   0                                          n <= L_max - L_cache
//   ((L_max - L_cache) - n) / L_cache          up to L_max
//   -1                                         L_max < n
//
// arXiv:2503.14476, eq. 13, with n = num_tokens, L_max = max_tokens and
// L_cache = cache_tokens, all in tokens; DAPO has 20,480 and 4,096. At least 1
// is taken for both; a cache longer than L_max starts at 0 tokens.
double LengthPenalty(int64_t num_tokens, int64_t max_tokens,
                     int64_t cache_tokens);

}  // namespace ponder

#endif  // PONDER_REWARD_LENGTH_PENALTY_H_
