// What a policy computes beyond LibTorch's own operations, on one kind of
// device.

#ifndef PONDER_POLICY_DEVICE_KERNELS_H_
#define PONDER_POLICY_DEVICE_KERNELS_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"

namespace ponder {

// Where one layer of a paged cache of keys and values keeps its numbers, in
// elements. Token j of a sequence is in its block j / block_tokens, and its key
// for key head g starts at
//   key_offset + g * key_head_stride + j % block_tokens * key_token_stride;
// the same for values.
struct CacheLayout {
  int64_t block_tokens;
  int64_t num_heads;
  int64_t key_offset;
  int64_t key_token_stride;
  int64_t key_head_stride;
  int64_t value_offset;
  int64_t value_token_stride;
  int64_t value_head_stride;
  // False where a value is the first part of its key.
  bool stores_values;
};

// The rows of one forward pass and their sequences' blocks in the cache. Row t
// is token num_keys[t] - 1 of its sequence and sees the tokens up to itself.
struct CachedRows {
  at::Tensor blocks;  // int64: addresses of blocks, list after list.
  at::Tensor
      first_block;      // [T] int64: where in `blocks` the row's list begins.
  at::Tensor num_keys;  // [T] int64.
};

// Tensors are contiguous, on the device, float32 or bfloat16 (E) or as given;
// results go into tensors that the caller made. Formulas, letters and what is
// promised of each row: policy/kernels.h. Thread-safe.
class DeviceKernels {
 public:
  virtual ~DeviceKernels() = default;

  // y = x W^T + b: x [T, D], weight [out, D], bias [out] or empty, y [T, out].
  virtual void Linear(const at::Tensor& x, const at::Tensor& weight,
                      const at::Tensor& bias, const at::Tensor& y) const = 0;

  // x, y [..., D], weight [D], rstd [rows] float32.
  virtual void RmsNorm(const at::Tensor& x, const at::Tensor& weight,
                       double eps, const at::Tensor& y,
                       const at::Tensor& rstd) const = 0;
  // dweight [D] float32.
  virtual void RmsNormBackward(const at::Tensor& x, const at::Tensor& weight,
                               const at::Tensor& rstd, const at::Tensor& dy,
                               const at::Tensor& dx,
                               const at::Tensor& dweight) const = 0;

  // All [T, F].
  virtual void SwiGlu(const at::Tensor& gate, const at::Tensor& up,
                      const at::Tensor& y) const = 0;
  virtual void SwiGluBackward(const at::Tensor& gate, const at::Tensor& up,
                              const at::Tensor& dy, const at::Tensor& dgate,
                              const at::Tensor& dup) const = 0;

  // float32 of any shape.
  virtual void Sigmoid(const at::Tensor& x, const at::Tensor& y) const = 0;

  // x, y [T, heads, K]; cos, sin [positions, K / 2] float32; direction 1 or -1.
  virtual void Rope(const at::Tensor& x, const at::Tensor& positions,
                    const at::Tensor& cos, const at::Tensor& sin,
                    double direction, const at::Tensor& y) const = 0;

  // q [T, H, K], k [T, G, K], v [T, G, W], out [T, H, W], log_sum_exp [T, H].
  virtual void PackedAttention(const at::Tensor& q, const at::Tensor& k,
                               const at::Tensor& v,
                               const std::vector<int64_t>& cu_seqlens,
                               double scale, const at::Tensor& out,
                               const at::Tensor& log_sum_exp) const = 0;
  virtual void PackedAttentionBackward(
      const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
      const at::Tensor& out, const at::Tensor& log_sum_exp,
      const at::Tensor& dout, const std::vector<int64_t>& cu_seqlens,
      double scale, const at::Tensor& dq, const at::Tensor& dk,
      const at::Tensor& dv) const = 0;

  // Puts the rows' k [T, G, K] and v [T, G, W] into the cache and attends to it
  // with q [T, H, K]. out [T, H, W].
  virtual void CachedAttention(const at::Tensor& q, const at::Tensor& k,
                               const at::Tensor& v, const CachedRows& rows,
                               const CacheLayout& layout, double scale,
                               const at::Tensor& out) const = 0;

  // logits [T, V]; log_sum_exp [T]; entropy [T], or undefined if not asked.
  virtual void LogSumExp(const at::Tensor& logits, double temperature,
                         const at::Tensor& log_sum_exp,
                         const at::Tensor& entropy) const = 0;
  // ids [T] int64, logprobs [T].
  virtual void TokenLogprobs(const at::Tensor& logits, const at::Tensor& ids,
                             double temperature, const at::Tensor& log_sum_exp,
                             const at::Tensor& logprobs) const = 0;
  // Overwrites logits with their gradient.
  virtual void TokenLogprobBackward(const at::Tensor& ids,
                                    const at::Tensor& log_sum_exp,
                                    const at::Tensor& dlogprobs,
                                    double temperature,
                                    const at::Tensor& logits) const = 0;

  // One token of each row of logits [T, V], with its log-probability; a
  // temperature of 0 takes the likeliest, and `uniform` in [0, 1) decides
  // elsewhere. temperatures, uniform [T] float64; ids [T] int64, logprobs [T].
  virtual void DrawTokens(const at::Tensor& logits,
                          const at::Tensor& temperatures,
                          const at::Tensor& uniform, const at::Tensor& ids,
                          const at::Tensor& logprobs) const = 0;
};

// The kernels of the device that `tensor` is on; OpenDevice() was called for it
// (policy/device.h).
const DeviceKernels& KernelsFor(const at::Tensor& tensor);

// Those of the CPU; policy/kernels.h.
const DeviceKernels& CpuKernels();

}  // namespace ponder

#endif  // PONDER_POLICY_DEVICE_KERNELS_H_
