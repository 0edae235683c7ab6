// How ggml, llama.cpp's tensor library, stores rows of weights: as plain
// numbers or as blocks of small integers with scales.
//
// Layouts (little endian) as in ggml's ggml-common.h:
//
//   Q8_0  32 numbers   f16 d; i8 q[32]                          x = d q
//   Q4_0  32 numbers   f16 d; u8 q[16], low nibbles first       x = d (q - 8)
//   Q4_K  256 numbers  f16 d, m; u8 scales[12]; u8 q[128]       x = d s q - m t
//   Q6_K  256 numbers  u8 low[128]; u8 high[64]; i8 s[16]; f16 d  x = d s (q -
//   32)
//
// In Q4_K each 32 numbers share a scale s and a minimum t of 6 bits; in Q6_K
// each 16 numbers share a scale of 8 bits.

#ifndef PONDER_POLICY_GGUF_GGML_BLOCKS_H_
#define PONDER_POLICY_GGUF_GGML_BLOCKS_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace ponder {

// The numbers are ggml's.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ6_K = 14,
  kBf16 = 30,
};

const char* GgmlTypeName(GgmlType type);

// Numbers in a block; rows must be multiples of it.
int64_t GgmlBlockNumbers(GgmlType type);

// Bytes of a row of `numbers`. REQUIRES: a multiple of the block's numbers.
int64_t GgmlRowBytes(GgmlType type, int64_t numbers);

// Appends the row to `out`. F32, F16 and BF16 round to nearest, ties to even;
// Q8_0 and Q4_0 give the same bytes as ggml's reference; Q4_K and Q6_K search
// for the scales with the least weighted squared error, as ggml does.
// REQUIRES: finite numbers, a multiple of the block's.
void AppendGgmlRow(GgmlType type, absl::Span<const float> row,
                   std::string* out);

// The numbers that `bytes` stand for, of which there are `row.size()`.
void ReadGgmlRow(GgmlType type, const char* bytes, absl::Span<float> row);

// IEEE 754's binary16, to nearest with ties to even; and back.
uint16_t FloatToHalf(float value);
float HalfToFloat(uint16_t half);

}  // namespace ponder

#endif  // PONDER_POLICY_GGUF_GGML_BLOCKS_H_
