// Philox4x32-10, the counter-based random number generator of Salmon et al.,
// "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011): a number is a pure
// function of a key (what is drawn for) and a counter (which draw it is), so
// it does not matter who draws it, nor when.

#ifndef PONDER_BASE_PHILOX_H_
#define PONDER_BASE_PHILOX_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace ponder {

// Four random 32-bit numbers for one key and counter.
inline std::array<uint32_t, 4> Philox4x32(uint64_t key, uint64_t counter_high,
                                          uint64_t counter_low) {
  std::array<uint32_t, 4> c = {static_cast<uint32_t>(counter_low),
                               static_cast<uint32_t>(counter_low >> 32),
                               static_cast<uint32_t>(counter_high),
                               static_cast<uint32_t>(counter_high >> 32)};
  uint32_t k0 = static_cast<uint32_t>(key);
  uint32_t k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1,
         static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

// Uniform in [0, 1) with 53 bits, for the draw `counter` of the stream `key`.
inline double UniformDouble(uint64_t key, uint64_t counter) {
  const std::array<uint32_t, 4> r = Philox4x32(key, 0, counter);
  const uint64_t bits = (uint64_t{r[1]} << 32) | r[0];
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

// Builds the key of a stream from what the stream is for. The result depends on
// the order and on the boundaries of the parts. Not cryptographic.
class StreamKey {
 public:
  StreamKey& Add(uint64_t number) {
    const std::array<uint32_t, 4> r = Philox4x32(state_, ++parts_, number);
    state_ = (uint64_t{r[1]} << 32) | r[0];
    return *this;
  }
  StreamKey& Add(absl::string_view text) {
    uint64_t hash = 0xcbf29ce484222325;  // FNV-1a.
    for (const char byte : text) {
      hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
    }
    return Add(hash);
  }
  uint64_t key() const { return state_; }

 private:
  uint64_t state_ = 0;
  uint64_t parts_ = 0;
};

// A sequential view of one stream, for generators and shuffles. Meets the
// requirements of a C++ uniform random bit generator. Not thread-safe.
class RandomStream {
 public:
  using result_type = uint64_t;

  explicit RandomStream(uint64_t key) : key_(key) {}

  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return ~uint64_t{0}; }

  uint64_t operator()() {
    const std::array<uint32_t, 4> r = Philox4x32(key_, 0, counter_++);
    return (uint64_t{r[1]} << 32) | r[0];
  }

  // Uniform in [low, high], both ends included, without bias.
  int64_t Int(int64_t low, int64_t high) {
    const uint64_t span = static_cast<uint64_t>(high - low) + 1;
    if (span == 0) return static_cast<int64_t>((*this)());
    const uint64_t limit = max() - max() % span;  // A multiple of span.
    uint64_t draw;
    do {
      draw = (*this)();
    } while (draw >= limit);
    return low + static_cast<int64_t>(draw % span);
  }

  // Uniform in [0, 1).
  double Double() { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }

  // Fisher-Yates; unlike std::shuffle the same with every standard library.
  template <typename Container>
  void Shuffle(Container& items) {
    for (size_t i = items.size(); i > 1; --i) {
      using std::swap;
      swap(items[i - 1],
           items[static_cast<size_t>(Int(0, static_cast<int64_t>(i) - 1))]);
    }
  }

 private:
  const uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace ponder

#endif  // PONDER_BASE_PHILOX_H_
