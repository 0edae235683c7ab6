// The kernels of policy/kernels.h for NVIDIA's GPUs, and drawing a token. Same
// formulas, with one difference: attention takes its softmax as it goes over
// the keys, 32 at a time. A row of a result depends on that row's own inputs
// alone, and there are no atomic sums: the same call gives the same bits.
//
// Elements E are float or Bf16; arithmetic is float. Pointers are to device
// memory, contiguous. Calls are put on `stream` and return at once.

#ifndef PONDER_POLICY_CUDA_KERNELS_H_
#define PONDER_POLICY_CUDA_KERNELS_H_

#include <cstdint>

struct CUstream_st;

namespace ponder::cuda {

using Stream = CUstream_st*;  // CUDA's cudaStream_t.

// bfloat16 by its bits.
struct Bf16 {
  uint16_t bits;
};

// Largest head of keys and of values that attention takes: DeepSeek-V3's, with
// the latent as its value.
constexpr int64_t kMaxKeyDim = 576;
constexpr int64_t kMaxValueDim = 512;

// Letters as in policy/kernels.h. x, y [T, D], weight [D], rstd [T].
template <typename E>
void RmsNorm(const E* x, const E* weight, double eps, int64_t num_rows,
             int64_t size, E* y, float* rstd, Stream stream);

// Rows of `partial`, which sum the rows of x in stripes.
constexpr int64_t kStripes = 32;

// dx [T, D] and dweight [D]; partial [kStripes, D] is scratch.
template <typename E>
void RmsNormBackward(const E* x, const E* weight, const float* rstd,
                     const E* dy, int64_t num_rows, int64_t size, E* dx,
                     float* dweight, float* partial, Stream stream);

// y = silu(gate) * up of `size` elements.
template <typename E>
void SwiGlu(const E* gate, const E* up, int64_t size, E* y, Stream stream);

template <typename E>
void SwiGluBackward(const E* gate, const E* up, const E* dy, int64_t size,
                    E* dgate, E* dup, Stream stream);

void Sigmoid(const float* x, int64_t size, float* y, Stream stream);

// x, y [T, heads, K]; cos, sin [positions, K / 2].
template <typename E>
void Rope(const E* x, const int64_t* positions, const float* cos,
          const float* sin, float direction, int64_t num_rows,
          int64_t num_heads, int64_t head_dim, E* y, Stream stream);

// Keys and values side by side: k [T, G, K], v [T, G, W]. Row t belongs to the
// sequence of the rows first[t] .. last[t] and sees those up to itself.
template <typename E>
struct PackedKeys {
  const E* k;
  const E* v;
  const int64_t* first;  // [T]
  const int64_t* last;   // [T]
  int64_t num_kv_heads;
  int64_t key_dim;
  int64_t value_dim;
};

// Keys and values in a paged cache, as policy/device_kernels.h says.
template <typename E>
struct CachedKeys {
  const int64_t* blocks;
  const int64_t* first_block;  // [T]
  const int64_t* num_keys;     // [T]
  int64_t block_tokens;
  int64_t key_offset;
  int64_t value_offset;
  int64_t key_token_stride;
  int64_t key_head_stride;
  int64_t value_token_stride;
  int64_t value_head_stride;
};

// out [T, H, W], log_sum_exp [T, H] or null, of q [T, H, K]. Keys is PackedKeys
// or CachedKeys.
template <typename E, typename Keys>
void Attention(const E* q, const Keys& keys, double scale, int64_t num_rows,
               int64_t num_heads, int64_t num_kv_heads, int64_t key_dim,
               int64_t value_dim, E* out, float* log_sum_exp, Stream stream);

// dq, dk, dv; delta [T, H] is scratch.
template <typename E>
void AttentionBackward(const E* q, const PackedKeys<E>& keys, const E* out,
                       const float* log_sum_exp, const E* dout, double scale,
                       int64_t num_rows, int64_t num_heads, E* dq, E* dk, E* dv,
                       float* delta, Stream stream);

// Puts row t of rows [T, heads, size] where the cache keeps the last of the
// num_keys[t] tokens: at `offset` in its block, with these strides.
template <typename E>
void StoreInCache(const E* rows, const int64_t* blocks,
                  const int64_t* first_block, const int64_t* num_keys,
                  int64_t block_tokens, int64_t offset, int64_t token_stride,
                  int64_t head_stride, int64_t num_rows, int64_t num_heads,
                  int64_t size, Stream stream);

// log_sum_exp [T]; entropy [T] or null.
template <typename E>
void LogSumExp(const E* logits, double temperature, int64_t num_rows,
               int64_t vocab_size, float* log_sum_exp, float* entropy,
               Stream stream);

template <typename E>
void TokenLogprobs(const E* logits, const int64_t* ids, double temperature,
                   const float* log_sum_exp, int64_t num_rows,
                   int64_t vocab_size, float* logprobs, Stream stream);

template <typename E>
void TokenLogprobBackward(const int64_t* ids, const float* log_sum_exp,
                          const float* dlogprob, double temperature,
                          int64_t num_rows, int64_t vocab_size, E* logits,
                          Stream stream);

// Of each row of logits [N, V] one token: by inverse CDF in ascending id with
// the number uniform[n] in [0, 1), or the likeliest (the lowest of equals)
// where temperature[n] is 0. logprobs [N] as SampledToken's.
template <typename E>
void DrawTokens(const E* logits, const double* temperature,
                const double* uniform, int64_t num_rows, int64_t vocab_size,
                int64_t* ids, float* logprobs, Stream stream);

}  // namespace ponder::cuda

#endif  // PONDER_POLICY_CUDA_KERNELS_H_
