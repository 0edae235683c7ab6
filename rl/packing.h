// Packs token sequences of any length into micro-batches by a token budget.

#ifndef PONDER_RL_PACKING_H_
#define PONDER_RL_PACKING_H_

#include <cstdint>
#include <vector>

namespace ponder {

// Indices of `lengths` in batches of at most max_tokens tokens: first fit in
// descending order of length, ties by index. A sequence that is longer than
// max_tokens is a batch of its own. Every index comes once.
std::vector<std::vector<int64_t>> PackByTokens(
    const std::vector<int64_t>& lengths, int64_t max_tokens);

}  // namespace ponder

#endif  // PONDER_RL_PACKING_H_
