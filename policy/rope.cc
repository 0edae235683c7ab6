#include "policy/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ponder {
namespace {

// The dimension whose wavelength makes `rotations` turns in the context.
double YarnDimension(const RopeConfig& rope, double head_dim,
                     double rotations) {
  return head_dim *
         std::log(rope.original_max_position_embeddings /
                  (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(rope.theta));
}

}  // namespace

double YarnMscale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

std::vector<float> RopeFrequencies(const RopeConfig& rope, int64_t head_dim) {
  const int64_t half = head_dim / 2;
  std::vector<float> frequencies(half);
  for (int64_t i = 0; i < half; ++i) {
    const double exponent =
        2.0 * static_cast<double>(i) / static_cast<double>(head_dim);
    double f = 1.0 / std::pow(rope.theta, exponent);
    if (rope.type == "linear") {
      f /= rope.factor;
    } else if (rope.type == "llama3") {
      const double turns =
          rope.original_max_position_embeddings * f / (2 * std::numbers::pi);
      const double smooth =
          std::clamp((turns - rope.low_freq_factor) /
                         (rope.high_freq_factor - rope.low_freq_factor),
                     0.0, 1.0);
      f = (1 - smooth) * f / rope.factor + smooth * f;
    } else if (rope.type == "yarn") {
      const double dim = static_cast<double>(head_dim);
      double low = YarnDimension(rope, dim, rope.beta_fast);
      double high = YarnDimension(rope, dim, rope.beta_slow);
      if (rope.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
      }
      low = std::max(low, 0.0);
      high = std::min(high, dim - 1);
      if (low == high) high += 0.001;
      const double ramp =
          std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
      f = f / rope.factor * ramp + f * (1 - ramp);
    }
    frequencies[i] = static_cast<float>(f);
  }
  return frequencies;
}

double RopeAttentionFactor(const RopeConfig& rope) {
  if (rope.type != "yarn") return 1.0;
  if (rope.attention_factor != 0) return rope.attention_factor;
  if (rope.mscale != 0 && rope.mscale_all_dim != 0) {
    return YarnMscale(rope.factor, rope.mscale) /
           YarnMscale(rope.factor, rope.mscale_all_dim);
  }
  return YarnMscale(rope.factor, 1.0);
}

RopeTable MakeRopeTable(const RopeConfig& rope, int64_t head_dim,
                        int64_t num_positions) {
  const std::vector<float> frequencies = RopeFrequencies(rope, head_dim);
  const double factor = RopeAttentionFactor(rope);
  RopeTable table;
  table.half_dim = static_cast<int64_t>(frequencies.size());
  table.cos.reserve(num_positions * frequencies.size());
  table.sin.reserve(num_positions * frequencies.size());
  for (int64_t position = 0; position < num_positions; ++position) {
    for (const float frequency : frequencies) {
      // The angle is a float product in transformers, too.
      const float angle = static_cast<float>(position) * frequency;
      table.cos.push_back(
          static_cast<float>(std::cos(static_cast<double>(angle)) * factor));
      table.sin.push_back(
          static_cast<float>(std::sin(static_cast<double>(angle)) * factor));
    }
  }
  return table;
}

}  // namespace ponder
