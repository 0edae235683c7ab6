// Attacks are refused within the limits. Steps are asserted, not times; the
// benchmark math_verify_bench prints those.

#include "gtest/gtest.h"
#include "reward/math/attacks_for_test.h"
#include "reward/math/limits.h"
#include "reward/math/verify.h"

namespace ponder {
namespace {

TEST(AttacksTest, AreJudgedRightWithinTheLimits) {
  for (const math::Attack& attack : math::Attacks()) {
    const MathResult result = VerifyMath(attack.gold, attack.response);
    EXPECT_EQ(result.verdict,
              attack.correct ? MathVerdict::kCorrect : MathVerdict::kWrong)
        << attack.name << ": " << result.reason.substr(0, 200);
    EXPECT_LE(result.steps, math::kMaxSteps) << attack.name;
  }
}

// What is compared with itself takes the same limits, and no gold answer that
// can't be evaluated is ever met by accident.
TEST(AttacksTest, AsGolds) {
  for (const math::Attack& attack : math::Attacks()) {
    const MathResult result = VerifyMath(attack.response, "\\boxed{-17}");
    EXPECT_NE(result.verdict, MathVerdict::kCorrect) << attack.name;
    EXPECT_LE(result.steps, math::kMaxSteps) << attack.name;
  }
}

}  // namespace
}  // namespace ponder
