// The product of a layer on the CPU.

#ifndef PONDER_POLICY_LINEAR_KERNEL_H_
#define PONDER_POLICY_LINEAR_KERNEL_H_

#include <cstdint>

namespace ponder::kernels {

// y = x w^T + bias: x [T, in], w [out, in], bias [out] or null, y [T, out]. E
// is float or at::BFloat16; sums are float, and y is rounded once.
//
// An element of y is one sum over `in` in ascending order, by fused
// multiply-adds where the processor has them. So a row has the same bits
// whatever the other rows, their number and the number of threads, which no
// BLAS promises and MKL on Intel's processors does not do (docs/numerics.md).
// Threads: LibTorch's intra-op pool. Thread-safe.
template <typename E>
void Linear(const E* x, const E* w, const E* bias, int64_t num_rows, int64_t in,
            int64_t out, E* y);

// Weights in 8 bits, as GGUF's Q8_0 rounds them: 32 inputs share a factor. A
// row holds the integers of its inputs and then the factors as float; `in` is a
// multiple of 32.
constexpr int64_t kQ8Block = 32;
constexpr int64_t Q8RowBytes(int64_t in) {
  return in + in / kQ8Block * static_cast<int64_t>(sizeof(float));
}

// Rounds one row of finite weights [in] into Q8RowBytes(in) bytes.
void QuantizeQ8(const float* row, int64_t in, int8_t* quantized);

// As Linear(), with w [out, Q8RowBytes(in)].
template <typename E>
void LinearQ8(const E* x, const int8_t* w, const E* bias, int64_t num_rows,
              int64_t in, int64_t out, E* y);

}  // namespace ponder::kernels

#endif  // PONDER_POLICY_LINEAR_KERNEL_H_
