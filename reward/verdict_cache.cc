#include "reward/verdict_cache.h"

#include <bit>
#include <cstring>

namespace ponder {
namespace {

// FIPS 180-4, section 4.2.2.
constexpr uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

class Sha256 {
 public:
  void Add(absl::string_view bytes) {
    total_ += bytes.size();
    while (!bytes.empty()) {
      const size_t taken = std::min(bytes.size(), sizeof(block_) - used_);
      std::memcpy(block_ + used_, bytes.data(), taken);
      used_ += taken;
      bytes.remove_prefix(taken);
      if (used_ == sizeof(block_)) {
        Compress();
        used_ = 0;
      }
    }
  }

  std::array<uint32_t, 8> Finish() {
    const uint64_t num_bits = total_ * 8;
    Add(absl::string_view("\x80", 1));
    while (used_ != sizeof(block_) - 8) Add(absl::string_view("\0", 1));
    char size[8];
    for (int i = 0; i < 8; ++i) {
      size[i] = static_cast<char>(num_bits >> (56 - 8 * i));
    }
    Add(absl::string_view(size, sizeof(size)));
    return state_;
  }

 private:
  void Compress() {
    uint32_t w[64];
    for (int i = 0; i < 16; ++i) {
      w[i] = uint32_t{block_[4 * i]} << 24 | uint32_t{block_[4 * i + 1]} << 16 |
             uint32_t{block_[4 * i + 2]} << 8 | uint32_t{block_[4 * i + 3]};
    }
    for (int i = 16; i < 64; ++i) {
      const uint32_t s0 =
          std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const uint32_t s1 =
          std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (int i = 0; i < 64; ++i) {
      const uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const uint32_t t1 =
          h + s1 + ((e & f) ^ (~e & g)) + kRoundConstants[i] + w[i];
      const uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const uint32_t added[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; ++i) state_[i] += added[i];
  }

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                    0xa54ff53a, 0x510e527f, 0x9b05688c,
                                    0x1f83d9ab, 0x5be0cd19};
  uint8_t block_[64] = {};
  size_t used_ = 0;     // Bytes in block_.
  uint64_t total_ = 0;  // Bytes so far.
};

}  // namespace

VerdictCache::Key VerdictCache::MakeKey(absl::string_view program,
                                        absl::string_view tests,
                                        absl::string_view limits) {
  Sha256 hash;
  for (const absl::string_view part : {program, tests, limits}) {
    const uint64_t size = part.size();
    hash.Add(
        absl::string_view(reinterpret_cast<const char*>(&size), sizeof(size)));
    hash.Add(part);
  }
  return hash.Finish();
}

std::optional<VerdictCache::Entry> VerdictCache::Find(const Key& key) {
  absl::MutexLock lock(&mu_);
  const auto place = places_.find(key);
  if (place == places_.end()) return std::nullopt;
  order_.splice(order_.begin(), order_, place->second);
  return place->second->second;
}

void VerdictCache::Insert(const Key& key, Entry entry) {
  absl::MutexLock lock(&mu_);
  if (capacity_ == 0 || places_.count(key) > 0) return;
  if (order_.size() >= capacity_) {
    places_.erase(order_.back().first);
    order_.pop_back();
  }
  order_.emplace_front(key, std::move(entry));
  places_[key] = order_.begin();
}

size_t VerdictCache::size() const {
  absl::MutexLock lock(&mu_);
  return order_.size();
}

}  // namespace ponder
