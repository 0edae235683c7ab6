// Paged cache of keys and values: sequences own blocks of tokens, and samples
// of one prompt share the prompt's full blocks (as in vLLM, arXiv:2309.06180).

#ifndef PONDER_ROLLOUT_KV_CACHE_H_
#define PONDER_ROLLOUT_KV_CACHE_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "policy/device_kernels.h"
#include "policy/model_config.h"

namespace ponder {

// One block holds kBlockTokens tokens of all layers:
//
//   block: [layer] { keys [head G][token][K], values [head G][token][W] }
//
// G, K and W are ModelConfig's cache_heads(), cache_key_dim() and
// cache_value_dim(). Where W is 0 (multi-head latent attention) a value is the
// first part of its key.
//
// Blocks are handed out by number and counted by reference. Memory grows with
// use, in chunks, and is kept. Not thread-safe.
class KvCache {
 public:
  static constexpr int64_t kBlockTokens = 16;

  KvCache(const ModelConfig& config, at::ScalarType dtype, at::Device device);

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

  // Address of the block's first byte, on the device.
  int64_t address(int32_t block) const;

  // Where a block holds the keys and values of `layer`.
  CacheLayout Layout(int64_t layer) const;

  int64_t num_used_blocks() const {
    return static_cast<int64_t>(references_.size() - free_.size());
  }

 private:
  static constexpr int64_t kChunkBlocks = 64;

  // The bytes of one block, [block_bytes_].
  at::Tensor Bytes(int32_t block) const;

  const at::ScalarType dtype_;
  const at::Device device_;
  const int64_t num_heads_;
  const int64_t key_dim_;
  const int64_t value_dim_;
  const int64_t key_size_;  // Elements of one layer's keys in a block.
  const int64_t value_size_;
  const int64_t block_bytes_;
  std::vector<at::Tensor> chunks_;   // kChunkBlocks blocks each.
  std::vector<int32_t> references_;  // By block; 0: free.
  std::vector<int32_t> free_;
};

}  // namespace ponder

#endif  // PONDER_ROLLOUT_KV_CACHE_H_
