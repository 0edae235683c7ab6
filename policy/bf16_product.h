// Products of bfloat16 by what processors have for them.

#ifndef PONDER_POLICY_BF16_PRODUCT_H_
#define PONDER_POLICY_BF16_PRODUCT_H_

#include <cstdint>

#include "c10/util/BFloat16.h"

namespace ponder::kernels {

// y = x w^T + bias for num_rows rows of x [.., in] and a panel of `outputs` (at
// most kPanel) rows of w [.., in]; y has `out` elements between rows. `scratch`
// holds in * kPanel floats.
using Bf16PanelProduct = void (*)(const at::BFloat16* x, int64_t num_rows,
                                  const at::BFloat16* w,
                                  const at::BFloat16* bias, int64_t in,
                                  int64_t outputs, int64_t out, float* scratch,
                                  at::BFloat16* y);

// By the matrix unit (AMX) or by dot products of pairs (AVX512_BF16), whichever
// this processor has; null if it has neither, or if `in` is no multiple of 32.
// Either adds up in an order of its own, but the same for every row whatever
// the others, and numbers that are not normal count as zero.
Bf16PanelProduct Bf16Product(int64_t in);

// One of them by name, for tests: "amx" or "pairs"; null if this processor does
// not have it.
Bf16PanelProduct Bf16ProductByName(const char* name);

}  // namespace ponder::kernels

#endif  // PONDER_POLICY_BF16_PRODUCT_H_
