// Compiled by nvcc, and by any C++ compiler with emulated_cuda.h in front,
// which is how they are tested where there is no GPU.

#include <cfloat>
#include <cmath>
#include <cstring>

#include "policy/cuda/kernels.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#endif

namespace ponder::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kWarpsPerBlock = 4;  // Where a warp has work of its own.
constexpr int kThreads = 256;      // Elsewhere.

#ifdef __CUDACC__
template <typename... P, typename... A>
void Launch(void (*kernel)(P...), int64_t blocks, int threads, Stream stream,
            A... arguments) {
  if (blocks == 0) return;
  kernel<<<static_cast<unsigned>(blocks), threads, 0, stream>>>(arguments...);
}
#endif

int64_t Blocks(int64_t items, int64_t items_per_block) {
  return (items + items_per_block - 1) / items_per_block;
}

__device__ inline float ToFloat(float x) { return x; }
__device__ inline float ToFloat(Bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float result;
  memcpy(&result, &bits, sizeof(result));
  return result;
}

// Rounds to nearest, ties to even; NaN stays NaN.
template <typename E>
__device__ inline E FromFloat(float x);
template <>
__device__ inline float FromFloat<float>(float x) {
  return x;
}
template <>
__device__ inline Bf16 FromFloat<Bf16>(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  if (x != x) return {0x7FC0};
  return {static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
}

template <typename E>
__device__ inline float Rounded(float x) {
  return ToFloat(FromFloat<E>(x));
}

// The sum of all lanes, in every lane.
template <typename T>
__device__ inline T WarpSum(T x) {
  for (int d = kWarp / 2; d > 0; d /= 2) x += __shfl_xor_sync(~0u, x, d);
  return x;
}

__device__ inline float WarpMax(float x) {
  for (int d = kWarp / 2; d > 0; d /= 2) {
    x = fmaxf(x, __shfl_xor_sync(~0u, x, d));
  }
  return x;
}

__device__ inline float Max(float a, float b) { return fmaxf(a, b); }
__device__ inline float Add(float a, float b) { return a + b; }

// Of all threads of a block, in every thread.
__device__ inline float BlockReduce(float x, float (*combine)(float, float)) {
  __shared__ float lanes[kThreads];
  __syncthreads();
  lanes[threadIdx.x] = x;
  __syncthreads();
  for (int width = kThreads / 2; width > 0; width /= 2) {
    if (threadIdx.x < width) {
      lanes[threadIdx.x] =
          combine(lanes[threadIdx.x], lanes[threadIdx.x + width]);
    }
    __syncthreads();
  }
  return lanes[0];
}

__device__ inline int Lane() { return threadIdx.x % kWarp; }
// Number of this warp in the grid.
__device__ inline int64_t Warp() {
  return static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock +
         threadIdx.x / kWarp;
}
// Number of this thread in the grid.
__device__ inline int64_t Thread() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// ---------------------------------------------------------------- RMSNorm

template <typename E>
__global__ void RmsNormKernel(const E* x, const E* weight, float eps,
                              int64_t num_rows, int64_t size, E* y,
                              float* rstd) {
  const int64_t row = Warp();
  if (row >= num_rows) return;
  x += row * size;
  y += row * size;
  float sum = 0;
  for (int64_t i = Lane(); i < size; i += kWarp) {
    const float v = ToFloat(x[i]);
    sum += v * v;
  }
  const float r = 1.0f / sqrtf(WarpSum(sum) / static_cast<float>(size) + eps);
  for (int64_t i = Lane(); i < size; i += kWarp) {
    y[i] = FromFloat<E>(Rounded<E>(ToFloat(x[i]) * r) * ToFloat(weight[i]));
  }
  if (rstd != nullptr && Lane() == 0) rstd[row] = r;
}

template <typename E>
__global__ void RmsNormInputGradKernel(const E* x, const E* weight,
                                       const float* rstd, const E* dy,
                                       int64_t num_rows, int64_t size, E* dx) {
  const int64_t row = Warp();
  if (row >= num_rows) return;
  x += row * size;
  dy += row * size;
  dx += row * size;
  float sum = 0;
  for (int64_t i = Lane(); i < size; i += kWarp) {
    sum += ToFloat(x[i]) * ToFloat(weight[i]) * ToFloat(dy[i]);
  }
  const float r = rstd[row];
  const float c = WarpSum(sum) * r * r / static_cast<float>(size);
  for (int64_t i = Lane(); i < size; i += kWarp) {
    dx[i] = FromFloat<E>(
        (ToFloat(dy[i]) * ToFloat(weight[i]) - ToFloat(x[i]) * c) * r);
  }
}

// A thread for each element of `partial`.
template <typename E>
__global__ void RmsNormWeightGradKernel(const E* x, const float* rstd,
                                        const E* dy, int64_t num_rows,
                                        int64_t size, float* partial) {
  const int64_t i = Thread();
  if (i >= kStripes * size) return;
  const int64_t stripe = i / size;
  const int64_t column = i % size;
  float sum = 0;
  const int64_t end = num_rows * (stripe + 1) / kStripes;
  for (int64_t t = num_rows * stripe / kStripes; t < end; ++t) {
    sum += ToFloat(dy[t * size + column]) * ToFloat(x[t * size + column]) *
           rstd[t];
  }
  partial[i] = sum;
}

__global__ void SumStripesKernel(const float* partial, int64_t size,
                                 float* sums) {
  const int64_t column = Thread();
  if (column >= size) return;
  float sum = 0;
  for (int64_t s = 0; s < kStripes; ++s) sum += partial[s * size + column];
  sums[column] = sum;
}

// ------------------------------------------------------- SwiGLU and RoPE

__device__ inline float SigmoidOf(float x) { return 1.0f / (1.0f + expf(-x)); }

template <typename E>
__global__ void SwiGluKernel(const E* gate, const E* up, int64_t size, E* y) {
  const int64_t i = Thread();
  if (i >= size) return;
  const float g = ToFloat(gate[i]);
  y[i] = FromFloat<E>(Rounded<E>(g * SigmoidOf(g)) * ToFloat(up[i]));
}

// silu'(g) = s + g s (1 - s), s = sigmoid(g).
template <typename E>
__global__ void SwiGluBackwardKernel(const E* gate, const E* up, const E* dy,
                                     int64_t size, E* dgate, E* dup) {
  const int64_t i = Thread();
  if (i >= size) return;
  const float g = ToFloat(gate[i]), d = ToFloat(dy[i]), s = SigmoidOf(g);
  dup[i] = FromFloat<E>(d * (g * s));
  dgate[i] = FromFloat<E>(d * ToFloat(up[i]) * (s + g * s * (1.0f - s)));
}

__global__ void SigmoidKernel(const float* x, int64_t size, float* y) {
  const int64_t i = Thread();
  if (i < size) y[i] = SigmoidOf(x[i]);
}

// A thread for each pair of elements.
template <typename E>
__global__ void RopeKernel(const E* x, const int64_t* positions,
                           const float* cos, const float* sin, float direction,
                           int64_t num_pairs, int64_t num_heads,
                           int64_t head_dim, E* y) {
  const int64_t pair = Thread();
  if (pair >= num_pairs) return;
  const int64_t half = head_dim / 2;
  const int64_t i = pair % half;
  const int64_t head = pair / half;  // Of all tokens.
  const int64_t angle = positions[head / num_heads] * half + i;
  const float c = cos[angle], s = sin[angle] * direction;
  const int64_t at = head * head_dim + i;
  const float a = ToFloat(x[at]), b = ToFloat(x[at + half]);
  y[at] = FromFloat<E>(a * c - b * s);
  y[at + half] = FromFloat<E>(b * c + a * s);
}

// -------------------------------------------------------------- Attention

// Where a row finds token j of its sequence.
template <typename E>
__device__ inline int64_t NumKeys(const PackedKeys<E>& keys, int64_t row) {
  return row - keys.first[row] + 1;
}
template <typename E>
__device__ inline const E* Key(const PackedKeys<E>& keys, int64_t row,
                               int64_t head, int64_t j) {
  return keys.k +
         ((keys.first[row] + j) * keys.num_kv_heads + head) * keys.key_dim;
}
template <typename E>
__device__ inline const E* Value(const PackedKeys<E>& keys, int64_t row,
                                 int64_t head, int64_t j) {
  return keys.v +
         ((keys.first[row] + j) * keys.num_kv_heads + head) * keys.value_dim;
}

template <typename E>
__device__ inline int64_t NumKeys(const CachedKeys<E>& keys, int64_t row) {
  return keys.num_keys[row];
}
template <typename E>
__device__ inline const E* Block(const CachedKeys<E>& keys, int64_t row,
                                 int64_t j) {
  return reinterpret_cast<const E*>(
      keys.blocks[keys.first_block[row] + j / keys.block_tokens]);
}
template <typename E>
__device__ inline const E* Key(const CachedKeys<E>& keys, int64_t row,
                               int64_t head, int64_t j) {
  return Block(keys, row, j) + keys.key_offset + head * keys.key_head_stride +
         j % keys.block_tokens * keys.key_token_stride;
}
template <typename E>
__device__ inline const E* Value(const CachedKeys<E>& keys, int64_t row,
                                 int64_t head, int64_t j) {
  return Block(keys, row, j) + keys.value_offset +
         head * keys.value_head_stride +
         j % keys.block_tokens * keys.value_token_stride;
}

template <typename E>
__device__ inline float Dot(const float* a, const E* b, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * ToFloat(b[i]);
  return sum;
}

// A vector that the lanes of a warp hold together: lane l the elements
// l, l + 32, ... in registers.
template <int64_t kMaxDim>
struct WarpVector {
  static constexpr int kPerLane = static_cast<int>(kMaxDim / kWarp);
  float part[kPerLane];

  __device__ void Clear() {
    for (int c = 0; c < kPerLane; ++c) part[c] = 0;
  }
  __device__ void Scale(float factor) {
    for (int c = 0; c < kPerLane; ++c) part[c] *= factor;
  }
  // += factor * x, x [dim].
  template <typename E>
  __device__ void AddScaled(float factor, const E* x, int64_t dim) {
#pragma unroll
    for (int c = 0; c < kPerLane; ++c) {
      const int64_t i = c * kWarp + Lane();
      if (i < dim) part[c] += factor * ToFloat(x[i]);
    }
  }
  template <typename E>
  __device__ void Store(E* x, int64_t dim) const {
#pragma unroll
    for (int c = 0; c < kPerLane; ++c) {
      const int64_t i = c * kWarp + Lane();
      if (i < dim) x[i] = FromFloat<E>(part[c]);
    }
  }
};

// The lanes of a warp copy x [dim] to where each of them can read all of it.
template <typename E>
__device__ inline void ShareInWarp(const E* x, int64_t dim, float* shared) {
  for (int64_t i = Lane(); i < dim; i += kWarp) shared[i] = ToFloat(x[i]);
  __syncwarp();
}

// A warp for each query of each head. Each lane takes the score of one of 32
// keys; then all lanes add up the 32 values.
template <typename E, typename Keys>
__global__ void AttentionKernel(const E* q, Keys keys, float scale,
                                int64_t num_queries, int64_t num_heads,
                                int64_t heads_per_group, int64_t key_dim,
                                int64_t value_dim, E* out, float* log_sum_exp) {
  __shared__ float queries[kWarpsPerBlock][kMaxKeyDim];
  const int64_t query = Warp();
  if (query >= num_queries) return;
  const int64_t row = query / num_heads;
  const int64_t head = query % num_heads / heads_per_group;
  float* const mine = queries[threadIdx.x / kWarp];
  ShareInWarp(q + query * key_dim, key_dim, mine);

  const int64_t num_keys = NumKeys(keys, row);
  WarpVector<kMaxValueDim> sum;
  sum.Clear();
  float max = -INFINITY;
  float total = 0;
  for (int64_t begin = 0; begin < num_keys; begin += kWarp) {
    const int64_t j = begin + Lane();
    const float score =
        j < num_keys ? Dot(mine, Key(keys, row, head, j), key_dim) * scale
                     : -INFINITY;
    const float new_max = fmaxf(max, WarpMax(score));
    const float p = expf(score - new_max);
    const float keep = expf(max - new_max);
    max = new_max;
    total = total * keep + WarpSum(p);
    sum.Scale(keep);
    const int n =
        static_cast<int>(num_keys - begin < kWarp ? num_keys - begin : kWarp);
    for (int i = 0; i < n; ++i) {
      sum.AddScaled(__shfl_sync(~0u, p, i), Value(keys, row, head, begin + i),
                    value_dim);
    }
  }
  sum.Scale(1.0f / total);
  sum.Store(out + query * value_dim, value_dim);
  if (log_sum_exp != nullptr && Lane() == 0) {
    log_sum_exp[query] = max + logf(total);
  }
}

// A warp for each query: dq, and delta = dout . out for the other kernel.
template <typename E>
__global__ void AttentionQueryGradKernel(const E* q, PackedKeys<E> keys,
                                         const E* out, const float* log_sum_exp,
                                         const E* dout, float scale,
                                         int64_t num_queries, int64_t num_heads,
                                         E* dq, float* deltas) {
  __shared__ float queries[kWarpsPerBlock][kMaxKeyDim];
  __shared__ float grads[kWarpsPerBlock][kMaxValueDim];
  const int64_t query = Warp();
  if (query >= num_queries) return;
  const int64_t row = query / num_heads;
  const int64_t head = query % num_heads / (num_heads / keys.num_kv_heads);
  float* const mine = queries[threadIdx.x / kWarp];
  float* const grad = grads[threadIdx.x / kWarp];
  ShareInWarp(q + query * keys.key_dim, keys.key_dim, mine);
  ShareInWarp(dout + query * keys.value_dim, keys.value_dim, grad);
  float delta = 0;
  for (int64_t i = Lane(); i < keys.value_dim; i += kWarp) {
    delta += grad[i] * ToFloat(out[query * keys.value_dim + i]);
  }
  delta = WarpSum(delta);
  if (Lane() == 0) deltas[query] = delta;

  const int64_t num_keys = NumKeys(keys, row);
  WarpVector<kMaxKeyDim> sum;
  sum.Clear();
  for (int64_t begin = 0; begin < num_keys; begin += kWarp) {
    const int64_t j = begin + Lane();
    float ds = 0;
    if (j < num_keys) {
      const float score =
          Dot(mine, Key(keys, row, head, j), keys.key_dim) * scale;
      const float dp = Dot(grad, Value(keys, row, head, j), keys.value_dim);
      ds = expf(score - log_sum_exp[query]) * (dp - delta) * scale;
    }
    const int n =
        static_cast<int>(num_keys - begin < kWarp ? num_keys - begin : kWarp);
    for (int i = 0; i < n; ++i) {
      sum.AddScaled(__shfl_sync(~0u, ds, i), Key(keys, row, head, begin + i),
                    keys.key_dim);
    }
  }
  sum.Store(dq + query * keys.key_dim, keys.key_dim);
}

// A warp for each key of each head: dk and dv, from the queries that see it.
template <typename E>
__global__ void AttentionKeyGradKernel(const E* q, PackedKeys<E> keys,
                                       const float* log_sum_exp, const E* dout,
                                       const float* deltas, float scale,
                                       int64_t num_keys, int64_t num_heads,
                                       E* dk, E* dv) {
  __shared__ float shared_keys[kWarpsPerBlock][kMaxKeyDim];
  __shared__ float shared_values[kWarpsPerBlock][kMaxValueDim];
  const int64_t key = Warp();
  if (key >= num_keys) return;
  const int64_t row = key / keys.num_kv_heads;
  const int64_t heads_per_group = num_heads / keys.num_kv_heads;
  const int64_t first_head = key % keys.num_kv_heads * heads_per_group;
  float* const mine = shared_keys[threadIdx.x / kWarp];
  float* const value = shared_values[threadIdx.x / kWarp];
  ShareInWarp(keys.k + key * keys.key_dim, keys.key_dim, mine);
  ShareInWarp(keys.v + key * keys.value_dim, keys.value_dim, value);

  // Number n of the queries is head n % heads_per_group of row
  // row + n / heads_per_group.
  const int64_t num_queries = (keys.last[row] - row + 1) * heads_per_group;
  WarpVector<kMaxKeyDim> key_sum;
  WarpVector<kMaxValueDim> value_sum;
  key_sum.Clear();
  value_sum.Clear();
  for (int64_t begin = 0; begin < num_queries; begin += kWarp) {
    const int64_t n = begin + Lane();
    const int64_t query = (row + n / heads_per_group) * num_heads + first_head +
                          n % heads_per_group;
    float p = 0, ds = 0;
    if (n < num_queries) {
      const float score =
          Dot(mine, q + query * keys.key_dim, keys.key_dim) * scale;
      const float dp =
          Dot(value, dout + query * keys.value_dim, keys.value_dim);
      p = expf(score - log_sum_exp[query]);
      ds = p * (dp - deltas[query]) * scale;
    }
    const int count = static_cast<int>(
        num_queries - begin < kWarp ? num_queries - begin : kWarp);
    for (int i = 0; i < count; ++i) {
      const int64_t other = __shfl_sync(~0u, query, i);
      key_sum.AddScaled(__shfl_sync(~0u, ds, i), q + other * keys.key_dim,
                        keys.key_dim);
      value_sum.AddScaled(__shfl_sync(~0u, p, i), dout + other * keys.value_dim,
                          keys.value_dim);
    }
  }
  key_sum.Store(dk + key * keys.key_dim, keys.key_dim);
  value_sum.Store(dv + key * keys.value_dim, keys.value_dim);
}

// A thread for each element of rows.
template <typename E>
__global__ void StoreInCacheKernel(const E* rows, const int64_t* blocks,
                                   const int64_t* first_block,
                                   const int64_t* num_keys,
                                   int64_t block_tokens, int64_t offset,
                                   int64_t token_stride, int64_t head_stride,
                                   int64_t num_elements, int64_t num_heads,
                                   int64_t size) {
  const int64_t element = Thread();
  if (element >= num_elements) return;
  const int64_t i = element % size;
  const int64_t head = element / size % num_heads;
  const int64_t row = element / size / num_heads;
  const int64_t place = num_keys[row] - 1;
  E* const block =
      reinterpret_cast<E*>(blocks[first_block[row] + place / block_tokens]);
  block[offset + place % block_tokens * token_stride + head * head_stride + i] =
      rows[element];
}

// ------------------------------------------------------------ Log-softmax

template <typename E>
__device__ inline float RowMax(const E* logits, float inverse, int64_t n) {
  float max = -FLT_MAX;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    max = fmaxf(max, ToFloat(logits[i]) * inverse);
  }
  return BlockReduce(max, Max);
}

template <typename E>
__device__ inline float RowSum(const E* logits, float inverse, float max,
                               int64_t n) {
  float sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    sum += expf(ToFloat(logits[i]) * inverse - max);
  }
  return BlockReduce(sum, Add);
}

// A block for each row, as all that follow.
template <typename E>
__global__ void LogSumExpKernel(const E* logits, float inverse, int64_t n,
                                float* log_sum_exp, float* entropy) {
  const int64_t row = blockIdx.x;
  logits += row * n;
  const float max = RowMax(logits, inverse, n);
  const float total = RowSum(logits, inverse, max, n);
  if (threadIdx.x == 0) log_sum_exp[row] = max + logf(total);
  if (entropy == nullptr) return;
  // H = lse - sum p x; shifted by max to keep the sum small.
  float moment = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    const float x = ToFloat(logits[i]) * inverse - max;
    moment += expf(x) * x;
  }
  moment = BlockReduce(moment, Add);
  if (threadIdx.x == 0) entropy[row] = logf(total) - moment / total;
}

template <typename E>
__device__ inline float TokenLogprob(const E* logits, int64_t id,
                                     double temperature, float log_sum_exp) {
  return static_cast<float>(static_cast<double>(ToFloat(logits[id])) /
                            temperature) -
         log_sum_exp;
}

template <typename E>
__global__ void TokenLogprobsKernel(const E* logits, const int64_t* ids,
                                    double temperature,
                                    const float* log_sum_exp, int64_t num_rows,
                                    int64_t n, float* logprobs) {
  const int64_t row = Thread();
  if (row >= num_rows) return;
  logprobs[row] =
      TokenLogprob(logits + row * n, ids[row], temperature, log_sum_exp[row]);
}

template <typename E>
__global__ void TokenLogprobBackwardKernel(const int64_t* ids,
                                           const float* log_sum_exp,
                                           const float* dlogprob, float inverse,
                                           int64_t n, E* logits) {
  const int64_t row = blockIdx.x;
  logits += row * n;
  const float lse = log_sum_exp[row];
  const float scale = dlogprob[row] * inverse;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    const float p = expf(ToFloat(logits[i]) * inverse - lse);
    logits[i] = FromFloat<E>(((i == ids[row] ? 1.0f : 0.0f) - p) * scale);
  }
}

// Lowest of the ids whose logit is `max`.
template <typename E>
__device__ inline int64_t FirstOf(const E* logits, float max, int64_t n) {
  int64_t id = n;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    if (ToFloat(logits[i]) == max) {
      id = i;
      break;
    }
  }
  __shared__ int64_t ids[kThreads];
  ids[threadIdx.x] = id;
  __syncthreads();
  for (int other = 0; other < kThreads; ++other) {
    id = ids[other] < id ? ids[other] : id;
  }
  return id;
}

// Each thread sums the probabilities of a stretch of ids; the thread in whose
// stretch the running sum passes u * total looks for the id. All threads get
// it.
template <typename E>
__device__ inline int64_t InverseCdf(const E* logits, float inverse, float lse,
                                     double u, int64_t n) {
  __shared__ double sums[kThreads];
  __shared__ int64_t found;
  const int64_t stretch = (n + kThreads - 1) / kThreads;
  const int64_t begin = threadIdx.x * stretch < n ? threadIdx.x * stretch : n;
  const int64_t end = begin + stretch < n ? begin + stretch : n;
  const auto p = [&](int64_t i) {
    return expf(ToFloat(logits[i]) * inverse - lse);
  };
  double sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += p(i);
  sums[threadIdx.x] = sum;
  __syncthreads();
  double before = 0, total = 0;
  int holder = 0;  // The last with any probability, if rounding leaves none.
  for (int t = 0; t < kThreads; ++t) total += sums[t];
  double running = 0;
  for (int t = 0; t < kThreads; ++t) {
    if (sums[t] <= 0) continue;
    holder = t;
    before = running;
    running += sums[t];
    if (running > u * total) break;
  }
  if (threadIdx.x == holder) {
    int64_t id = begin;
    for (int64_t i = begin; i < end; ++i) {
      const float probability = p(i);
      if (probability <= 0) continue;
      before += probability;
      id = i;
      if (before > u * total) break;
    }
    found = id;
  }
  __syncthreads();
  return found;
}

template <typename E>
__global__ void DrawTokensKernel(const E* logits, const double* temperatures,
                                 const double* uniform, int64_t n, int64_t* ids,
                                 float* logprobs) {
  const int64_t row = blockIdx.x;
  logits += row * n;
  const bool greedy = temperatures[row] == 0;
  const double temperature = greedy ? 1.0 : temperatures[row];
  const float inverse = static_cast<float>(1.0 / temperature);
  const float max = RowMax(logits, inverse, n);
  const float lse = max + logf(RowSum(logits, inverse, max, n));
  const int64_t id = greedy ? FirstOf(logits, max, n)
                            : InverseCdf(logits, inverse, lse, uniform[row], n);
  if (threadIdx.x == 0) {
    ids[row] = id;
    logprobs[row] = TokenLogprob(logits, id, temperature, lse);
  }
}

float Inverse(double temperature) {
  return static_cast<float>(1.0 / temperature);
}

}  // namespace

template <typename E>
void RmsNorm(const E* x, const E* weight, double eps, int64_t num_rows,
             int64_t size, E* y, float* rstd, Stream stream) {
  Launch(RmsNormKernel<E>, Blocks(num_rows, kWarpsPerBlock),
         kWarp * kWarpsPerBlock, stream, x, weight, static_cast<float>(eps),
         num_rows, size, y, rstd);
}

template <typename E>
void RmsNormBackward(const E* x, const E* weight, const float* rstd,
                     const E* dy, int64_t num_rows, int64_t size, E* dx,
                     float* dweight, float* partial, Stream stream) {
  Launch(RmsNormInputGradKernel<E>, Blocks(num_rows, kWarpsPerBlock),
         kWarp * kWarpsPerBlock, stream, x, weight, rstd, dy, num_rows, size,
         dx);
  Launch(RmsNormWeightGradKernel<E>, Blocks(kStripes * size, kThreads),
         kThreads, stream, x, rstd, dy, num_rows, size, partial);
  Launch(SumStripesKernel, Blocks(size, kThreads), kThreads, stream,
         static_cast<const float*>(partial), size, dweight);
}

template <typename E>
void SwiGlu(const E* gate, const E* up, int64_t size, E* y, Stream stream) {
  Launch(SwiGluKernel<E>, Blocks(size, kThreads), kThreads, stream, gate, up,
         size, y);
}

template <typename E>
void SwiGluBackward(const E* gate, const E* up, const E* dy, int64_t size,
                    E* dgate, E* dup, Stream stream) {
  Launch(SwiGluBackwardKernel<E>, Blocks(size, kThreads), kThreads, stream,
         gate, up, dy, size, dgate, dup);
}

void Sigmoid(const float* x, int64_t size, float* y, Stream stream) {
  Launch(SigmoidKernel, Blocks(size, kThreads), kThreads, stream, x, size, y);
}

template <typename E>
void Rope(const E* x, const int64_t* positions, const float* cos,
          const float* sin, float direction, int64_t num_rows,
          int64_t num_heads, int64_t head_dim, E* y, Stream stream) {
  const int64_t pairs = num_rows * num_heads * (head_dim / 2);
  Launch(RopeKernel<E>, Blocks(pairs, kThreads), kThreads, stream, x, positions,
         cos, sin, direction, pairs, num_heads, head_dim, y);
}

template <typename E, typename Keys>
void Attention(const E* q, const Keys& keys, double scale, int64_t num_rows,
               int64_t num_heads, int64_t num_kv_heads, int64_t key_dim,
               int64_t value_dim, E* out, float* log_sum_exp, Stream stream) {
  Launch(AttentionKernel<E, Keys>, Blocks(num_rows * num_heads, kWarpsPerBlock),
         kWarp * kWarpsPerBlock, stream, q, keys, static_cast<float>(scale),
         num_rows * num_heads, num_heads, num_heads / num_kv_heads, key_dim,
         value_dim, out, log_sum_exp);
}

template <typename E>
void AttentionBackward(const E* q, const PackedKeys<E>& keys, const E* out,
                       const float* log_sum_exp, const E* dout, double scale,
                       int64_t num_rows, int64_t num_heads, E* dq, E* dk, E* dv,
                       float* delta, Stream stream) {
  const int64_t queries = num_rows * num_heads;
  Launch(AttentionQueryGradKernel<E>, Blocks(queries, kWarpsPerBlock),
         kWarp * kWarpsPerBlock, stream, q, keys, out, log_sum_exp, dout,
         static_cast<float>(scale), queries, num_heads, dq, delta);
  const int64_t num_keys = num_rows * keys.num_kv_heads;
  Launch(AttentionKeyGradKernel<E>, Blocks(num_keys, kWarpsPerBlock),
         kWarp * kWarpsPerBlock, stream, q, keys, log_sum_exp, dout,
         static_cast<const float*>(delta), static_cast<float>(scale), num_keys,
         num_heads, dk, dv);
}

template <typename E>
void StoreInCache(const E* rows, const int64_t* blocks,
                  const int64_t* first_block, const int64_t* num_keys,
                  int64_t block_tokens, int64_t offset, int64_t token_stride,
                  int64_t head_stride, int64_t num_rows, int64_t num_heads,
                  int64_t size, Stream stream) {
  const int64_t elements = num_rows * num_heads * size;
  Launch(StoreInCacheKernel<E>, Blocks(elements, kThreads), kThreads, stream,
         rows, blocks, first_block, num_keys, block_tokens, offset,
         token_stride, head_stride, elements, num_heads, size);
}

template <typename E>
void LogSumExp(const E* logits, double temperature, int64_t num_rows,
               int64_t vocab_size, float* log_sum_exp, float* entropy,
               Stream stream) {
  Launch(LogSumExpKernel<E>, num_rows, kThreads, stream, logits,
         Inverse(temperature), vocab_size, log_sum_exp, entropy);
}

template <typename E>
void TokenLogprobs(const E* logits, const int64_t* ids, double temperature,
                   const float* log_sum_exp, int64_t num_rows,
                   int64_t vocab_size, float* logprobs, Stream stream) {
  Launch(TokenLogprobsKernel<E>, Blocks(num_rows, kThreads), kThreads, stream,
         logits, ids, temperature, log_sum_exp, num_rows, vocab_size, logprobs);
}

template <typename E>
void TokenLogprobBackward(const int64_t* ids, const float* log_sum_exp,
                          const float* dlogprob, double temperature,
                          int64_t num_rows, int64_t vocab_size, E* logits,
                          Stream stream) {
  Launch(TokenLogprobBackwardKernel<E>, num_rows, kThreads, stream, ids,
         log_sum_exp, dlogprob, Inverse(temperature), vocab_size, logits);
}

template <typename E>
void DrawTokens(const E* logits, const double* temperature,
                const double* uniform, int64_t num_rows, int64_t vocab_size,
                int64_t* ids, float* logprobs, Stream stream) {
  Launch(DrawTokensKernel<E>, num_rows, kThreads, stream, logits, temperature,
         uniform, vocab_size, ids, logprobs);
}

#define PONDER_INSTANTIATE(E)                                                  \
  template void RmsNorm(const E*, const E*, double, int64_t, int64_t, E*,      \
                        float*, Stream);                                       \
  template void RmsNormBackward(const E*, const E*, const float*, const E*,    \
                                int64_t, int64_t, E*, float*, float*, Stream); \
  template void SwiGlu(const E*, const E*, int64_t, E*, Stream);               \
  template void SwiGluBackward(const E*, const E*, const E*, int64_t, E*, E*,  \
                               Stream);                                        \
  template void Rope(const E*, const int64_t*, const float*, const float*,     \
                     float, int64_t, int64_t, int64_t, E*, Stream);            \
  template void Attention(const E*, const PackedKeys<E>&, double, int64_t,     \
                          int64_t, int64_t, int64_t, int64_t, E*, float*,      \
                          Stream);                                             \
  template void Attention(const E*, const CachedKeys<E>&, double, int64_t,     \
                          int64_t, int64_t, int64_t, int64_t, E*, float*,      \
                          Stream);                                             \
  template void AttentionBackward(const E*, const PackedKeys<E>&, const E*,    \
                                  const float*, const E*, double, int64_t,     \
                                  int64_t, E*, E*, E*, float*, Stream);        \
  template void StoreInCache(const E*, const int64_t*, const int64_t*,         \
                             const int64_t*, int64_t, int64_t, int64_t,        \
                             int64_t, int64_t, int64_t, int64_t, Stream);      \
  template void LogSumExp(const E*, double, int64_t, int64_t, float*, float*,  \
                          Stream);                                             \
  template void TokenLogprobs(const E*, const int64_t*, double, const float*,  \
                              int64_t, int64_t, float*, Stream);               \
  template void TokenLogprobBackward(const int64_t*, const float*,             \
                                     const float*, double, int64_t, int64_t,   \
                                     E*, Stream);                              \
  template void DrawTokens(const E*, const double*, const double*, int64_t,    \
                           int64_t, int64_t*, float*, Stream);
PONDER_INSTANTIATE(float)
PONDER_INSTANTIATE(Bf16)
#undef PONDER_INSTANTIATE

}  // namespace ponder::cuda
