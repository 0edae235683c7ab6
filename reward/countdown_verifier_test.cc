#include "reward/countdown_verifier.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

const std::vector<int64_t> kNumbers = {3, 5, 8, 8};

CountdownResult Verify(const std::string& response, int64_t target = 24,
                       const std::vector<int64_t>& numbers = kNumbers) {
  return VerifyCountdown(target, numbers, response);
}

TEST(CountdownVerifierTest, RightExpressions) {
  for (const char* response :
       {"\\boxed{(8-5)*8*3/3}", "\\boxed{8 * 3 + 8 - 5 - 3}"}) {
    EXPECT_NE(Verify(response).verdict, CountdownVerdict::kCorrect) << response;
  }
  for (const char* response :
       {"\\boxed{8+8+5+3}", "\\boxed{ 8 + (8 + 5) + 3 }",
        "\\boxed{((((8)))+8+5+3)}", "<answer>8+8+5+3</answer>",
        "<answer>\\boxed{8+8+5+3}</answer>", "\\boxed{8+8+5+3=24}",
        "\\boxed{8+8+5+3 = 24}", "<think>8*3=24?</think>\\boxed{3+5+8+8}",
        "\\boxed{1}, no: \\boxed{3+5+8+8}<|endoftext|>",
        "\\boxed{\\left(8+8\\right)+5+3}"}) {
    const CountdownResult result = Verify(response);
    EXPECT_EQ(result.verdict, CountdownVerdict::kCorrect)
        << response << ": " << result.reason;
  }
}

TEST(CountdownVerifierTest, ValuesAreExact) {
  // 8 / (3 - 8/3) = 24, where a float gives 23.999999999999989.
  EXPECT_EQ(Verify("\\boxed{8/(3-8/3)}", 24, {3, 3, 8, 8}).verdict,
            CountdownVerdict::kCorrect);
  EXPECT_EQ(Verify("\\boxed{1/3*3}", 1, {1, 3, 3}).verdict,
            CountdownVerdict::kCorrect);
  EXPECT_EQ(Verify("\\boxed{7/2}", 3, {2, 7}).verdict,
            CountdownVerdict::kWrong);
  EXPECT_EQ(Verify("\\boxed{2-7}", -5, {2, 7}).verdict,
            CountdownVerdict::kCorrect);
  EXPECT_EQ(Verify("\\boxed{20-2*3-4}", 10, {2, 3, 4, 20}).verdict,
            CountdownVerdict::kCorrect);
  EXPECT_EQ(Verify("\\boxed{24/2/3}", 4, {2, 3, 24}).verdict,
            CountdownVerdict::kCorrect);
}

TEST(CountdownVerifierTest, OtherSpellings) {
  for (const char* product : {"6*4", "6\\times 4", "6 \\cdot 4",
                              "6\xc3\x97"
                              "4",
                              "6\xc2\xb7"
                              "4"}) {
    EXPECT_EQ(
        Verify(absl::StrCat("\\boxed{", product, "}"), 24, {4, 6}).verdict,
        CountdownVerdict::kCorrect)
        << product;
  }
  EXPECT_EQ(Verify("\\boxed{48\\div 2}", 24, {2, 48}).verdict,
            CountdownVerdict::kCorrect);
  EXPECT_EQ(Verify("\\boxed{48\xc3\xb7"
                   "2}",
                   24, {2, 48})
                .verdict,
            CountdownVerdict::kCorrect);
  EXPECT_EQ(Verify("\\boxed{48\xe2\x88\x92"
                   "24}",
                   24, {24, 48})
                .verdict,
            CountdownVerdict::kCorrect);
}

TEST(CountdownVerifierTest, WrongOnesSayWhy) {
  const struct {
    const char* response;
    const char* reason;
  } cases[] = {
      {"8+8+5+3", "no expression in a box"},
      {"", "no expression in a box"},
      {"<think>\\boxed{8+8+5+3}", "thought was not closed"},
      {"<think>\\boxed{8+8+5+3}</think>none", "no expression in a box"},
      {"\\boxed{}", "ends too early"},
      {"\\boxed{24}", "it uses 24"},
      {"\\boxed{8*3}", "it uses 3, 8, wanted 3, 5, 8, 8"},
      {"\\boxed{8+8+5+3+0}", "it uses 0, 3, 5, 8, 8"},
      {"\\boxed{8+8+5-3}", "not 24"},
      {"\\boxed{8+8+5+3=25}", "not 25"},
      {"\\boxed{8+8+5-3=18}", "not 24"},
      {"\\boxed{8+8+5+3=}", "ends too early"},
      {"\\boxed{8+8+5+3=24=24}", "\"=\" has no place"},
      {"\\boxed{(8+8+5+3}", "not closed"},
      {"\\boxed{8+8+5+3)}", "\")\" has no place"},
      {"\\boxed{8+8+5 3}", "\"3\" has no place"},
      {"\\boxed{8(8+5+3)}", "\"(\" has no place"},
      {"\\boxed{8++8+5+3}", "\"+\" has no place"},
      {"\\boxed{-8+8+5+3}", "\"-\" has no place"},
      {"\\boxed{8**8+5+3}", "\"*\" has no place"},
      {"\\boxed{8^8+5+3}", "\"^\" has no place"},
      {"\\boxed{8//8+5+3}", "\"/\" has no place"},
      {"\\boxed{8.0+8+5+3}", "\".\" has no place"},
      {"\\boxed{88+5+3}", "it uses 3, 5, 88"},
      {"\\boxed{8/(8-8)+5+3}", "divides by zero"},
      {"\\boxed{__import__('os')}", "\"_\" has no place"},
      {"\\boxed{99999999999999999999+8+5+3}", "beyond the limits"},
  };
  for (const auto& c : cases) {
    const CountdownResult result = Verify(c.response);
    EXPECT_EQ(result.verdict, CountdownVerdict::kWrong) << c.response;
    EXPECT_THAT(result.reason, HasSubstr(c.reason)) << c.response;
  }
}

TEST(CountdownVerifierTest, WorkIsBounded) {
  const auto boxed = [](const std::string& text) {
    return absl::StrCat("\\boxed{", text, "}");
  };
  for (const std::string& text :
       {std::string(100000, '('), std::string(900, '('),
        std::string(70, '(') + "1" + std::string(70, ')'),
        std::string(900, '9')}) {
    EXPECT_EQ(Verify(boxed(text)).verdict, CountdownVerdict::kWrong);
  }
  std::string sum = "1";
  for (int i = 0; i < 100; ++i) sum += "+1";
  EXPECT_THAT(Verify(boxed(sum)).reason, HasSubstr("beyond the limits"));
  // The largest numbers that are taken.
  std::string product = "9223372036854775807";
  std::vector<int64_t> numbers = {9223372036854775807};
  while (product.size() < 900) {
    product += "*9223372036854775807";
    numbers.push_back(9223372036854775807);
  }
  EXPECT_THAT(Verify(boxed(product), 24, numbers).reason, HasSubstr("not 24"));
}

TEST(CountdownVerifierTest, AProblemThatIsNoneIsUnscorable) {
  EXPECT_EQ(Verify("\\boxed{1}", 1, {}).verdict, CountdownVerdict::kUnscorable);
  EXPECT_EQ(Verify("\\boxed{1}", 1, {1, -1}).verdict,
            CountdownVerdict::kUnscorable);
  EXPECT_EQ(Verify("\\boxed{1}", 1, std::vector<int64_t>(65, 1)).verdict,
            CountdownVerdict::kUnscorable);
}

TEST(CountdownVerifierTest, ThePromptMayOpenTheThought) {
  EXPECT_EQ(VerifyCountdown(24, kNumbers, "hm</think>\\boxed{8+8+5+3}",
                            /*thought_opened=*/true)
                .verdict,
            CountdownVerdict::kCorrect);
  EXPECT_EQ(VerifyCountdown(24, kNumbers, "\\boxed{8+8+5+3}",
                            /*thought_opened=*/true)
                .verdict,
            CountdownVerdict::kWrong);
}

}  // namespace
}  // namespace ponder
