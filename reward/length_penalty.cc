#include "reward/length_penalty.h"

#include <algorithm>

namespace ponder {

double LengthPenalty(int64_t num_tokens, int64_t max_tokens,
                     int64_t cache_tokens) {
  max_tokens = std::max<int64_t>(max_tokens, 1);
  cache_tokens = std::clamp<int64_t>(cache_tokens, 1, max_tokens);
  const int64_t free_tokens = max_tokens - cache_tokens;
  if (num_tokens <= free_tokens) return 0;
  if (num_tokens >= max_tokens) return -1;
  return static_cast<double>(free_tokens - num_tokens) /
         static_cast<double>(cache_tokens);
}

}  // namespace ponder
