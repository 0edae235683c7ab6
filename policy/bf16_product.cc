#include "policy/bf16_product.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "policy/panel.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define PONDER_X86 1
#endif

namespace ponder::kernels {

#ifdef PONDER_X86
namespace {

// Two neighbouring inputs in bfloat16 are one word of 32 bits, which is what
// both kinds of instruction multiply.
constexpr int64_t kPair = 2;
constexpr int64_t kInputs =
    32;  // A tile's row, and what `in` is a multiple of.

#define PONDER_AVX512 __attribute__((target("arch=x86-64-v4")))
#define PONDER_AVX512_BF16 __attribute__((target("arch=x86-64-v4,avx512bf16")))
#define PONDER_AMX __attribute__((target("arch=x86-64-v4,amx-tile,amx-bf16")))

// w [outputs, in] to packed [in / 2, kPanel] words, with zeros for outputs that
// are not there.
PONDER_INLINE void PackPairs(const BFloat16* w, int64_t outputs, int64_t in,
                             float* packed) {
  for (int64_t first = 0; first < kPanel; first += kLanes) {
    const int64_t n = std::clamp<int64_t>(outputs - first, 0, kLanes);
    for (int64_t k = 0; k < in; k += kInputs) {
      Floats columns[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        columns[i] = Floats{};
        if (i < n) {
          std::memcpy(&columns[i], w + (first + i) * in + k, sizeof(Floats));
        }
      }
      Transpose(columns);
      for (int64_t i = 0; i < kLanes; ++i) {
        Store(columns[i], packed + (k / kPair + i) * kPanel + first);
      }
    }
  }
}

template <int kRows>
__attribute__((always_inline)) inline PONDER_AVX512_BF16 void MultiplyPairs(
    const BFloat16* x, const float* packed, const BFloat16* bias, int64_t in,
    int64_t outputs, int64_t out, BFloat16* y) {
  __m512 sums[kRows][2];
  for (auto& row : sums) row[0] = row[1] = _mm512_setzero_ps();
  for (int64_t k = 0; k < in; k += kPair) {
    const float* const w = packed + k / kPair * kPanel;
    const __m512bh w0 = (__m512bh)_mm512_loadu_ps(w);
    const __m512bh w1 = (__m512bh)_mm512_loadu_ps(w + kLanes);
    for (int r = 0; r < kRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, x + r * in + k, sizeof(pair));
      const __m512bh value = (__m512bh)_mm512_set1_epi32(pair);
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], value, w0);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], value, w1);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    StoreOutputs((Floats)sums[r][0], bias, outputs, y + r * out);
    StoreOutputs((Floats)sums[r][1], bias == nullptr ? bias : bias + kLanes,
                 outputs - kLanes, y + r * out + kLanes);
  }
}

PONDER_AVX512_BF16 void PairsProduct(const BFloat16* x, int64_t num_rows,
                                     const BFloat16* w, const BFloat16* bias,
                                     int64_t in, int64_t outputs, int64_t out,
                                     float* scratch, BFloat16* y) {
  PackPairs(w, outputs, in, scratch);
  for (; num_rows >= 12; num_rows -= 12, x += 12 * in, y += 12 * out) {
    MultiplyPairs<12>(x, scratch, bias, in, outputs, out, y);
  }
  for (; num_rows >= 4; num_rows -= 4, x += 4 * in, y += 4 * out) {
    MultiplyPairs<4>(x, scratch, bias, in, outputs, out, y);
  }
  for (; num_rows > 0; --num_rows, x += in, y += out) {
    MultiplyPairs<1>(x, scratch, bias, in, outputs, out, y);
  }
}

// Eight tiles of 16 rows of 64 bytes: 0 to 3 for 32 rows times 32 outputs, 4
// and 5 for the rows' inputs, 6 and 7 for the weights.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

constexpr int64_t kTileRows = 16;

PONDER_AMX void AmxProduct(const BFloat16* x, int64_t num_rows,
                           const BFloat16* w, const BFloat16* bias, int64_t in,
                           int64_t outputs, int64_t out, float* scratch,
                           BFloat16* y) {
  PackPairs(w, outputs, in, scratch);
  const TileConfig config;
  _tile_loadconfig(&config);
  constexpr int64_t kWeightBytes = kPanel * sizeof(float);
  const int64_t row_bytes = in * static_cast<int64_t>(sizeof(BFloat16));
  alignas(64) float sums[2 * kTileRows][kPanel];
  // Rows that are not there are zeros.
  std::unique_ptr<BFloat16[]> padded;
  for (int64_t row = 0; row < num_rows; row += 2 * kTileRows) {
    const int64_t n = std::min(2 * kTileRows, num_rows - row);
    const BFloat16* rows = x + row * in;
    if (n % kTileRows != 0) {
      padded.reset(new BFloat16[2 * kTileRows * in]);
      std::memcpy(padded.get(), rows, n * row_bytes);
      std::memset(padded.get() + n * in, 0, (2 * kTileRows - n) * row_bytes);
      rows = padded.get();
    }
    const bool second = n > kTileRows;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < in; k += kInputs) {
      const float* const weights = scratch + k / kPair * kPanel;
      _tile_loadd(6, weights, kWeightBytes);
      _tile_loadd(7, weights + kLanes, kWeightBytes);
      _tile_loadd(4, rows + k, row_bytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if (!second) continue;
      _tile_loadd(5, rows + kTileRows * in + k, row_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, &sums[0][0], kWeightBytes);
    _tile_stored(1, &sums[0][kLanes], kWeightBytes);
    _tile_stored(2, &sums[kTileRows][0], kWeightBytes);
    _tile_stored(3, &sums[kTileRows][kLanes], kWeightBytes);
    for (int64_t r = 0; r < n; ++r) {
      BFloat16* const to = y + (row + r) * out;
      StoreOutputs(Load(&sums[r][0]), bias, outputs, to);
      StoreOutputs(Load(&sums[r][kLanes]),
                   bias == nullptr ? bias : bias + kLanes, outputs - kLanes,
                   to + kLanes);
    }
  }
  _tile_release();
}

bool HasPairs() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("x86-64-v4") &&
         __builtin_cpu_supports("avx512bf16");
}

// The processor has the unit, and Linux lets this process use it
// (Documentation/arch/x86/xstate.rst).
bool HasAmx() {
  __builtin_cpu_init();
  unsigned a, b, c, d;
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return __builtin_cpu_supports("x86-64-v4") &&
         __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxBf16) != 0 &&
         (d & kAmxTile) != 0 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

Bf16PanelProduct Bf16ProductByName(const char* name) {
  static const bool has_amx = HasAmx();
  static const bool has_pairs = HasPairs();
  if (std::strcmp(name, "amx") == 0 && has_amx) return AmxProduct;
  if (std::strcmp(name, "pairs") == 0 && has_pairs) return PairsProduct;
  return nullptr;
}

Bf16PanelProduct Bf16Product(int64_t in) {
  static const Bf16PanelProduct best = [] {
    const Bf16PanelProduct amx = Bf16ProductByName("amx");
    return amx != nullptr ? amx : Bf16ProductByName("pairs");
  }();
  return in % kInputs == 0 ? best : nullptr;
}
#else
Bf16PanelProduct Bf16ProductByName(const char*) { return nullptr; }
Bf16PanelProduct Bf16Product(int64_t) { return nullptr; }
#endif

}  // namespace ponder::kernels
