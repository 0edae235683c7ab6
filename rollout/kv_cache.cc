#include "rollout/kv_cache.h"

#include "ATen/ops/empty.h"
#include "base/check.h"

namespace ponder {

KvCache::KvCache(const ModelConfig& config, at::ScalarType dtype,
                 at::Device device)
    : dtype_(dtype),
      device_(device),
      num_heads_(config.cache_heads()),
      key_dim_(config.cache_key_dim()),
      value_dim_(config.cache_value_dim()),
      key_size_(config.cache_heads() * kBlockTokens * key_dim_),
      value_size_(config.cache_heads() * kBlockTokens * value_dim_),
      block_bytes_(config.num_layers * (key_size_ + value_size_) *
                   static_cast<int64_t>(c10::elementSize(dtype))) {}

int32_t KvCache::Allocate() {
  if (free_.empty()) {
    const int32_t first = static_cast<int32_t>(references_.size());
    chunks_.push_back(
        at::empty({kChunkBlocks, block_bytes_},
                  at::TensorOptions().dtype(at::kByte).device(device_)));
    references_.resize(first + kChunkBlocks, 0);
    for (int32_t i = kChunkBlocks - 1; i >= 0; --i) free_.push_back(first + i);
  }
  const int32_t block = free_.back();
  free_.pop_back();
  references_[block] = 1;
  return block;
}

void KvCache::Release(int32_t block) {
  PONDER_CHECK(references_[block] > 0);
  if (--references_[block] == 0) free_.push_back(block);
}

int32_t KvCache::Copy(int32_t block) {
  const int32_t copy = Allocate();
  Bytes(copy).copy_(Bytes(block));
  return copy;
}

at::Tensor KvCache::Bytes(int32_t block) const {
  return chunks_[block / kChunkBlocks][block % kChunkBlocks];
}

int64_t KvCache::address(int32_t block) const {
  const auto* const chunk =
      static_cast<const char*>(chunks_[block / kChunkBlocks].const_data_ptr());
  return reinterpret_cast<int64_t>(chunk + block % kChunkBlocks * block_bytes_);
}

CacheLayout KvCache::Layout(int64_t layer) const {
  const bool stores_values = value_dim_ > 0;
  const int64_t key_offset = layer * (key_size_ + value_size_);
  const int64_t value_dim = stores_values ? value_dim_ : key_dim_;
  return {.block_tokens = kBlockTokens,
          .num_heads = num_heads_,
          .key_offset = key_offset,
          .key_token_stride = key_dim_,
          .key_head_stride = kBlockTokens * key_dim_,
          .value_offset = key_offset + (stores_values ? key_size_ : 0),
          .value_token_stride = value_dim,
          .value_head_stride = kBlockTokens * value_dim,
          .stores_values = stores_values};
}

}  // namespace ponder
