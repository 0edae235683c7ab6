#include "rollout/kv_cache.h"

#include <cstring>

#include "ATen/ops/empty.h"
#include "base/check.h"

namespace ponder {

KvCache::KvCache(const ModelConfig& config, at::ScalarType dtype)
    : dtype_(dtype),
      key_dim_(config.cache_key_dim()),
      value_dim_(config.cache_value_dim()),
      key_size_(config.cache_heads() * kBlockTokens * key_dim_),
      value_size_(config.cache_heads() * kBlockTokens * value_dim_),
      block_bytes_(config.num_layers * (key_size_ + value_size_) *
                   static_cast<int64_t>(c10::elementSize(dtype))) {}

int32_t KvCache::Allocate() {
  if (free_.empty()) {
    const int32_t first = static_cast<int32_t>(references_.size());
    chunks_.push_back(at::empty({kChunkBlocks * block_bytes_}, at::kByte));
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
  std::memcpy(data(copy), data(block), static_cast<size_t>(block_bytes_));
  return copy;
}

char* KvCache::data(int32_t block) const {
  return static_cast<char*>(chunks_[block / kChunkBlocks].mutable_data_ptr()) +
         block % kChunkBlocks * block_bytes_;
}

}  // namespace ponder
