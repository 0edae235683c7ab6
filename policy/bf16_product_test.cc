#include "policy/bf16_product.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "policy/panel.h"

namespace ponder::kernels {
namespace {

using at::BFloat16;

std::vector<BFloat16> Random(int64_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<BFloat16> numbers(size);
  for (BFloat16& number : numbers) {
    number = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  }
  return numbers;
}

bool SameBits(const BFloat16& a, const BFloat16& b) { return a.x == b.x; }

// By each of the two ways.
class Bf16ProductTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    product_ = Bf16ProductByName(GetParam());
    if (product_ == nullptr) {
      GTEST_SKIP() << "this processor does not have " << GetParam();
    }
  }

  // y [rows, out], where what is not written stays kUntouched.
  std::vector<BFloat16> Product(const BFloat16* x, int64_t rows,
                                const BFloat16* w, const BFloat16* bias,
                                int64_t in, int64_t outputs,
                                int64_t out) const {
    std::vector<float> scratch(in * kPanel, NAN);
    std::vector<BFloat16> y(rows * out, kUntouched);
    product_(x, rows, w, bias, in, outputs, out, scratch.data(), y.data());
    return y;
  }

  static constexpr float kUntouched = 12345.0f;
  Bf16PanelProduct product_ = nullptr;
};

TEST_P(Bf16ProductTest, IsTheProduct) {
  constexpr int64_t kOut = 40;
  for (const int64_t in : {32, 96, 1216}) {
    for (const int64_t outputs : {1, 15, 16, 17, 31, 32}) {
      const std::vector<BFloat16> w = Random(outputs * in, 1);
      const std::vector<BFloat16> bias = Random(outputs, 2);
      for (const int64_t rows : {1, 2, 3, 5, 11, 12, 13, 16, 17, 32, 33, 70}) {
        const std::vector<BFloat16> x = Random(rows * in, 3);
        for (const BFloat16* b : {bias.data(), (const BFloat16*)nullptr}) {
          const std::vector<BFloat16> y =
              Product(x.data(), rows, w.data(), b, in, outputs, kOut);
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t o = 0; o < kOut; ++o) {
              const float got = y[r * kOut + o];
              if (o >= outputs) {
                ASSERT_EQ(got, static_cast<float>(BFloat16(kUntouched)))
                    << "output " << o << " of " << outputs;
                continue;
              }
              double want = b == nullptr ? 0.0 : static_cast<float>(b[o]);
              for (int64_t k = 0; k < in; ++k) {
                want += static_cast<double>(static_cast<float>(x[r * in + k])) *
                        static_cast<float>(w[o * in + k]);
              }
              // Half a unit of bfloat16, and what sums in float32 lose.
              ASSERT_NEAR(got, want, std::abs(want) / 256 + 1e-5 * in)
                  << in << " inputs, " << rows << " rows, row " << r
                  << ", output " << o;
            }
          }
        }
      }
    }
  }
}

TEST_P(Bf16ProductTest, ARowDoesNotDependOnTheOthers) {
  constexpr int64_t kIn = 2432, kRows = 75;
  const std::vector<BFloat16> w = Random(kPanel * kIn, 1);
  const std::vector<BFloat16> x = Random(kRows * kIn, 2);
  const std::vector<BFloat16> all =
      Product(x.data(), kRows, w.data(), nullptr, kIn, kPanel, kPanel);
  for (int64_t rows = 1; rows < 40; ++rows) {
    for (const int64_t first : {0, 1, 17, 35}) {
      const std::vector<BFloat16> some = Product(
          x.data() + first * kIn, rows, w.data(), nullptr, kIn, kPanel, kPanel);
      for (int64_t i = 0; i < rows * kPanel; ++i) {
        ASSERT_TRUE(SameBits(some[i], all[first * kPanel + i]))
            << rows << " rows from " << first;
      }
    }
  }
}

// A number that is none spoils its own row, or its own output, and no more.
TEST_P(Bf16ProductTest, NaNStaysWhereItIs) {
  constexpr int64_t kIn = 64, kRows = 19;
  std::vector<BFloat16> w = Random(kPanel * kIn, 1);
  std::vector<BFloat16> x = Random(kRows * kIn, 2);
  x[4 * kIn + 5] = std::numeric_limits<float>::quiet_NaN();
  w[20 * kIn + 63] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<BFloat16> y =
      Product(x.data(), kRows, w.data(), nullptr, kIn, kPanel, kPanel);
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t o = 0; o < kPanel; ++o) {
      EXPECT_EQ(std::isnan(static_cast<float>(y[r * kPanel + o])),
                r == 4 || o == 20)
          << r << " " << o;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, Bf16ProductTest, testing::Values("amx", "pairs"),
                         [](const auto& info) {
                           return std::string(info.param);
                         });

TEST(Bf16ProductChoiceTest, IsForWholeTileRows) {
  EXPECT_EQ(Bf16Product(48), nullptr);
  EXPECT_EQ(Bf16Product(8), nullptr);
  const bool has_one = Bf16ProductByName("amx") != nullptr ||
                       Bf16ProductByName("pairs") != nullptr;
  EXPECT_EQ(Bf16Product(64) != nullptr, has_one);
  EXPECT_EQ(Bf16ProductByName("abacus"), nullptr);
}

}  // namespace
}  // namespace ponder::kernels
