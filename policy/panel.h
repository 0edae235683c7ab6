// Weights of a few outputs packed side by side, for the products of
// linear_kernel.cc and bf16_product.cc.

#ifndef PONDER_POLICY_PANEL_H_
#define PONDER_POLICY_PANEL_H_

#include <cstdint>

#include "policy/vectors.h"

namespace ponder::kernels {

// Outputs that are computed together: their weights are packed so that two
// vectors hold the weights of one input.
constexpr int64_t kPanel = 2 * kLanes;

// One stage of turning 16 rows of 16 words into their columns: vectors (i, i +
// s) swap their halves of s lanes, for s = 1, 2, 4, 8. Words keep their bits,
// whatever they stand for.
template <int s>
PONDER_INLINE void SwapLanes(Floats& a, Floats& b) {
  Ints first, second;
  for (int lane = 0; lane < kLanes; ++lane) {
    first[lane] = (lane & s) != 0 ? kLanes + lane - s : lane;
    second[lane] = (lane & s) != 0 ? kLanes + lane : lane + s;
  }
  const Floats x = __builtin_shuffle(a, b, first);
  b = __builtin_shuffle(a, b, second);
  a = x;
}

template <int s>
PONDER_INLINE void TransposeStage(Floats (&rows)[kLanes]) {
  for (int i = 0; i < kLanes; ++i) {
    if ((i & s) == 0) SwapLanes<s>(rows[i], rows[i + s]);
  }
}

PONDER_INLINE void Transpose(Floats (&rows)[kLanes]) {
  TransposeStage<1>(rows);
  TransposeStage<2>(rows);
  TransposeStage<4>(rows);
  TransposeStage<8>(rows);
}

// The first n of a vector of sums, with their bias (or null), to y.
template <typename E>
PONDER_INLINE void StoreOutputs(Floats sum, const E* bias, int64_t n, E* y) {
  if (n <= 0) return;
  if (bias != nullptr) {
    sum += n >= kLanes ? Load(bias) : LoadSome(bias, n);
  }
  if (n >= kLanes) {
    Store(sum, y);
  } else {
    StoreSome(sum, y, n);
  }
}

}  // namespace ponder::kernels

#endif  // PONDER_POLICY_PANEL_H_
