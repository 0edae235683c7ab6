// The golden values of tests/parity/make_rl_golden.py, NumPy in float64.

#ifndef PONDER_RL_GOLDEN_FOR_TEST_H_
#define PONDER_RL_GOLDEN_FOR_TEST_H_

#include <vector>

#include "ATen/ATen.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder {

inline std::vector<nlohmann::json> GoldenCases(const char* section) {
  const auto text = ReadFile("tests/parity/golden/rl.json");
  EXPECT_TRUE(text.ok()) << text.status();
  return nlohmann::json::parse(*text)[section];
}

inline at::Tensor Doubles(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble);
}

// Relative and absolute bound 1e-12.
inline void ExpectNear(const at::Tensor& got, const nlohmann::json& wanted) {
  EXPECT_TRUE(at::allclose(got, Doubles(wanted), 1e-12, 1e-12))
      << got << " instead of " << wanted;
}

}  // namespace ponder

#endif  // PONDER_RL_GOLDEN_FOR_TEST_H_
