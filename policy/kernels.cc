#include "policy/kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ATen/Parallel.h"
#include "policy/vectors.h"

namespace ponder::kernels {
namespace {

PONDER_INLINE float Sum(Floats x) {
  float s[kLanes];
  std::memcpy(s, &x, sizeof(s));
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) s[i] += s[i + width];
  }
  return s[0];
}

PONDER_INLINE Floats Max(Floats a, Floats b) {
  const Words greater = Bits<Words>(Ints(a > b));
  return Bits<Floats>((Bits<Words>(a) & greater) | (Bits<Words>(b) & ~greater));
}

PONDER_INLINE float MaxLane(Floats x) {
  float s[kLanes];
  std::memcpy(s, &x, sizeof(s));
  float result = s[0];
  for (int i = 1; i < kLanes; ++i) result = s[i] > result ? s[i] : result;
  return result;
}

// exp(x), relative error below 2e-7: Cephes' expf. Inputs beyond 87 give
// exp(87), those below -87 exp(-87), so that no lane overflows or is subnormal.
PONDER_INLINE Floats Exp(Floats x) {
  x = -Max(-Max(x, Splat(-87.0f)), Splat(-87.0f));
  // n = round(x / ln 2) by adding and taking off 1.5 * 2^23.
  const Floats magic = Splat(12582912.0f);
  const Floats shifted = x * 1.44269504088896341f + magic;
  const Ints n = Bits<Ints>(shifted) - Bits<Ints>(magic);
  const Floats f = __builtin_convertvector(n, Floats);
  const Floats r = (x - f * 0.693359375f) + f * 2.12194440e-4f;
  Floats p = Splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return Bits<Floats>(Bits<Ints>(p) + (n << 23));
}

template <typename E>
PONDER_INLINE float Dot(const float* a, const E* b, int64_t n) {
  Floats sum = {};
  ForLanes(
      n, [&](int64_t i) { sum += Load(a + i) * Load(b + i); },
      [&](int64_t i, int64_t some) {
        sum += LoadSome(a + i, some) * LoadSome(b + i, some);
      });
  return Sum(sum);
}

// y += scale * x.
template <typename E>
PONDER_INLINE void AddScaled(float scale, const E* x, int64_t n, float* y) {
  ForLanes(
      n, [&](int64_t i) { Store(Load(y + i) + scale * Load(x + i), y + i); },
      [&](int64_t i, int64_t some) {
        StoreSome(LoadSome(y + i, some) + scale * LoadSome(x + i, some), y + i,
                  some);
      });
}

template <typename From, typename To>
PONDER_INLINE void Convert(const From* x, int64_t n, To* y) {
  ForLanes(
      n, [&](int64_t i) { Store(Load(x + i), y + i); },
      [&](int64_t i, int64_t some) {
        StoreSome(LoadSome(x + i, some), y + i, some);
      });
}

// ---------------------------------------------------------------- RMSNorm

template <typename E>
PONDER_INLINE void RmsNormRowImpl(const E* x, const E* weight, float eps,
                                  int64_t size, E* y, float* rstd) {
  Floats sum = {};
  ForLanes(
      size,
      [&](int64_t i) {
        const Floats v = Load(x + i);
        sum += v * v;
      },
      [&](int64_t i, int64_t some) {
        const Floats v = LoadSome(x + i, some);
        sum += v * v;
      });
  const float r = 1.0f / std::sqrt(Sum(sum) / static_cast<float>(size) + eps);
  ForLanes(
      size,
      [&](int64_t i) {
        Store(Rounded<E>(Load(x + i) * r) * Load(weight + i), y + i);
      },
      [&](int64_t i, int64_t some) {
        StoreSome(
            Rounded<E>(LoadSome(x + i, some) * r) * LoadSome(weight + i, some),
            y + i, some);
      });
  if (rstd != nullptr) *rstd = r;
}

// dx = rstd * (dy*w - xhat * mean(dy*w*xhat)); dweight += dy * xhat.
template <typename E>
PONDER_INLINE void RmsNormRowBackwardImpl(const E* x, const E* weight, float r,
                                          const E* dy, int64_t size, E* dx,
                                          float* dweight) {
  Floats sum = {};
  const auto add = [&](Floats v, Floats w, Floats g) { sum += v * w * g; };
  ForLanes(
      size,
      [&](int64_t i) { add(Load(x + i), Load(weight + i), Load(dy + i)); },
      [&](int64_t i, int64_t n) {
        add(LoadSome(x + i, n), LoadSome(weight + i, n), LoadSome(dy + i, n));
      });
  const float c = Sum(sum) * r * r / static_cast<float>(size);
  const auto grad = [&](Floats v, Floats w, Floats g) {
    return (g * w - v * c) * r;
  };
  ForLanes(
      size,
      [&](int64_t i) {
        const Floats g = Load(dy + i);
        Store(Load(dweight + i) + g * Load(x + i) * r, dweight + i);
        Store(grad(Load(x + i), Load(weight + i), g), dx + i);
      },
      [&](int64_t i, int64_t n) {
        const Floats g = LoadSome(dy + i, n);
        const Floats v = LoadSome(x + i, n);
        StoreSome(LoadSome(dweight + i, n) + g * v * r, dweight + i, n);
        StoreSome(grad(v, LoadSome(weight + i, n), g), dx + i, n);
      });
}

// ----------------------------------------------------------------- SwiGLU

template <typename E>
PONDER_INLINE Floats SiluTimes(Floats gate, Floats up) {
  return Rounded<E>(gate / (1.0f + Exp(-gate))) * up;
}

template <typename E>
PONDER_INLINE void SwiGluSpanImpl(const E* gate, const E* up, int64_t n, E* y) {
  ForLanes(
      n,
      [&](int64_t i) {
        Store(SiluTimes<E>(Load(gate + i), Load(up + i)), y + i);
      },
      [&](int64_t i, int64_t some) {
        StoreSome(
            SiluTimes<E>(LoadSome(gate + i, some), LoadSome(up + i, some)),
            y + i, some);
      });
}

PONDER_INLINE Floats SigmoidOf(Floats x) { return 1.0f / (1.0f + Exp(-x)); }

PONDER_INLINE void SigmoidSpanImpl(const float* x, int64_t n, float* y) {
  ForLanes(
      n, [&](int64_t i) { Store(SigmoidOf(Load(x + i)), y + i); },
      [&](int64_t i, int64_t some) {
        StoreSome(SigmoidOf(LoadSome(x + i, some)), y + i, some);
      });
}

template <typename E>
PONDER_INLINE void SwiGluSpanBackwardImpl(const E* gate, const E* up,
                                          const E* dy, int64_t n, E* dgate,
                                          E* dup) {
  // silu'(g) = s + g s (1 - s), s = sigmoid(g).
  const auto sigmoid = [](Floats g) { return 1.0f / (1.0f + Exp(-g)); };
  ForLanes(
      n,
      [&](int64_t i) {
        const Floats g = Load(gate + i), d = Load(dy + i), s = sigmoid(g);
        Store(d * (g * s), dup + i);
        Store(d * Load(up + i) * (s + g * s * (1.0f - s)), dgate + i);
      },
      [&](int64_t i, int64_t k) {
        const Floats g = LoadSome(gate + i, k), d = LoadSome(dy + i, k);
        const Floats s = sigmoid(g);
        StoreSome(d * (g * s), dup + i, k);
        StoreSome(d * LoadSome(up + i, k) * (s + g * s * (1.0f - s)), dgate + i,
                  k);
      });
}

// ------------------------------------------------------------------- RoPE

template <typename E>
PONDER_INLINE void RopeRowImpl(const E* x, const float* cos, const float* sin,
                               float direction, int64_t num_heads,
                               int64_t head_dim, E* y) {
  const int64_t half = head_dim / 2;
  for (int64_t h = 0; h < num_heads; ++h, x += head_dim, y += head_dim) {
    const auto rotate = [&](Floats a, Floats b, Floats c, Floats s, int64_t i,
                            int64_t n) {
      s = s * direction;
      const Floats first = a * c - b * s;
      const Floats second = b * c + a * s;
      if (n == kLanes) {
        Store(first, y + i);
        Store(second, y + half + i);
      } else {
        StoreSome(first, y + i, n);
        StoreSome(second, y + half + i, n);
      }
    };
    ForLanes(
        half,
        [&](int64_t i) {
          rotate(Load(x + i), Load(x + half + i), Load(cos + i), Load(sin + i),
                 i, kLanes);
        },
        [&](int64_t i, int64_t n) {
          rotate(LoadSome(x + i, n), LoadSome(x + half + i, n),
                 LoadSome(cos + i, n), LoadSome(sin + i, n), i, n);
        });
  }
}

// -------------------------------------------------------------- Attention

// One query of one head. scores has room for num_keys rounded up to kLanes.
template <typename E>
PONDER_INLINE void AttendImpl(const E* query, const KeyValues<E>& keys,
                              int64_t key_head_offset,
                              int64_t value_head_offset, int64_t num_keys,
                              float scale, int64_t key_dim, int64_t value_dim,
                              float* scores, float* accumulator,
                              float* float_query, E* out, float* log_sum_exp) {
  Convert(query, key_dim, float_query);
  for (int64_t begin = 0, block = 0; begin < num_keys;
       begin += keys.block_tokens, ++block) {
    const E* key = keys.key_blocks[block] + keys.key_offset + key_head_offset;
    const int64_t n = std::min(keys.block_tokens, num_keys - begin);
    for (int64_t j = 0; j < n; ++j, key += keys.key_token_stride) {
      scores[begin + j] = Dot(float_query, key, key_dim) * scale;
    }
  }
  const int64_t padded = (num_keys + kLanes - 1) / kLanes * kLanes;
  for (int64_t j = num_keys; j < padded; ++j) {
    scores[j] = -std::numeric_limits<float>::infinity();
  }
  Floats lanes = Load(scores);
  for (int64_t j = kLanes; j < padded; j += kLanes) {
    lanes = Max(lanes, Load(scores + j));
  }
  const float max = MaxLane(lanes);
  Floats sums = {};
  for (int64_t j = 0; j < padded; j += kLanes) {
    const Floats p = Exp(Load(scores + j) - max);
    Store(p, scores + j);
    if (j + kLanes > num_keys) {
      for (int64_t i = num_keys; i < padded; ++i) scores[i] = 0;
      sums += Load(scores + j);
    } else {
      sums += p;
    }
  }
  const float sum = Sum(sums);
  for (int64_t i = 0; i < value_dim; ++i) accumulator[i] = 0;
  for (int64_t begin = 0, block = 0; begin < num_keys;
       begin += keys.block_tokens, ++block) {
    const E* value =
        keys.value_blocks[block] + keys.value_offset + value_head_offset;
    const int64_t n = std::min(keys.block_tokens, num_keys - begin);
    for (int64_t j = 0; j < n; ++j, value += keys.value_token_stride) {
      AddScaled(scores[begin + j], value, value_dim, accumulator);
    }
  }
  const float inverse = 1.0f / sum;
  for (int64_t i = 0; i < value_dim; ++i) accumulator[i] *= inverse;
  Convert(accumulator, value_dim, out);
  if (log_sum_exp != nullptr) *log_sum_exp = max + std::log(sum);
}

struct TokenStrides {
  int64_t query;
  int64_t key;
  int64_t value;
  int64_t out;
  int64_t log_sum_exp;
};

// All queries of one sequence that read one key head. `strides` are elements
// between tokens. dk [n, K] and dv [n, W] are float scratch, overwritten.
template <typename E>
PONDER_INLINE void AttendBackwardImpl(
    const E* q, const E* k, const E* v, const E* out, const float* lse,
    const E* dout, int64_t n, int64_t heads_per_group, float scale,
    int64_t key_dim, int64_t value_dim, const TokenStrides& strides,
    float* scratch, float* dk, float* dv, E* dq) {
  float* query = scratch;
  float* dquery = query + key_dim;
  float* grad = dquery + key_dim;
  std::fill(dk, dk + n * key_dim, 0.0f);
  std::fill(dv, dv + n * value_dim, 0.0f);
  for (int64_t t = 0; t < n; ++t) {
    for (int64_t h = 0; h < heads_per_group; ++h) {
      const int64_t row = t * strides.query + h * key_dim;
      const int64_t out_row = t * strides.out + h * value_dim;
      Convert(q + row, key_dim, query);
      Convert(dout + out_row, value_dim, grad);
      const float delta = Dot(grad, out + out_row, value_dim);
      const float log_sum = lse[t * strides.log_sum_exp + h];
      std::fill(dquery, dquery + key_dim, 0.0f);
      for (int64_t j = 0; j <= t; ++j) {
        const E* key = k + j * strides.key;
        const float score = Dot(query, key, key_dim) * scale;
        const float p = Exp(Splat(score - log_sum))[0];
        const float dp = Dot(grad, v + j * strides.value, value_dim);
        const float ds = p * (dp - delta) * scale;
        AddScaled(p, grad, value_dim, dv + j * value_dim);
        AddScaled(ds, query, key_dim, dk + j * key_dim);
        AddScaled(ds, key, key_dim, dquery);
      }
      Convert(dquery, key_dim, dq + row);
    }
  }
}

// ----------------------------------------------------------- Log-softmax

template <typename E>
PONDER_INLINE void LogSumExpRowImpl(const E* logits, float inverse_temperature,
                                    int64_t n, float* lse, float* entropy) {
  const float inverse = inverse_temperature;
  const float lowest = std::numeric_limits<float>::lowest();
  const auto load_rest = [&](int64_t i, int64_t some) {
    float lanes[kLanes];
    Store(LoadSome(logits + i, some) * inverse, lanes);
    for (int64_t j = some; j < kLanes; ++j) lanes[j] = lowest;
    return Load(lanes);
  };
  Floats lanes = Splat(lowest);
  ForLanes(
      n, [&](int64_t i) { lanes = Max(lanes, Load(logits + i) * inverse); },
      [&](int64_t i, int64_t k) { lanes = Max(lanes, load_rest(i, k)); });
  const float max = MaxLane(lanes);
  Floats sums = {};
  ForLanes(
      n, [&](int64_t i) { sums += Exp(Load(logits + i) * inverse - max); },
      [&](int64_t i, int64_t k) {
        float p[kLanes];
        Store(Exp(load_rest(i, k) - max), p);
        for (int64_t j = k; j < kLanes; ++j) p[j] = 0;
        sums += Load(p);
      });
  const float total = Sum(sums);
  *lse = max + std::log(total);
  if (entropy == nullptr) return;
  // H = lse - sum p x; shifted by max to keep the sum small.
  Floats moments = {};
  ForLanes(
      n,
      [&](int64_t i) {
        const Floats x = Load(logits + i) * inverse - max;
        moments += Exp(x) * x;
      },
      [&](int64_t i, int64_t k) {
        const Floats x = load_rest(i, k) - max;
        float terms[kLanes];
        Store(Exp(x) * x, terms);
        for (int64_t j = k; j < kLanes; ++j) terms[j] = 0;
        moments += Load(terms);
      });
  *entropy = std::log(total) - Sum(moments) / total;
}

template <typename E>
PONDER_INLINE void ProbabilitiesRowImpl(const E* logits, float inverse,
                                        float lse, int64_t n, float* p) {
  ForLanes(
      n,
      [&](int64_t i) { Store(Exp(Load(logits + i) * inverse - lse), p + i); },
      [&](int64_t i, int64_t k) {
        StoreSome(Exp(LoadSome(logits + i, k) * inverse - lse), p + i, k);
      });
}

template <typename E>
PONDER_INLINE void TokenLogprobBackwardRowImpl(int64_t id, float lse,
                                               float dlogprob,
                                               float inverse_temperature,
                                               int64_t n, E* logits) {
  const float inverse = inverse_temperature;
  const float scale = dlogprob * inverse;
  const float target = static_cast<float>(logits[id]);
  ForLanes(
      n,
      [&](int64_t i) {
        Store(Exp(Load(logits + i) * inverse - lse) * -scale, logits + i);
      },
      [&](int64_t i, int64_t k) {
        StoreSome(Exp(LoadSome(logits + i, k) * inverse - lse) * -scale,
                  logits + i, k);
      });
  const float p = Exp(Splat(target * inverse - lse))[0];
  logits[id] = static_cast<E>((1.0f - p) * scale);
}

}  // namespace

// The clones: one plain function for each leaf and element type.
#define PONDER_LEAVES(E)                                                       \
  PONDER_CLONES void RmsNormRow(const E* x, const E* w, float eps, int64_t n,  \
                                E* y, float* rstd) {                           \
    RmsNormRowImpl(x, w, eps, n, y, rstd);                                     \
  }                                                                            \
  PONDER_CLONES void RmsNormRowBackward(const E* x, const E* w, float r,       \
                                        const E* dy, int64_t n, E* dx,         \
                                        float* dw) {                           \
    RmsNormRowBackwardImpl(x, w, r, dy, n, dx, dw);                            \
  }                                                                            \
  PONDER_CLONES void SwiGluSpan(const E* g, const E* u, int64_t n, E* y) {     \
    SwiGluSpanImpl(g, u, n, y);                                                \
  }                                                                            \
  PONDER_CLONES void SwiGluSpanBackward(const E* g, const E* u, const E* dy,   \
                                        int64_t n, E* dg, E* du) {             \
    SwiGluSpanBackwardImpl(g, u, dy, n, dg, du);                               \
  }                                                                            \
  PONDER_CLONES void RopeRow(const E* x, const float* c, const float* s,       \
                             float direction, int64_t h, int64_t k, E* y) {    \
    RopeRowImpl(x, c, s, direction, h, k, y);                                  \
  }                                                                            \
  PONDER_CLONES void Attend(const E* q, const KeyValues<E>& kv, int64_t kh,    \
                            int64_t vh, int64_t n, float scale, int64_t k,     \
                            int64_t w, float* scores, float* acc,              \
                            float* query, E* out, float* lse) {                \
    AttendImpl(q, kv, kh, vh, n, scale, k, w, scores, acc, query, out, lse);   \
  }                                                                            \
  PONDER_CLONES void AttendBackward(                                           \
      const E* q, const E* k, const E* v, const E* out, const float* lse,      \
      const E* dout, int64_t n, int64_t hpg, float scale, int64_t kd,          \
      int64_t vd, const TokenStrides& strides, float* scratch, float* dk,      \
      float* dv, E* dq) {                                                      \
    AttendBackwardImpl(q, k, v, out, lse, dout, n, hpg, scale, kd, vd,         \
                       strides, scratch, dk, dv, dq);                          \
  }                                                                            \
  PONDER_CLONES void LogSumExpRow(const E* x, float inverse, int64_t n,        \
                                  float* lse, float* entropy) {                \
    LogSumExpRowImpl(x, inverse, n, lse, entropy);                             \
  }                                                                            \
  PONDER_CLONES void ProbabilitiesRow(const E* x, float inverse, float lse,    \
                                      int64_t n, float* p) {                   \
    ProbabilitiesRowImpl(x, inverse, lse, n, p);                               \
  }                                                                            \
  PONDER_CLONES void TokenLogprobBackwardRow(int64_t id, float lse, float d,   \
                                             float inverse, int64_t n, E* x) { \
    TokenLogprobBackwardRowImpl(id, lse, d, inverse, n, x);                    \
  }
PONDER_LEAVES(float)
PONDER_LEAVES(BFloat16)
#undef PONDER_LEAVES
PONDER_CLONES void SigmoidSpan(const float* x, int64_t n, float* y) {
  SigmoidSpanImpl(x, n, y);
}

namespace {

// Work items for one thread, so that a task is worth its start.
int64_t Grain(int64_t work_per_item) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, work_per_item));
}

float Inverse(double temperature) {
  return static_cast<float>(1.0 / temperature);
}

}  // namespace

template <typename E>
void RmsNorm(const E* x, const E* weight, double eps, int64_t num_rows,
             int64_t size, E* y, float* rstd) {
  at::parallel_for(0, num_rows, Grain(size), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      RmsNormRow(x + t * size, weight, static_cast<float>(eps), size,
                 y + t * size, rstd == nullptr ? nullptr : rstd + t);
    }
  });
}

template <typename E>
void RmsNormBackward(const E* x, const E* weight, const float* rstd,
                     const E* dy, int64_t num_rows, int64_t size, E* dx,
                     float* dweight) {
  // Fixed stripes of rows, summed in order: the same for any thread count.
  constexpr int64_t kStripes = 8;
  std::vector<float> partial(kStripes * size, 0.0f);
  at::parallel_for(0, kStripes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const int64_t last = num_rows * (s + 1) / kStripes;
      for (int64_t t = num_rows * s / kStripes; t < last; ++t) {
        RmsNormRowBackward(x + t * size, weight, rstd[t], dy + t * size, size,
                           dx + t * size, partial.data() + s * size);
      }
    }
  });
  std::fill(dweight, dweight + size, 0.0f);
  for (int64_t s = 0; s < kStripes; ++s) {
    for (int64_t i = 0; i < size; ++i) dweight[i] += partial[s * size + i];
  }
}

template <typename E>
void SwiGlu(const E* gate, const E* up, int64_t num_rows, int64_t size, E* y) {
  at::parallel_for(0, num_rows, Grain(size), [&](int64_t begin, int64_t end) {
    for (int64_t at = begin * size; at < end * size; at += size) {
      SwiGluSpan(gate + at, up + at, size, y + at);
    }
  });
}

template <typename E>
void SwiGluBackward(const E* gate, const E* up, const E* dy, int64_t num_rows,
                    int64_t size, E* dgate, E* dup) {
  at::parallel_for(0, num_rows, Grain(size), [&](int64_t begin, int64_t end) {
    for (int64_t at = begin * size; at < end * size; at += size) {
      SwiGluSpanBackward(gate + at, up + at, dy + at, size, dgate + at,
                         dup + at);
    }
  });
}

void Sigmoid(const float* x, int64_t size, float* y) {
  at::parallel_for(0, size, Grain(1), [&](int64_t begin, int64_t end) {
    SigmoidSpan(x + begin, end - begin, y + begin);
  });
}

template <typename E>
void Rope(const E* x, int64_t x_stride, const int64_t* positions,
          const float* cos, const float* sin, float direction, int64_t num_rows,
          int64_t num_heads, int64_t head_dim, E* y) {
  const int64_t half = head_dim / 2;
  const int64_t size = num_heads * head_dim;
  at::parallel_for(0, num_rows, Grain(size), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      RopeRow(x + t * x_stride, cos + positions[t] * half,
              sin + positions[t] * half, direction, num_heads, head_dim,
              y + t * size);
    }
  });
}

template <typename E>
void Attention(const E* q, const KeyValues<E>* keys, const int64_t* num_keys,
               double scale, int64_t num_rows, int64_t num_heads,
               int64_t num_kv_heads, int64_t key_dim, int64_t value_dim, E* out,
               float* log_sum_exp) {
  const int64_t heads_per_group = num_heads / num_kv_heads;
  int64_t max_keys = 0;
  int64_t all_keys = 0;
  for (int64_t t = 0; t < num_rows; ++t) {
    max_keys = std::max(max_keys, num_keys[t]);
    all_keys += num_keys[t];
  }
  const int64_t padded = (max_keys + kLanes - 1) / kLanes * kLanes;
  const int64_t work =
      (key_dim + value_dim) * (all_keys / std::max<int64_t>(1, num_rows) + 1);
  at::parallel_for(
      0, num_rows * num_heads, Grain(work), [&](int64_t begin, int64_t end) {
        std::vector<float> scratch(padded + value_dim + key_dim);
        float* accumulator = scratch.data() + padded;
        float* query = accumulator + value_dim;
        for (int64_t i = begin; i < end; ++i) {
          const int64_t t = i / num_heads;
          const int64_t g = i % num_heads / heads_per_group;
          Attend(q + i * key_dim, keys[t], g * keys[t].key_head_stride,
                 g * keys[t].value_head_stride, num_keys[t],
                 static_cast<float>(scale), key_dim, value_dim, scratch.data(),
                 accumulator, query, out + i * value_dim,
                 log_sum_exp == nullptr ? nullptr : log_sum_exp + i);
        }
      });
}

template <typename E>
void AttentionBackward(const E* q, const E* k, const E* v, const E* out,
                       const float* log_sum_exp, const E* dout,
                       const int64_t* cu_seqlens, int64_t num_sequences,
                       double scale, int64_t num_heads, int64_t num_kv_heads,
                       int64_t key_dim, int64_t value_dim, E* dq, E* dk,
                       E* dv) {
  const int64_t heads_per_group = num_heads / num_kv_heads;
  const TokenStrides strides = {num_heads * key_dim, num_kv_heads * key_dim,
                                num_kv_heads * value_dim, num_heads * value_dim,
                                num_heads};
  at::parallel_for(
      0, num_sequences * num_kv_heads, 1, [&](int64_t begin, int64_t end) {
        std::vector<float> scratch;
        for (int64_t i = begin; i < end; ++i) {
          const int64_t first = cu_seqlens[i / num_kv_heads];
          const int64_t n = cu_seqlens[i / num_kv_heads + 1] - first;
          const int64_t g = i % num_kv_heads;
          const int64_t h = g * heads_per_group;
          scratch.resize((n + 2) * key_dim + (n + 1) * value_dim);
          float* key_grad = scratch.data() + 2 * key_dim + value_dim;
          float* value_grad = key_grad + n * key_dim;
          const int64_t q_at = first * strides.query + h * key_dim;
          const int64_t out_at = first * strides.out + h * value_dim;
          const int64_t k_at = first * strides.key + g * key_dim;
          const int64_t v_at = first * strides.value + g * value_dim;
          AttendBackward(q + q_at, k + k_at, v + v_at, out + out_at,
                         log_sum_exp + first * num_heads + h, dout + out_at, n,
                         heads_per_group, static_cast<float>(scale), key_dim,
                         value_dim, strides, scratch.data(), key_grad,
                         value_grad, dq + q_at);
          for (int64_t j = 0; j < n; ++j) {
            for (int64_t d = 0; d < key_dim; ++d) {
              dk[k_at + j * strides.key + d] =
                  static_cast<E>(key_grad[j * key_dim + d]);
            }
            for (int64_t d = 0; d < value_dim; ++d) {
              dv[v_at + j * strides.value + d] =
                  static_cast<E>(value_grad[j * value_dim + d]);
            }
          }
        }
      });
}

template <typename E>
void LogSumExp(const E* logits, double temperature, int64_t num_rows,
               int64_t vocab_size, float* log_sum_exp, float* entropy) {
  at::parallel_for(
      0, num_rows, Grain(vocab_size), [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          LogSumExpRow(logits + t * vocab_size, Inverse(temperature),
                       vocab_size, log_sum_exp + t,
                       entropy == nullptr ? nullptr : entropy + t);
        }
      });
}

template <typename E>
void Probabilities(const E* logits, double temperature, float log_sum_exp,
                   int64_t vocab_size, float* p) {
  ProbabilitiesRow(logits, Inverse(temperature), log_sum_exp, vocab_size, p);
}

int64_t InverseCdf(const float* p, double u, int64_t vocab_size) {
  double total = 0;
  for (int64_t id = 0; id < vocab_size; ++id) total += p[id];
  double sum = 0;
  int64_t last = 0;
  for (int64_t id = 0; id < vocab_size; ++id) {
    if (p[id] <= 0) continue;
    sum += p[id];
    last = id;
    if (sum > u * total) break;
  }
  return last;
}

template <typename E>
int64_t DrawToken(const E* logits, double temperature, double u,
                  int64_t vocab_size, float* logprob) {
  const bool greedy = temperature == 0;
  if (greedy) temperature = 1;
  float lse;
  LogSumExp(logits, temperature, 1, vocab_size, &lse, nullptr);
  int64_t id;
  if (greedy) {
    id = std::max_element(logits, logits + vocab_size) - logits;
  } else {
    std::vector<float> p(vocab_size);
    Probabilities(logits, temperature, lse, vocab_size, p.data());
    id = InverseCdf(p.data(), u, vocab_size);
  }
  *logprob = TokenLogprob(logits, id, temperature, lse);
  return id;
}

template <typename E>
void TokenLogprobBackward(const int64_t* ids, const float* log_sum_exp,
                          const float* dlogprob, double temperature,
                          int64_t num_rows, int64_t vocab_size, E* logits) {
  at::parallel_for(
      0, num_rows, Grain(vocab_size), [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          TokenLogprobBackwardRow(ids[t], log_sum_exp[t], dlogprob[t],
                                  Inverse(temperature), vocab_size,
                                  logits + t * vocab_size);
        }
      });
}

#define PONDER_INSTANTIATE(E)                                                  \
  template void RmsNorm(const E*, const E*, double, int64_t, int64_t, E*,      \
                        float*);                                               \
  template void RmsNormBackward(const E*, const E*, const float*, const E*,    \
                                int64_t, int64_t, E*, float*);                 \
  template void SwiGlu(const E*, const E*, int64_t, int64_t, E*);              \
  template void SwiGluBackward(const E*, const E*, const E*, int64_t, int64_t, \
                               E*, E*);                                        \
  template void Rope(const E*, int64_t, const int64_t*, const float*,          \
                     const float*, float, int64_t, int64_t, int64_t, E*);      \
  template void Attention(const E*, const KeyValues<E>*, const int64_t*,       \
                          double, int64_t, int64_t, int64_t, int64_t, int64_t, \
                          E*, float*);                                         \
  template void AttentionBackward(const E*, const E*, const E*, const E*,      \
                                  const float*, const E*, const int64_t*,      \
                                  int64_t, double, int64_t, int64_t, int64_t,  \
                                  int64_t, E*, E*, E*);                        \
  template void LogSumExp(const E*, double, int64_t, int64_t, float*, float*); \
  template void Probabilities(const E*, double, float, int64_t, float*);       \
  template int64_t DrawToken(const E*, double, double, int64_t, float*);       \
  template void TokenLogprobBackward(const int64_t*, const float*,             \
                                     const float*, double, int64_t, int64_t,   \
                                     E*);
PONDER_INSTANTIATE(float)
PONDER_INSTANTIATE(BFloat16)
#undef PONDER_INSTANTIATE

}  // namespace ponder::kernels
