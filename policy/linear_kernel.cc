#include "policy/linear_kernel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "ATen/Parallel.h"
#include "c10/util/Half.h"
#include "policy/bf16_product.h"
#include "policy/panel.h"

namespace ponder::kernels {
namespace {

// Where weights are read from: a row's 16 inputs from place k, of which `some`
// are there (k is a multiple of 16).
template <typename E>
struct PlainWeights {
  const E* rows;  // [out, in]
  int64_t in;

  PlainWeights FromRow(int64_t row) const { return {rows + row * in, in}; }
  PONDER_INLINE Floats Inputs(int64_t row, int64_t k, int64_t some) const {
    const E* p = rows + row * in + k;
    return some == kLanes ? Load(p) : LoadSome(p, some);
  }
};

struct Q8Weights {
  const int8_t* rows;  // Q8RowBytes(in) for each output.
  int64_t in;

  Q8Weights FromRow(int64_t row) const {
    return {rows + row * Q8RowBytes(in), in};
  }
  PONDER_INLINE Floats Inputs(int64_t row, int64_t k, int64_t) const {
    typedef int8_t Bytes __attribute__((vector_size(16)));
    const int8_t* p = rows + row * Q8RowBytes(in);
    Bytes q;
    std::memcpy(&q, p + k, sizeof(q));
    float scale;
    std::memcpy(&scale, p + in + k / kQ8Block * sizeof(scale), sizeof(scale));
    return __builtin_convertvector(q, Floats) * scale;
  }
};

// 16 inputs of 16 outputs from row `first`, a vector for each input; zeros for
// outputs beyond n.
template <typename Weights>
PONDER_INLINE void LoadTransposed(const Weights& w, int64_t first, int64_t n,
                                  int64_t k, int64_t some,
                                  Floats (&columns)[kLanes]) {
  for (int64_t i = 0; i < kLanes; ++i) {
    columns[i] = i < n ? w.Inputs(first + i, k, some) : Floats{};
  }
  Transpose(columns);
}

// w [outputs <= kPanel, in] to packed [in, kPanel], with zeros for outputs that
// are not there.
template <typename Weights>
PONDER_INLINE void PackPanel(const Weights& w, int64_t outputs, int64_t in,
                             float* packed) {
  for (int64_t first = 0; first < kPanel; first += kLanes) {
    const int64_t n = std::clamp<int64_t>(outputs - first, 0, kLanes);
    for (int64_t k = 0; k < in; k += kLanes) {
      const int64_t some = std::min(kLanes, in - k);
      Floats columns[kLanes];
      LoadTransposed(w, first, n, k, some, columns);
      for (int64_t i = 0; i < some; ++i) {
        Store(columns[i], packed + (k + i) * kPanel + first);
      }
    }
  }
}

// kRows rows of x [.., in] with the outputs of a panel.
template <int kRows, typename E>
PONDER_INLINE void MultiplyRows(const float* x, const float* packed,
                                const E* bias, int64_t in, int64_t outputs,
                                int64_t out, E* y) {
  Floats sums[kRows][2] = {};
  for (int64_t k = 0; k < in; ++k) {
    const Floats w0 = Load(packed + k * kPanel);
    const Floats w1 = Load(packed + k * kPanel + kLanes);
    for (int r = 0; r < kRows; ++r) {
      const float value = x[r * in + k];
      sums[r][0] += value * w0;
      sums[r][1] += value * w1;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    StoreOutputs(sums[r][0], bias, outputs, y + r * out);
    StoreOutputs(sums[r][1], bias == nullptr ? bias : bias + kLanes,
                 outputs - kLanes, y + r * out + kLanes);
  }
}

// The same for few rows, from weights that are not worth packing.
template <int kRows, typename Weights, typename E>
PONDER_INLINE void MultiplyFewRows(const float* x, const Weights& w,
                                   const E* bias, int64_t in, int64_t outputs,
                                   int64_t out, E* y) {
  for (int64_t first = 0; first < outputs; first += kLanes) {
    const int64_t n = std::min(kLanes, outputs - first);
    Floats sums[kRows] = {};
    Floats columns[kLanes];
    int64_t k = 0;
    for (; k + kLanes <= in; k += kLanes) {
      LoadTransposed(w, first, n, k, kLanes, columns);
      for (int64_t i = 0; i < kLanes; ++i) {
        for (int r = 0; r < kRows; ++r)
          sums[r] += x[r * in + k + i] * columns[i];
      }
    }
    if (k < in) {
      LoadTransposed(w, first, n, k, in - k, columns);
      for (int64_t i = 0; k + i < in; ++i) {
        for (int r = 0; r < kRows; ++r)
          sums[r] += x[r * in + k + i] * columns[i];
      }
    }
    for (int r = 0; r < kRows; ++r) {
      StoreOutputs(sums[r], bias == nullptr ? bias : bias + first, n,
                   y + r * out + first);
    }
  }
}

// As many rows at a time as there are registers for their sums, then the rest.
template <int kRows, typename Weights, typename E>
PONDER_INLINE void MultiplyPanelImpl(const float* x, int64_t num_rows,
                                     const Weights& w, const E* bias,
                                     int64_t in, int64_t outputs, int64_t out,
                                     float* packed, E* y) {
  if (num_rows == 1) {
    return MultiplyFewRows<1>(x, w, bias, in, outputs, out, y);
  }
  if (num_rows == 2) {
    return MultiplyFewRows<2>(x, w, bias, in, outputs, out, y);
  }
  PackPanel(w, outputs, in, packed);
  const auto step = [&]<int n>() {
    for (; num_rows >= n; num_rows -= n, x += n * in, y += n * out) {
      MultiplyRows<n>(x, packed, bias, in, outputs, out, y);
    }
  };
  step.template operator()<kRows>();
  if constexpr (kRows > 8) step.template operator()<8>();
  if constexpr (kRows > 4) step.template operator()<4>();
  if constexpr (kRows > 2) step.template operator()<2>();
  step.template operator()<1>();
}

// One version for each instruction set; sums take up its registers.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define PONDER_MULTIPLY_PANEL(name, attribute, rows)                           \
  template <typename Weights, typename E>                                      \
  attribute void name(const float* x, int64_t num_rows, const Weights& w,      \
                      const E* bias, int64_t in, int64_t outputs, int64_t out, \
                      float* packed, E* y) {                                   \
    MultiplyPanelImpl<rows>(x, num_rows, w, bias, in, outputs, out, packed,    \
                            y);                                                \
  }
PONDER_MULTIPLY_PANEL(MultiplyPanel512,
                      __attribute__((target("arch=x86-64-v4"))), 12)
PONDER_MULTIPLY_PANEL(MultiplyPanel256,
                      __attribute__((target("arch=x86-64-v3"))), 3)
PONDER_MULTIPLY_PANEL(MultiplyPanelPlain, , 2)
#undef PONDER_MULTIPLY_PANEL

template <typename Weights, typename E>
auto BestMultiplyPanel() {
  static const auto best = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4"))
      return MultiplyPanel512<Weights, E>;
    if (__builtin_cpu_supports("x86-64-v3"))
      return MultiplyPanel256<Weights, E>;
    return MultiplyPanelPlain<Weights, E>;
  }();
  return best;
}
#else
template <typename Weights, typename E>
auto BestMultiplyPanel() {
  return [](const float* x, int64_t num_rows, const Weights& w, const E* bias,
            int64_t in, int64_t outputs, int64_t out, float* packed, E* y) {
    MultiplyPanelImpl<4>(x, num_rows, w, bias, in, outputs, out, packed, y);
  };
}
#endif

// x as float; `copy` holds it where E is another type.
const float* AsFloats(const float* x, int64_t, std::vector<float>*) {
  return x;
}
const float* AsFloats(const BFloat16* x, int64_t size,
                      std::vector<float>* copy) {
  copy->resize(size);
  std::copy(x, x + size, copy->begin());
  return copy->data();
}

// Calls body(first output, outputs, first row, rows, scratch) for parts of the
// product, on many threads. scratch holds in * kPanel floats and is not
// cleared.
template <typename Body>
void ForPanels(int64_t num_rows, int64_t in, int64_t out, Body body) {
  const int64_t panels = (out + kPanel - 1) / kPanel;
  // Few panels are cut along the rows, so that each thread has work.
  const int64_t cuts = std::clamp<int64_t>(at::get_num_threads() / panels, 1,
                                           std::max<int64_t>(1, num_rows / 64));
  at::parallel_for(0, panels * cuts, 1, [&](int64_t begin, int64_t end) {
    const std::unique_ptr<float[]> scratch(new float[in * kPanel]);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i / cuts * kPanel;
      const int64_t row = num_rows * (i % cuts) / cuts;
      body(first, std::min(kPanel, out - first), row,
           num_rows * (i % cuts + 1) / cuts - row, scratch.get());
    }
  });
}

template <typename E>
const E* At(const E* bias, int64_t first) {
  return bias == nullptr ? bias : bias + first;
}

template <typename Weights, typename E>
void Multiply(const E* x, const Weights& w, const E* bias, int64_t num_rows,
              int64_t in, int64_t out, E* y) {
  std::vector<float> copy;
  const float* const rows = AsFloats(x, num_rows * in, &copy);
  const auto multiply = BestMultiplyPanel<Weights, E>();
  ForPanels(num_rows, in, out,
            [&](int64_t first, int64_t outputs, int64_t row, int64_t count,
                float* packed) {
              multiply(rows + row * in, count, w.FromRow(first),
                       At(bias, first), in, outputs, out, packed,
                       y + row * out + first);
            });
}

}  // namespace

template <typename E>
void Linear(const E* x, const E* w, const E* bias, int64_t num_rows, int64_t in,
            int64_t out, E* y) {
  if constexpr (std::is_same_v<E, BFloat16>) {
    if (const auto multiply = Bf16Product(in); multiply != nullptr) {
      return ForPanels(num_rows, in, out,
                       [&](int64_t first, int64_t outputs, int64_t row,
                           int64_t count, float* packed) {
                         multiply(x + row * in, count, w + first * in,
                                  At(bias, first), in, outputs, out, packed,
                                  y + row * out + first);
                       });
    }
  }
  Multiply(x, PlainWeights<E>{w, in}, bias, num_rows, in, out, y);
}

template <typename E>
void LinearQ8(const E* x, const int8_t* w, const E* bias, int64_t num_rows,
              int64_t in, int64_t out, E* y) {
  Multiply(x, Q8Weights{w, in}, bias, num_rows, in, out, y);
}

void QuantizeQ8(const float* row, int64_t in, int8_t* quantized) {
  for (int64_t k = 0; k < in; k += kQ8Block) {
    float largest = 0;
    for (int64_t i = 0; i < kQ8Block; ++i) {
      largest = std::max(largest, std::abs(row[k + i]));
    }
    const float scale = largest / 127;
    const float inverse = scale > 0 ? 1 / scale : 0;
    for (int64_t i = 0; i < kQ8Block; ++i) {
      quantized[k + i] = static_cast<int8_t>(std::round(row[k + i] * inverse));
    }
    // As Q8_0 keeps it.
    const float kept = static_cast<float>(static_cast<c10::Half>(scale));
    std::memcpy(quantized + in + k / kQ8Block * sizeof(kept), &kept,
                sizeof(kept));
  }
}

#define PONDER_INSTANTIATE(E)                                                 \
  template void Linear(const E*, const E*, const E*, int64_t, int64_t,        \
                       int64_t, E*);                                          \
  template void LinearQ8(const E*, const int8_t*, const E*, int64_t, int64_t, \
                         int64_t, E*);
PONDER_INSTANTIATE(float)
PONDER_INSTANTIATE(BFloat16)
#undef PONDER_INSTANTIATE

}  // namespace ponder::kernels
