#include "policy/gguf/ggml_blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace ponder {
namespace {

constexpr int kSmallBlock = 32;
constexpr int kLargeBlock = 256;

void AppendBytes(const void* bytes, size_t size, std::string* out) {
  out->append(static_cast<const char*>(bytes), size);
}

void AppendHalf(float value, std::string* out) {
  const uint16_t half = FloatToHalf(value);
  AppendBytes(&half, sizeof(half), out);
}

float ReadHalf(const char* bytes) {
  uint16_t half;
  std::memcpy(&half, bytes, sizeof(half));
  return HalfToFloat(half);
}

uint16_t FloatToBf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// To nearest, halves away from zero, as C's roundf.
int RoundAway(float value) { return static_cast<int>(std::round(value)); }

int Nearest(float value) { return static_cast<int>(std::lrint(value)); }

// --- Q8_0, Q4_0 -------------------------------------------------------------

void AppendQ8_0(const float* x, std::string* out) {
  float largest = 0;
  for (int k = 0; k < kSmallBlock; ++k) {
    largest = std::max(largest, std::abs(x[k]));
  }
  const float d = largest / 127.0f;
  const float inverse = d != 0 ? 1.0f / d : 0.0f;
  AppendHalf(d, out);
  for (int k = 0; k < kSmallBlock; ++k) {
    out->push_back(static_cast<char>(RoundAway(x[k] * inverse)));
  }
}

void AppendQ4_0(const float* x, std::string* out) {
  float largest = 0;  // With its sign.
  for (int k = 0; k < kSmallBlock; ++k) {
    if (std::abs(x[k]) > std::abs(largest)) largest = x[k];
  }
  const float d = largest / -8.0f;
  const float inverse = d != 0 ? 1.0f / d : 0.0f;
  AppendHalf(d, out);
  const auto quant = [&](int k) {
    return std::min(15, static_cast<int>(x[k] * inverse + 8.5f));
  };
  for (int k = 0; k < kSmallBlock / 2; ++k) {
    out->push_back(
        static_cast<char>(quant(k) | quant(k + kSmallBlock / 2) << 4));
  }
}

// --- Q4_K -------------------------------------------------------------------

// x is about scale * q + low with whole q from 0 to 15.
struct Line {
  float scale = 0;
  float low = 0;
};

// Weighted squared error of x rounded to a line.
float LineError(const float* x, const float* weights, const Line& line) {
  const float inverse = line.scale > 0 ? 1 / line.scale : 0;
  float error = 0;
  for (int k = 0; k < kSmallBlock; ++k) {
    const int q = std::clamp(Nearest(inverse * (x[k] - line.low)), 0, 15);
    const float difference =
        line.scale * static_cast<float>(q) + line.low - x[k];
    error += weights[k] * difference * difference;
  }
  return error;
}

// The least weighted squared error over 21 ways to round, each with the best
// line through what was rounded, and again through what is rounded to that.
Line FitLine(const float* x, const float* weights) {
  constexpr int kLevels = 15;
  constexpr int kTries = 20;
  constexpr int kRounds = 3;
  float smallest = x[0];
  float largest = x[0];
  float sum_w = 0;
  float sum_wx = 0;
  for (int k = 0; k < kSmallBlock; ++k) {
    smallest = std::min(smallest, x[k]);
    largest = std::max(largest, x[k]);
    sum_w += weights[k];
    sum_wx += weights[k] * x[k];
  }
  // Minima are subtracted, so they must not be above zero.
  smallest = std::min(smallest, 0.0f);
  if (largest == smallest) return {0, smallest};
  Line best{(largest - smallest) / kLevels, smallest};
  float best_error = LineError(x, weights, best);
  for (int attempt = 0; attempt <= kTries; ++attempt) {
    Line line{(largest - smallest) /
                  (-1.0f + 0.1f * static_cast<float>(attempt) + kLevels),
              smallest};
    for (int round = 0; round < kRounds; ++round) {
      const float inverse = 1 / line.scale;
      float sum_l = 0;
      float sum_l2 = 0;
      float sum_xl = 0;
      for (int k = 0; k < kSmallBlock; ++k) {
        const auto q = static_cast<float>(
            std::clamp(Nearest(inverse * (x[k] - line.low)), 0, kLevels));
        sum_l += weights[k] * q;
        sum_l2 += weights[k] * q * q;
        sum_xl += weights[k] * q * x[k];
      }
      const float determinant = sum_w * sum_l2 - sum_l * sum_l;
      if (determinant <= 0) break;
      line = {(sum_w * sum_xl - sum_wx * sum_l) / determinant,
              (sum_l2 * sum_wx - sum_l * sum_xl) / determinant};
      if (line.low > 0) line = {sum_xl / sum_l2, 0};
      if (line.scale <= 0) break;
      const float error = LineError(x, weights, line);
      if (error < best_error) {
        best_error = error;
        best = line;
      }
    }
  }
  return best;
}

void AppendQ4_K(const float* x, std::string* out) {
  constexpr int kParts = kLargeBlock / kSmallBlock;
  std::array<Line, kParts> lines;
  float weights[kLargeBlock];
  float largest_scale = 0;
  float largest_low = 0;
  for (int part = 0; part < kParts; ++part) {
    const float* const numbers = x + part * kSmallBlock;
    float squares = 0;
    for (int k = 0; k < kSmallBlock; ++k) squares += numbers[k] * numbers[k];
    const float typical = std::sqrt(squares / kSmallBlock);
    for (int k = 0; k < kSmallBlock; ++k) {
      weights[part * kSmallBlock + k] = typical + std::abs(numbers[k]);
    }
    lines[part] = FitLine(numbers, weights + part * kSmallBlock);
    largest_scale = std::max(largest_scale, lines[part].scale);
    largest_low = std::max(largest_low, -lines[part].low);
  }
  const float d = HalfToFloat(FloatToHalf(largest_scale / 63.0f));
  const float m = HalfToFloat(FloatToHalf(largest_low / 63.0f));
  AppendHalf(d, out);
  AppendHalf(m, out);
  uint8_t scales[kParts];
  uint8_t lows[kParts];
  for (int part = 0; part < kParts; ++part) {
    const auto six_bits = [](float value, float unit) {
      return unit > 0 ? std::clamp(Nearest(value / unit), 0, 63) : 0;
    };
    // Rounding the one may be made up for by the other.
    const int scale = six_bits(lines[part].scale, d);
    const int low = six_bits(-lines[part].low, m);
    float best_error = std::numeric_limits<float>::infinity();
    for (int s = std::max(scale - 1, 0); s <= std::min(scale + 1, 63); ++s) {
      for (int l = std::max(low - 1, 0); l <= std::min(low + 1, 63); ++l) {
        const float error =
            LineError(x + part * kSmallBlock, weights + part * kSmallBlock,
                      {d * static_cast<float>(s), -m * static_cast<float>(l)});
        if (error < best_error) {
          best_error = error;
          scales[part] = static_cast<uint8_t>(s);
          lows[part] = static_cast<uint8_t>(l);
        }
      }
    }
  }
  uint8_t packed[12];
  for (int k = 0; k < 4; ++k) {
    packed[k] = static_cast<uint8_t>(scales[k] | (scales[k + 4] >> 4) << 6);
    packed[k + 4] = static_cast<uint8_t>(lows[k] | (lows[k + 4] >> 4) << 6);
    packed[k + 8] =
        static_cast<uint8_t>((scales[k + 4] & 15) | (lows[k + 4] & 15) << 4);
  }
  AppendBytes(packed, sizeof(packed), out);
  uint8_t quants[kLargeBlock];
  for (int k = 0; k < kLargeBlock; ++k) {
    const int part = k / kSmallBlock;
    const float scale = d * static_cast<float>(scales[part]);
    const float low = m * static_cast<float>(lows[part]);
    quants[k] = static_cast<uint8_t>(
        scale > 0 ? std::clamp(Nearest((x[k] + low) / scale), 0, 15) : 0);
  }
  for (int pair = 0; pair < kParts / 2; ++pair) {
    for (int k = 0; k < kSmallBlock; ++k) {
      const uint8_t low = quants[2 * pair * kSmallBlock + k];
      const uint8_t high = quants[(2 * pair + 1) * kSmallBlock + k];
      out->push_back(static_cast<char>(low | high << 4));
    }
  }
}

void ReadQ4_K(const char* bytes, float* x) {
  const float d = ReadHalf(bytes);
  const float m = ReadHalf(bytes + 2);
  const auto* const s = reinterpret_cast<const uint8_t*>(bytes + 4);
  const auto* const q = s + 12;
  for (int k = 0; k < kLargeBlock; ++k) {
    const int part = k / kSmallBlock;
    const int scale =
        part < 4 ? s[part] & 63 : (s[part + 4] & 15) | (s[part - 4] >> 6) << 4;
    const int low =
        part < 4 ? s[part + 4] & 63 : s[part + 4] >> 4 | (s[part] >> 6) << 4;
    const uint8_t pair = q[part / 2 * kSmallBlock + k % kSmallBlock];
    const int quant = part % 2 == 0 ? pair & 15 : pair >> 4;
    x[k] = d * static_cast<float>(scale * quant) - m * static_cast<float>(low);
  }
}

// --- Q6_K -------------------------------------------------------------------

constexpr int kQ6Part = 16;

// The scale for which x is nearest to scale * q with whole q from -32 to 31,
// by squared error weighted with x^2.
float FitScale(const float* x) {
  float largest = 0;
  for (int k = 0; k < kQ6Part; ++k) {
    if (std::abs(x[k]) > std::abs(largest)) largest = x[k];
  }
  if (std::abs(largest) < 1e-15f) return 0;
  float best_scale = 0;
  float best = -1;
  for (int attempt = -9; attempt <= 9; ++attempt) {
    const float inverse =
        -(32.0f + 0.1f * static_cast<float>(attempt)) / largest;
    float sum_xl = 0;
    float sum_l2 = 0;
    for (int k = 0; k < kQ6Part; ++k) {
      const auto q =
          static_cast<float>(std::clamp(Nearest(inverse * x[k]), -32, 31));
      const float weight = x[k] * x[k];
      sum_xl += weight * x[k] * q;
      sum_l2 += weight * q * q;
    }
    if (sum_l2 <= 0) continue;
    // What the best scale takes off the error.
    const float gain = sum_xl * sum_xl / sum_l2;
    if (gain > best) {
      best = gain;
      best_scale = sum_xl / sum_l2;
    }
  }
  return best_scale;
}

void AppendQ6_K(const float* x, std::string* out) {
  constexpr int kParts = kLargeBlock / kQ6Part;
  float scales[kParts];
  float largest = 0;  // With its sign.
  for (int part = 0; part < kParts; ++part) {
    scales[part] = FitScale(x + part * kQ6Part);
    if (std::abs(scales[part]) > std::abs(largest)) largest = scales[part];
  }
  const float d = HalfToFloat(FloatToHalf(largest / -128.0f));
  int8_t whole[kParts];
  uint8_t quants[kLargeBlock];
  for (int part = 0; part < kParts; ++part) {
    const float* const numbers = x + part * kQ6Part;
    const int nearest =
        d != 0 ? std::clamp(Nearest(scales[part] / d), -128, 127) : 0;
    float best_error = std::numeric_limits<float>::infinity();
    for (int w = std::max(nearest - 1, -128); w <= std::min(nearest + 1, 127);
         ++w) {
      const float scale = d * static_cast<float>(w);
      uint8_t rounded[kQ6Part];
      float error = 0;
      for (int k = 0; k < kQ6Part; ++k) {
        const int q =
            scale != 0 ? std::clamp(Nearest(numbers[k] / scale), -32, 31) : 0;
        rounded[k] = static_cast<uint8_t>(q + 32);
        const float difference = scale * static_cast<float>(q) - numbers[k];
        error += numbers[k] * numbers[k] * difference * difference;
      }
      if (error < best_error) {
        best_error = error;
        whole[part] = static_cast<int8_t>(w);
        std::memcpy(quants + part * kQ6Part, rounded, sizeof(rounded));
      }
    }
  }
  uint8_t low[kLargeBlock / 2];
  uint8_t high[kLargeBlock / 4];
  for (int half = 0; half < 2; ++half) {
    for (int k = 0; k < 32; ++k) {
      const uint8_t* const q = quants + half * 128 + k;
      low[half * 64 + k] =
          static_cast<uint8_t>((q[0] & 15) | (q[64] & 15) << 4);
      low[half * 64 + k + 32] =
          static_cast<uint8_t>((q[32] & 15) | (q[96] & 15) << 4);
      high[half * 32 + k] =
          static_cast<uint8_t>(q[0] >> 4 | (q[32] >> 4) << 2 |
                               (q[64] >> 4) << 4 | (q[96] >> 4) << 6);
    }
  }
  AppendBytes(low, sizeof(low), out);
  AppendBytes(high, sizeof(high), out);
  AppendBytes(whole, sizeof(whole), out);
  AppendHalf(d, out);
}

void ReadQ6_K(const char* bytes, float* x) {
  const auto* const low = reinterpret_cast<const uint8_t*>(bytes);
  const auto* const high = low + kLargeBlock / 2;
  const auto* const scales =
      reinterpret_cast<const int8_t*>(high + kLargeBlock / 4);
  const float d = ReadHalf(bytes + 208);
  for (int k = 0; k < kLargeBlock; ++k) {
    const int half = k / 128;
    const int quarter = k % 128 / 32;
    const int column = k % 32;
    const uint8_t nibbles = low[half * 64 + column + (quarter % 2) * 32];
    const int four = quarter < 2 ? nibbles & 15 : nibbles >> 4;
    const int two = high[half * 32 + column] >> (2 * quarter) & 3;
    x[k] = d * static_cast<float>(scales[k / kQ6Part]) *
           static_cast<float>((four | two << 4) - 32);
  }
}

}  // namespace

const char* GgmlTypeName(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return "F32";
    case GgmlType::kF16:
      return "F16";
    case GgmlType::kQ4_0:
      return "Q4_0";
    case GgmlType::kQ8_0:
      return "Q8_0";
    case GgmlType::kQ4_K:
      return "Q4_K";
    case GgmlType::kQ6_K:
      return "Q6_K";
    case GgmlType::kBf16:
      return "BF16";
  }
  return "?";
}

int64_t GgmlBlockNumbers(GgmlType type) {
  switch (type) {
    case GgmlType::kQ4_0:
    case GgmlType::kQ8_0:
      return kSmallBlock;
    case GgmlType::kQ4_K:
    case GgmlType::kQ6_K:
      return kLargeBlock;
    default:
      return 1;
  }
}

int64_t GgmlRowBytes(GgmlType type, int64_t numbers) {
  PONDER_CHECK(numbers % GgmlBlockNumbers(type) == 0);
  const int64_t blocks = numbers / GgmlBlockNumbers(type);
  switch (type) {
    case GgmlType::kF32:
      return blocks * 4;
    case GgmlType::kF16:
    case GgmlType::kBf16:
      return blocks * 2;
    case GgmlType::kQ4_0:
      return blocks * 18;
    case GgmlType::kQ8_0:
      return blocks * 34;
    case GgmlType::kQ4_K:
      return blocks * 144;
    case GgmlType::kQ6_K:
      return blocks * 210;
  }
  return 0;
}

void AppendGgmlRow(GgmlType type, absl::Span<const float> row,
                   std::string* out) {
  const auto block = static_cast<size_t>(GgmlBlockNumbers(type));
  PONDER_CHECK(row.size() % block == 0);
  if (type == GgmlType::kF32) {
    AppendBytes(row.data(), row.size() * sizeof(float), out);
    return;
  }
  for (size_t k = 0; k < row.size(); k += block) {
    const float* const x = row.data() + k;
    switch (type) {
      case GgmlType::kF32:
        break;
      case GgmlType::kF16:
        AppendHalf(*x, out);
        break;
      case GgmlType::kBf16: {
        const uint16_t bits = FloatToBf16(*x);
        AppendBytes(&bits, sizeof(bits), out);
        break;
      }
      case GgmlType::kQ8_0:
        AppendQ8_0(x, out);
        break;
      case GgmlType::kQ4_0:
        AppendQ4_0(x, out);
        break;
      case GgmlType::kQ4_K:
        AppendQ4_K(x, out);
        break;
      case GgmlType::kQ6_K:
        AppendQ6_K(x, out);
        break;
    }
  }
}

void ReadGgmlRow(GgmlType type, const char* bytes, absl::Span<float> row) {
  const auto block = static_cast<size_t>(GgmlBlockNumbers(type));
  const int64_t block_bytes = GgmlRowBytes(type, static_cast<int64_t>(block));
  for (size_t k = 0; k < row.size(); k += block, bytes += block_bytes) {
    float* const x = row.data() + k;
    switch (type) {
      case GgmlType::kF32:
        std::memcpy(x, bytes, sizeof(float));
        break;
      case GgmlType::kF16:
        *x = ReadHalf(bytes);
        break;
      case GgmlType::kBf16: {
        uint16_t bits;
        std::memcpy(&bits, bytes, sizeof(bits));
        *x = std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
        break;
      }
      case GgmlType::kQ8_0: {
        const float d = ReadHalf(bytes);
        for (int j = 0; j < kSmallBlock; ++j) {
          x[j] = d * static_cast<float>(static_cast<int8_t>(bytes[2 + j]));
        }
        break;
      }
      case GgmlType::kQ4_0: {
        const float d = ReadHalf(bytes);
        for (int j = 0; j < kSmallBlock; ++j) {
          const auto pair = static_cast<uint8_t>(bytes[2 + j % 16]);
          const int q = j < 16 ? pair & 15 : pair >> 4;
          x[j] = d * static_cast<float>(q - 8);
        }
        break;
      }
      case GgmlType::kQ4_K:
        ReadQ4_K(bytes, x);
        break;
      case GgmlType::kQ6_K:
        ReadQ6_K(bytes, x);
        break;
    }
  }
}

uint16_t FloatToHalf(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) {  // Infinity and NaN.
    return static_cast<uint16_t>(sign | 0x7c00 |
                                 (magnitude > 0x7f800000 ? 0x200 : 0));
  }
  if (magnitude >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude < 0x33000001) return sign;  // At most half the smallest.
  const int exponent = static_cast<int>(magnitude >> 23) - 127;
  uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
  // Bits that are dropped: 13, or more for numbers below 2^-14.
  const int drop = exponent < -14 ? 13 + (-14 - exponent) : 13;
  const uint32_t kept = mantissa >> drop;
  const uint32_t rest = mantissa & ((1u << drop) - 1);
  const uint32_t half = 1u << (drop - 1);
  const uint32_t rounded =
      kept + (rest > half || (rest == half && (kept & 1)) ? 1 : 0);
  // The leading bit of a normal number carries into the exponent.
  const uint32_t base =
      exponent < -14 ? 0 : static_cast<uint32_t>(exponent + 14) << 10;
  return static_cast<uint16_t>(sign | (base + rounded));
}

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 31;
  const uint32_t mantissa = half & 0x3ff;
  if (exponent == 31) {
    return std::bit_cast<float>(sign | 0x7f800000 | mantissa << 13);
  }
  if (exponent == 0) {
    const float value = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

}  // namespace ponder
