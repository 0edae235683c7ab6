#include "rl/packing.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace ponder {

std::vector<std::vector<int64_t>> PackByTokens(
    const std::vector<int64_t>& lengths, int64_t max_tokens) {
  std::vector<int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return lengths[a] > lengths[b];
  });
  std::vector<std::vector<int64_t>> batches;
  std::vector<int64_t> tokens;
  size_t first_open = 0;  // Batches before it are full.
  for (const int64_t i : order) {
    size_t b = first_open;
    while (b < batches.size() && tokens[b] + lengths[i] > max_tokens) ++b;
    if (b == batches.size()) {
      batches.emplace_back();
      tokens.push_back(0);
    }
    batches[b].push_back(i);
    tokens[b] += lengths[i];
    while (first_open < batches.size() && tokens[first_open] >= max_tokens) {
      ++first_open;
    }
  }
  return batches;
}

}  // namespace ponder
