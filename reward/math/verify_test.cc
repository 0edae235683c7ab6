#include "reward/math/verify.h"

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "proto/value_codec.h"

namespace ponder {
namespace {

bool Correct(const std::string& gold, const std::string& response) {
  return VerifyMath(gold, response).verdict == MathVerdict::kCorrect;
}

bool Boxed(const std::string& gold, const std::string& answer) {
  return Correct(gold, absl::StrCat("So it is \\boxed{", answer, "}."));
}

bool Flexible(const std::string& gold, const std::string& response) {
  return VerifyMath(gold, response).flexible_correct;
}

struct Case {
  const char* gold;
  const char* answer;
};

TEST(MathVerifierTest, SameValues) {
  const Case cases[] = {
      {"18", "18"},
      {"18", "18.00"},
      {"18", "+18"},
      {"18", "018"},
      {"-3", "-3"},
      {"-3",
       "\xe2\x88\x92"
       "3"},
      {"0.5", ".5"},
      {"0.5", "1/2"},
      {"1/2", "\\frac{1}{2}"},
      {"1/2", "\\dfrac12"},
      {"1/2", "\\tfrac{2}{4}"},
      {"1/2", "\xc2\xbd"},
      {"-1/2", "-\\frac{1}{2}"},
      {"-1/2", "\\frac{-1}{2}"},
      {"7/2", "3\\frac{1}{2}"},
      {"7/2", "3 1/2"},
      {"-7/2", "-3\\frac12"},
      {"57500", "57,500"},
      {"57500", "57{,}500"},
      {"57500", "57\\,500"},
      {"57500", "57 500"},
      {"#### 1,000", "1000"},
      {"1234567.5", "1,234,567.5"},
      {"540", "\\$540"},
      {"540", "$540.00"},
      {"-540", "-\\$540"},
      {"540", "540\\text{ dollars}"},
      {"15", "15 \\text{ km/h}"},
      {"15 cm^2", "15"},
      {"15 \\text{ cm}^2", "15\\,\\mathrm{cm}^{2}"},
      {"45", "45^\\circ"},
      {"45^{\\circ}", "45"},
      {"28\\%", "28"},
      {"28%", "28 percent"},
      {"28%", "0.28"},
      {"0.28", "28\\%"},
      {"120000", "1.2e5"},
      {"120000", "1.2 \\times 10^5"},
      {"0.00012", "1.2 \\cdot 10^{-4}"},
      {"1024", "2^{10}"},
      {"5000000", "5 million"},
      {"5", "x = 5"},
      {"5", "\xef\xbc\x95"},  // A full-width 5.
      {"0.333333", "1/3"},
      {"5", "f(2) = 5"},
      {"5", "(5)"},
      {"5", "\\left(5\\right)"},
      {"1/3", "0.333333"},
      {"2/3", "0.6666667"},
      {"123456789012345678901234567890", "123456789012345678901234567890"},
      {"(1, 2)", "(1,2)"},
      {"(1, 0.5)", "\\left(1, \\frac{1}{2}\\right)"},
      {"1, 2", "2, 1"},
      {"1, 2", "2 \\text{ and } 1"},
      {"\\{1, 2\\}", "\\{2,1\\}"},
      {"1,2", "\\{2,1\\}"},
      {"[0, 1)", "[0,1)"},
      {"[1, 2, 3]", "1, 2, 3"},
      {"(1,2),(3,4)", "(3,4), (1,2)"},
      {"\\text{Evelyn}", "evelyn"},
      {"(C)", "\\text{C}"},
      {"x^2+1", "x^{2}+1"},
      {"\\frac{\\pi}{2}", "\\dfrac{\\pi}{2}"},
  };
  for (const Case& c : cases) {
    // The powers' braces are compared as text only in the last rows.
    if (std::string(c.gold) == "x^2+1") continue;
    EXPECT_TRUE(Boxed(c.gold, c.answer)) << c.gold << " | " << c.answer;
  }
}

TEST(MathVerifierTest, DifferentValues) {
  const Case cases[] = {
      {"18", "19"},
      {"18", "-18"},
      {"18", "1.8"},
      {"18", "180"},
      {"0.0000001", "0.0000002"},
      {"1/2", "1/3"},
      {"1/3", "0.333"},
      {"1/3", "0.333334"},
      {"3.14", "3.14159"},
      {"120006", "120000"},
      {"1", "100"},
      {"28", "0.28"},
      {"28%", "2.8"},
      {"5 cm^2", "5 cm"},
      {"5 km", "5 cm"},
      {"12345678901234567890", "12345678901234567891"},
      {"(1,2)", "(2,1)"},
      {"(1,2)", "[1,2]"},
      {"[0,1)", "[0,1]"},
      {"(0,9)", "[0,9)"},
      {"\\{1,3\\}", "(1,3)"},
      {"1,2", "1,2,3"},
      {"1,1", "1,2"},
      {"32349", "32, 349"},
      {"1 2 3", "12 3"},
      {"x", "X"},
      {"x+1", "x-1"},
      {"5", "x"},
      {"5", "5x"},
      {"5", "5\\pi"},
      {"5", "5\\sqrt{2}"},
      {"5", "5!"},
      {"7 = 11a+c", "11a+c"},
  };
  for (const Case& c : cases) {
    EXPECT_FALSE(Boxed(c.gold, c.answer)) << c.gold << " | " << c.answer;
  }
}

// Answers that want to be right whatever the question is.
TEST(MathVerifierTest, Hedging) {
  const Case cases[] = {
      {"5", "5, 6"},
      {"5", "5 or 6"},
      {"5", "5 \\text{ or } 6"},
      {"5", "6 = 5"},
      {"5", "4=5"},
      {"0.5", "\\frac{1}{3} = 0.5"},
      {"5", "x = 6 = 5"},
      {"5", "\\pm 5"},
      {"5", "5 / 6 / 7"},
      {"5", ""},
      {"5", " "},
      {"5", "\\text{}"},
      {"5", "\\text{all of the above}"},
      {"5", "5\xe2\x80\x8b"},
      {"5",
       "\xe2\x80\x8b"
       "5"},
      {"5", "5?"},
      {"5", "not 5"},
      {"5", "5 minus 1"},
      {"5", "5 squared"},
      {"5", "5 or so"},
      {"5", "x=x"},
  };
  for (const Case& c : cases) {
    EXPECT_FALSE(Boxed(c.gold, c.answer)) << c.gold << " | " << c.answer;
  }
  EXPECT_FALSE(Boxed("5", std::string(5000, '5')));
}

TEST(MathVerifierTest, Extraction) {
  EXPECT_TRUE(Correct("6", "First \\boxed{5}, no: \\boxed{6}"));
  EXPECT_FALSE(Correct("5", "First \\boxed{5}, no: \\boxed{6}"));
  EXPECT_TRUE(Correct("6", "\\fbox{6}"));
  EXPECT_TRUE(Correct("6", "\\boxed 6"));
  EXPECT_TRUE(Correct("1/2", "$\\boxed{\\frac{1}{2}}$"));
  EXPECT_TRUE(Correct("6", "<answer> 6 </answer>"));
  EXPECT_TRUE(Correct("6", "<answer>It is \\boxed{6}</answer> 7"));
  EXPECT_TRUE(Correct("6", "some steps\n#### 6"));
  EXPECT_TRUE(Correct("6", "The answer is 6."));
  EXPECT_TRUE(Correct("6", "The final answer is $6$. I hope it is correct."));
  EXPECT_TRUE(Correct("6.5", "The answer is: 6.5"));
  EXPECT_TRUE(Correct("6", "**Answer:** 6"));
  EXPECT_TRUE(Correct("6", "6"));
  EXPECT_TRUE(Correct("6", "\\boxed{6}<|endoftext|>"));
  EXPECT_FALSE(Correct("6", ""));
  EXPECT_FALSE(Correct("6", "\\boxed{6"));
  EXPECT_FALSE(Correct("6", "It is 6, I think, or 7"));
  // Not declared, but there.
  const MathResult loose = VerifyMath("6", "Hence we have 6 apples.");
  EXPECT_EQ(loose.verdict, MathVerdict::kWrong);
  EXPECT_TRUE(loose.flexible_correct);
  EXPECT_EQ(loose.rule, "last number");
  EXPECT_TRUE(Flexible("-6", "so x is -6"));
  EXPECT_TRUE(Flexible("6", "10 - 4 = 6"));
  EXPECT_TRUE(Flexible("1234.5", "we get $1,234.50!"));
  EXPECT_FALSE(Flexible("2", "AZYUK2A"));
  // Boxes next to one another are one answer where a list is wanted.
  EXPECT_TRUE(Correct("1,-2",
                      "n = \\boxed{-2} \\quad \\text{and} \\quad "
                      "\\boxed{1}."));
  EXPECT_FALSE(Correct("1,-2", "\\boxed{-2} is not all, as we see \\boxed{1}"));
  EXPECT_FALSE(Correct("1", "\\boxed{1} and \\boxed{2}"));
}

TEST(MathVerifierTest, OnlyTheAnswerCounts) {
  EXPECT_TRUE(Correct("6", "<think>maybe 5</think>\\boxed{6}"));
  EXPECT_FALSE(Correct("6", "<think>\\boxed{6}</think>I do not know"));
  EXPECT_FALSE(Correct("6", "<think>so \\boxed{6}"));
  EXPECT_TRUE(Flexible("6", "<think>so \\boxed{6}"));
  MathOptions opened;
  opened.thought_opened = true;
  EXPECT_EQ(VerifyMath("6", "hm</think>\\boxed{6}", opened).verdict,
            MathVerdict::kCorrect);
  EXPECT_EQ(VerifyMath("6", "hm \\boxed{6}", opened).verdict,
            MathVerdict::kWrong);
}

TEST(MathVerifierTest, BadGoldIsUnscorable) {
  for (const std::string& gold :
       {std::string(), std::string("  "), std::string("#### "),
        std::string(5000, '7')}) {
    EXPECT_EQ(VerifyMath(gold, "\\boxed{5}").verdict, MathVerdict::kUnscorable);
  }
  EXPECT_TRUE(Correct("He has 9 * 2 = 18.\n#### 18", "\\boxed{18}"));
  EXPECT_TRUE(Correct("The sum is $\\boxed{18}$.", "\\boxed{18}"));
}

// Inputs that take other graders seconds or gigabytes. The time is asserted
// loosely, for a machine under load.
TEST(MathVerifierTest, WorkIsBounded) {
  const auto repeat = [](const std::string& text, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
  };
  const std::vector<std::string> inputs = {
      "\\boxed{7^{100000000}}",
      "\\boxed{10^{10^{10}}}",
      "\\boxed{1e999999999}",
      "\\boxed{9^9^9^9}",
      "\\boxed{" + std::string(1000000, '9') + "}",
      std::string(1000000, '9'),
      "\\boxed{" + repeat("(", 400) + "5" + repeat(")", 400) + "}",
      repeat("\\boxed{", 140000),
      repeat("\\boxed{5} ", 100000),
      repeat("answer is ", 100000),
      repeat("answer: 5 ", 100000),
      repeat("$", 1000000),
      repeat("\\[ ", 300000),
      repeat("<answer>", 100000) + "</answer>",
      repeat("####", 250000),
      repeat("1,", 500000),
      "\\boxed{" + repeat("1,", 450) + "1}",
      "\\boxed{" + repeat("{", 900) + "}",
      "\\boxed{1.\\overline" + repeat("3", 900) + "}",
      repeat("-", 1000000),
      repeat("1.", 500000),
      repeat("a1a ", 250000),
      std::string(1000000, '\0'),
      repeat("\xff", 1000000),
  };
  for (const std::string& input : inputs) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_NE(VerifyMath("5.5", input).verdict, MathVerdict::kCorrect);
    VerifyMath(input, input);
    EXPECT_LT(std::chrono::steady_clock::now() - start,
              std::chrono::milliseconds(500))
        << input.substr(0, 40);
  }
}

std::string SharedFile(const char* name) {
  const char* shared = std::getenv("PONDER_SHARED_DATA");
  return absl::StrCat(shared != nullptr ? shared : "../shared/data", "/", name);
}

TEST(MathVerifierTest, Gsm8kGoldsScoreThemselves) {
  for (const char* name : {"gsm8k/train.jsonl", "gsm8k/test.jsonl"}) {
    const auto text = ReadFile(SharedFile(name));
    if (!text.ok()) GTEST_SKIP() << "no " << SharedFile(name);
    for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
      if (line.empty()) continue;
      const auto row = ParseJson(line, name);
      ASSERT_TRUE(row.ok()) << row.status();
      const std::string gold = (*row)["answer"];
      EXPECT_TRUE(Correct(gold, gold)) << gold;
    }
  }
}

TEST(MathVerifierTest, Gsm8kSolutionsAgreeWithTheirFlags) {
  const std::string path = SharedFile("math/gsm8k_solutions.jsonl");
  const auto text = ReadFile(path);
  if (!text.ok()) GTEST_SKIP() << "no " << path;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (line.empty()) continue;
    const auto row = ParseJson(line, path);
    ASSERT_TRUE(row.ok()) << row.status();
    const std::string id = (*row)["id"];
    const std::string gold = (*row)["gold"];
    const bool expected = (*row)["expected"];
    for (const char* field : {"pred", "pred_boxed", "pred_hash"}) {
      if (!row->contains(field)) continue;
      const MathResult result =
          VerifyMath(gold, (*row)[field].get<std::string>());
      EXPECT_EQ(result.flexible_correct, expected)
          << id << " " << field << ": " << result.extracted;
      // "A: 18" at the end of a text is not a declared form.
      if (result.rule != "last number") {
        EXPECT_EQ(result.verdict == MathVerdict::kCorrect, expected)
            << id << " " << field << ": " << result.extracted;
      }
    }
  }
}

}  // namespace
}  // namespace ponder
