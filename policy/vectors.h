// Vectors of sixteen floats, for the kernels of policy/ only. Files that
// include it are compiled with -Wno-psabi: no vector crosses a function that is
// not inlined.

#ifndef PONDER_POLICY_VECTORS_H_
#define PONDER_POLICY_VECTORS_H_

#include <cstdint>
#include <cstring>

#include "c10/util/BFloat16.h"

// Leaf functions are compiled for three instruction sets; the loader takes the
// best that the processor has. One process, one choice: same bits everywhere.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define PONDER_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PONDER_CLONES
#endif
#define PONDER_INLINE inline __attribute__((always_inline))

namespace ponder::kernels {

using at::BFloat16;

// Sixteen lanes; narrower machines split them.
constexpr int64_t kLanes = 16;
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));

template <typename To, typename From>
PONDER_INLINE To Bits(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

PONDER_INLINE Floats Splat(float x) { return Floats{} + x; }

PONDER_INLINE Floats Load(const float* p) {
  Floats x;
  std::memcpy(&x, p, sizeof(x));
  return x;
}

PONDER_INLINE Floats Load(const BFloat16* p) {
  Halves h;
  std::memcpy(&h, p, sizeof(h));
  return Bits<Floats>(__builtin_convertvector(h, Words) << 16);
}

PONDER_INLINE void Store(Floats x, float* p) { std::memcpy(p, &x, sizeof(x)); }

PONDER_INLINE void Store(Floats x, BFloat16* p) {
  const Words bits = Bits<Words>(x);
  // Round to nearest, ties to even; NaN stays NaN.
  const Words rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  const Ints is_nan = x != x;
  const Words word =
      (rounded & ~Bits<Words>(is_nan)) | (0x7FC0 & Bits<Words>(is_nan));
  const Halves h = __builtin_convertvector(word, Halves);
  std::memcpy(p, &h, sizeof(h));
}

// The first n < kLanes elements; the other lanes are zero.
template <typename E>
PONDER_INLINE Floats LoadSome(const E* p, int64_t n) {
  E padded[kLanes] = {};
  std::memcpy(padded, p, n * sizeof(E));
  return Load(padded);
}

template <typename E>
PONDER_INLINE void StoreSome(Floats x, E* p, int64_t n) {
  E padded[kLanes];
  Store(x, padded);
  std::memcpy(p, padded, n * sizeof(E));
}

// Rounds to E and back.
template <typename E>
PONDER_INLINE Floats Rounded(Floats x) {
  E lanes[kLanes];
  Store(x, lanes);
  return Load(lanes);
}
template <>
PONDER_INLINE Floats Rounded<float>(Floats x) {
  return x;
}

// Calls body(offset, load, store) for whole vectors and once for the rest.
template <typename Whole, typename Rest>
PONDER_INLINE void ForLanes(int64_t n, Whole whole, Rest rest) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) whole(i);
  if (i < n) rest(i, n - i);
}

}  // namespace ponder::kernels

#endif  // PONDER_POLICY_VECTORS_H_
