// Paged cache of keys and values: sequences own blocks of tokens, and samples
// of one prompt share the prompt's full blocks (as in vLLM, arXiv:2309.06180).

#ifndef PONDER_ROLLOUT_KV_CACHE_H_
#define PONDER_ROLLOUT_KV_CACHE_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "policy/model_config.h"

namespace ponder {

// One block holds kBlockTokens tokens of all layers:
//
//   block: [layer][key 0, value 1][key head G][token][K]
//
// Blocks are handed out by number and counted by reference. Memory grows with
// use, in chunks, and is kept. Not thread-safe.
class KvCache {
 public:
  static constexpr int64_t kBlockTokens = 16;

  KvCache(const ModelConfig& config, at::ScalarType dtype);

  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;

  static int64_t BlocksFor(int64_t tokens) {
    return (tokens + kBlockTokens - 1) / kBlockTokens;
  }

  // A block with one reference; its content is undefined.
  int32_t Allocate();
  void AddReference(int32_t block) { ++references_[block]; }
  // The block is free again when its last reference goes.
  void Release(int32_t block);
  // A new block with the content of `block`.
  int32_t Copy(int32_t block);

  // First byte of the block.
  char* data(int32_t block) const;

  // Elements from a block's first to the keys and values of `layer`.
  int64_t KeyOffset(int64_t layer) const { return 2 * layer * layer_size_; }
  int64_t ValueOffset(int64_t layer) const {
    return (2 * layer + 1) * layer_size_;
  }
  // Elements between tokens, and between key heads.
  int64_t token_stride() const { return head_dim_; }
  int64_t head_stride() const { return kBlockTokens * head_dim_; }

  int64_t num_used_blocks() const {
    return static_cast<int64_t>(references_.size() - free_.size());
  }

 private:
  static constexpr int64_t kChunkBlocks = 64;

  const at::ScalarType dtype_;
  const int64_t head_dim_;
  const int64_t layer_size_;  // Elements of one layer's keys in a block.
  const int64_t block_bytes_;
  std::vector<at::Tensor> chunks_;   // kChunkBlocks blocks each.
  std::vector<int32_t> references_;  // By block; 0: free.
  std::vector<int32_t> free_;
};

}  // namespace ponder

#endif  // PONDER_ROLLOUT_KV_CACHE_H_
