// Compute kernels of the decoder for the CPU: forward and backward.
//
// Rows are independent of each other: what a row of the result holds depends on
// that row's own inputs alone, with a fixed order of summation, whatever else
// is in the batch and however many threads run. Sampling and learning call the
// same functions, so both get the same bits (docs/numerics.md).
//
// Elements are float or at::BFloat16; arithmetic is float, and results are
// rounded once, to nearest even, where a tensor is written. All pointers are
// to contiguous memory unless a stride is given. Threads: each call uses
// LibTorch's intra-op pool. Thread-safe.
//
// Letters: T tokens (rows), D hidden size, H query heads, G key-value heads,
// K size of a head (of its value W, where it differs), V vocabulary.

#ifndef PONDER_POLICY_KERNELS_H_
#define PONDER_POLICY_KERNELS_H_

#include <cstdint>

namespace ponder::kernels {

// y = round(x * rsqrt(mean(x^2) + eps)) * weight  (RMSNorm, arXiv:1910.07467;
// rounding before the product as in transformers). x, y [T, D]; weight [D];
// rstd [T] float receives rsqrt(...), or is null.
template <typename E>
void RmsNorm(const E* x, const E* weight, double eps, int64_t num_rows,
             int64_t size, E* y, float* rstd);

// Given dy [T, D]: dx [T, D] and dweight [D] float (overwritten).
template <typename E>
void RmsNormBackward(const E* x, const E* weight, const float* rstd,
                     const E* dy, int64_t num_rows, int64_t size, E* dx,
                     float* dweight);

// y = silu(gate) * up (SwiGLU, arXiv:2002.05202), elementwise on rows of
// `size`; silu is rounded to E before the product.
template <typename E>
void SwiGlu(const E* gate, const E* up, int64_t num_rows, int64_t size, E* y);

template <typename E>
void SwiGluBackward(const E* gate, const E* up, const E* dy, int64_t num_rows,
                    int64_t size, E* dgate, E* dup);

// y = 1 / (1 + exp(-x)) for `size` numbers: a router's scores. LibTorch's own
// takes another routine for the last few numbers of a tensor.
void Sigmoid(const float* x, int64_t size, float* y);

// Rotates pairs (i, i + K/2) of every head: the half-split layout of Llama and
// Qwen. x, y [T, heads, K], with x_stride elements between tokens of x;
// cos, sin [positions, K/2] float; `direction` +1 forward, -1 backward.
template <typename E>
void Rope(const E* x, int64_t x_stride, const int64_t* positions,
          const float* cos, const float* sin, float direction, int64_t num_rows,
          int64_t num_heads, int64_t head_dim, E* y);

// The keys and values that one query row sees: tokens 0 .. num_keys - 1 of its
// sequence, in blocks. Token j of key head g starts at
//   key_blocks[j / block_tokens] + key_offset + g * key_head_stride
//     + (j % block_tokens) * key_token_stride,
// and the same for values.
template <typename E>
struct KeyValues {
  const E* const* key_blocks;
  const E* const* value_blocks;
  int64_t key_offset;
  int64_t value_offset;
  int64_t block_tokens;
  int64_t key_token_stride;
  int64_t key_head_stride;
  int64_t value_token_stride;
  int64_t value_head_stride;
};

// Causal attention: out = softmax(scale * q k^T) v for num_rows query rows,
// H query heads; query head h reads key head h / (H / G). Row t sees
// num_keys[t] tokens of keys[t]. q [T, H, K], keys of K elements, values of W;
// out [T, H, W]; log_sum_exp [T, H] float or null.
template <typename E>
void Attention(const E* q, const KeyValues<E>* keys, const int64_t* num_keys,
               double scale, int64_t num_rows, int64_t num_heads,
               int64_t num_kv_heads, int64_t key_dim, int64_t value_dim, E* out,
               float* log_sum_exp);

// Backward pass over packed sequences: cu_seqlens [num_sequences + 1] are the
// first rows of the sequences and the end. q [T, H, K]; out, dout [T, H, W];
// k [T, G, K]; v [T, G, W]; log_sum_exp [T, H]. Overwrites dq, dk, dv.
template <typename E>
void AttentionBackward(const E* q, const E* k, const E* v, const E* out,
                       const float* log_sum_exp, const E* dout,
                       const int64_t* cu_seqlens, int64_t num_sequences,
                       double scale, int64_t num_heads, int64_t num_kv_heads,
                       int64_t key_dim, int64_t value_dim, E* dq, E* dk, E* dv);

// Of each row of logits [T, V] divided by temperature: log_sum_exp [T] and, if
// not null, the entropy in nats [T] of its softmax.
template <typename E>
void LogSumExp(const E* logits, double temperature, int64_t num_rows,
               int64_t vocab_size, float* log_sum_exp, float* entropy);

// Log-probability of `id` in a row of logits, given the row's log_sum_exp.
template <typename E>
inline float TokenLogprob(const E* logits_row, int64_t id, double temperature,
                          float log_sum_exp) {
  return static_cast<float>(
             static_cast<double>(static_cast<float>(logits_row[id])) /
             temperature) -
         log_sum_exp;
}

// p[i] = softmax(logits / temperature)[i] for one row of V logits.
template <typename E>
void Probabilities(const E* logits, double temperature, float log_sum_exp,
                   int64_t vocab_size, float* p);

// The first id whose running sum of p [V] passes u times the whole sum, u in
// [0, 1).
int64_t InverseCdf(const float* p, double u, int64_t vocab_size);

// One token of a row of V logits, at `temperature` by InverseCdf() or, where
// that is 0, the likeliest (the lowest id of equals); and its log-probability
// at that temperature, at 1 for the likeliest.
template <typename E>
int64_t DrawToken(const E* logits, double temperature, double u,
                  int64_t vocab_size, float* logprob);

// In place: logits[t, i] <- dlogprob[t] * ([i == ids[t]] - p[t, i])
//                           / temperature,
// the gradient of the rows' TokenLogprob; p is the row's softmax.
template <typename E>
void TokenLogprobBackward(const int64_t* ids, const float* log_sum_exp,
                          const float* dlogprob, double temperature,
                          int64_t num_rows, int64_t vocab_size, E* logits);

}  // namespace ponder::kernels

#endif  // PONDER_POLICY_KERNELS_H_
