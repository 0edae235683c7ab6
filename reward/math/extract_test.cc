#include "reward/math/extract.h"

#include <string>

#include "gtest/gtest.h"

namespace ponder::math {
namespace {

// "rule: text" of what is declared; "none" if nothing is.
std::string Declared(const std::string& text) {
  const auto found = AnswerFinder(text).Declared();
  return found.has_value() ? std::string(found->rule) + ": " + found->text
                           : "none";
}

std::string Any(const std::string& text, const ExtractOptions& options = {}) {
  const auto found = AnswerFinder(text).Any(options);
  return found.has_value() ? std::string(found->rule) + ": " + found->text
                           : "none";
}

TEST(ExtractTest, Boxes) {
  EXPECT_EQ(Declared("so \\boxed{6}."), "box: 6");
  EXPECT_EQ(Declared("so \\fbox{6}."), "box: 6");
  EXPECT_EQ(Declared("\\boxed 6"), "box: 6");
  EXPECT_EQ(Declared("\\boxed{\\frac{1}{2}}"), "box: \\frac{1}{2}");
  EXPECT_EQ(Declared("\\boxed{\\{1\\}}"), "box: \\{1\\}");
  EXPECT_EQ(Declared("\\boxed{\\boxed{7}}"), "box: 7");
  EXPECT_EQ(Declared("\\\\boxed{840}"), "box: 840");
  EXPECT_EQ(Declared("First \\boxed{5}. No, it is \\boxed{6}"), "box: 6");
  EXPECT_EQ(Declared("\\boxed{5} and then \\boxed{6"), "box: 5");
  EXPECT_EQ(Declared("\\boxed{}"), "none");
  EXPECT_EQ(Declared("In \\boxed{} as asked: \\boxed{5}"), "box: 5");
  EXPECT_EQ(Declared("\\boxed{5}, in a \\boxed{}"), "box: 5");
  EXPECT_EQ(Declared("\\boxed{28}\\%"), "box: 28\\%");
  EXPECT_EQ(Declared("$\\boxed{28}$ percent"), "box: 28\\%");
}

TEST(ExtractTest, WhatTouchesABox) {
  EXPECT_EQ(Declared("x = -\\boxed{5}"), "box: -(5)");
  EXPECT_EQ(Declared("10 - \\boxed{5}"), "box: 5");
  EXPECT_EQ(Declared("\\boxed{5}^2"), "box: (5)^2");
  EXPECT_EQ(Declared("\\boxed{5}0"), "box: (5)0");
  EXPECT_EQ(Declared("\\boxed{5}!"), "box: 5");
  EXPECT_EQ(Declared("\\boxed{5}\\text{ m}^2"), "box: 5\\text{ m}^2");
  EXPECT_EQ(Declared("\\boxed{5} is not the answer."), "box: \\ne 5");
  EXPECT_EQ(Declared("x \\ne \\boxed{5}"), "box: \\ne 5");
  EXPECT_EQ(Declared("$2! = \\boxed{2}$"), "box: 2");
}

TEST(ExtractTest, BoxesThatBelongTogether) {
  EXPECT_EQ(Declared("\\boxed{1}, \\boxed{2}"), "box: 1, 2");
  EXPECT_EQ(Declared("\\boxed{1}\\boxed{2}"), "box: 1, 2");
  EXPECT_EQ(Declared("\\boxed{1} \\quad \\text{and} \\quad \\boxed{2}"),
            "box: 1, 2");
  EXPECT_EQ(Declared("\\(\\boxed{1}\\) or \\(\\boxed{2}\\)."), "box: 1, 2");
  EXPECT_EQ(Declared("$y_1 = \\boxed{1}$ and $y_2 = \\boxed{2}$"), "box: 1, 2");
  EXPECT_EQ(Declared("\\boxed{4}, so \\boxed{4}"), "box: 4");
  EXPECT_EQ(Declared("\\boxed{4}\n\n\\boxed{5}"), "box: 5");
  EXPECT_EQ(Declared("\\boxed{4} is wrong, it is \\boxed{5}"), "box: 5");
  EXPECT_EQ(Declared("\\boxed{6} (or maybe \\boxed{5})"), "box: 6, 5");
  EXPECT_EQ(Declared("\\boxed{6}? \\boxed{5}"), "box: 6, 5");
  EXPECT_EQ(Declared("One root is \\boxed{1}, the other is \\boxed{2}."),
            "box: 1, 2");
  EXPECT_EQ(Declared("\\boxed{5} + \\boxed{6} = \\boxed{11}"), "box: 11");
  EXPECT_EQ(Declared("$x=\\boxed3$, $y=\\boxed4$, $x+y=\\boxed7$"), "box: 7");
}

TEST(ExtractTest, TagsHashesAndPhrases) {
  EXPECT_EQ(Declared("<answer> 6 </answer>"), "answer tag: 6");
  EXPECT_EQ(Declared("<answer>it is \\boxed{6}</answer> \\boxed{7}"), "box: 6");
  EXPECT_EQ(Declared("</answer>6<answer>"), "none");
  EXPECT_EQ(Declared("steps\n#### 1,000\nmore"), "####: 1,000");
  EXPECT_EQ(Declared("The answer is 6."), "phrase: 6");
  EXPECT_EQ(Declared("The answer is: 6.5, as we saw"), "phrase: 6.5");
  EXPECT_EQ(Declared("**Answer:** 6"), "phrase: 6");
  EXPECT_EQ(Declared("The final answer is $x+1$. I hope it is correct."),
            "phrase: x+1");
  EXPECT_EQ(Declared("The answers are $1$ and $2$."), "phrase: 1, 2");
  EXPECT_EQ(Declared("ANSWER: 6"), "phrase: 6");
  EXPECT_EQ(Declared("The answer is:\n- 6"), "phrase: 6");
  EXPECT_EQ(Declared("The answer is 6 because 2 + 4 = 6."), "phrase: 6");
  EXPECT_EQ(Declared("The answer is simply $6$."), "phrase: 6");
  EXPECT_EQ(Declared("The answer is 6!"), "phrase: 6");
  EXPECT_EQ(Declared("### Final Answer\n\n6"), "phrase: 6");
  EXPECT_EQ(Declared("<answer>The answer is 6</answer>"), "answer tag: 6");
  EXPECT_EQ(Declared("\\boxed{Answer: 6}"), "box: 6");
  EXPECT_EQ(Declared("#### Step 2\nThe answer is 6."), "phrase: 6");
  EXPECT_EQ(Declared("Between <answer> and </answer>: \\boxed{6}"), "box: 6");
  EXPECT_EQ(Declared("The answer is \\boxed{6"), "none");
  EXPECT_EQ(Declared("Die Antwort ist 6."), "phrase: 6");
  EXPECT_EQ(Declared("La r\xc3\xa9ponse est 6."), "phrase: 6");
  EXPECT_EQ(Declared("La respuesta es 6."), "phrase: 6");
  EXPECT_EQ(Declared("\xd0\x9e\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82: 6"),
            "phrase: 6");
  EXPECT_EQ(Declared("\xe7\xad\x94\xe6\xa1\x88\xe6\x98\xaf 6\xe3\x80\x82"),
            "phrase: 6");
}

TEST(ExtractTest, TheWholeAnswer) {
  EXPECT_EQ(Declared(" 6 "), "whole answer: 6");
  EXPECT_EQ(Declared("$x = 2$"), "whole answer: $x = 2$");
  EXPECT_EQ(Declared("so x is 6"), "none");
  EXPECT_EQ(Declared("6\n7"), "none");
  EXPECT_EQ(Declared("Evelyn"), "whole answer: Evelyn");
  EXPECT_EQ(Declared("(C)"), "whole answer: (C)");
  EXPECT_EQ(Declared("\\boxed{6"), "none");
  EXPECT_EQ(Declared(""), "none");
}

TEST(ExtractTest, AnyAnswer) {
  EXPECT_EQ(Any("Hence we have 6 apples."), "last number: 6");
  EXPECT_EQ(Any("so x is -6"), "last number: -6");
  EXPECT_EQ(Any("10 - 4 = 6"), "whole answer: 10 - 4 = 6");
  EXPECT_EQ(Any("we get $1,234.50!"), "last number: 1,234.50");
  EXPECT_EQ(Any("We find that $x \\lt 3$."), "last formula: x \\lt 3");
  EXPECT_EQ(Any("Here $a$ holds, but \\[ b \\]"), "last formula: b");
  EXPECT_EQ(Any("the roots $1$ and $2$"), "last formula: 1, 2");
  EXPECT_EQ(Any("it grows by 100%."), "last number: 100\\%");
  EXPECT_EQ(Any("room AZYUK2A"), "none");
  EXPECT_EQ(Any("First try [30], second try [45]."), "brackets: 45");
  EXPECT_EQ(Any("\\boxed{5} but the final answer is 6."), "final answer: 6");
  EXPECT_EQ(Any("the final answer is 6, that is \\boxed{5}"), "box: 5");
  EXPECT_EQ(Any("The answer is 18 because 9 times 2 is 18."), "phrase: 18");
  ExtractOptions no_boxes;
  no_boxes.boxes = false;
  no_boxes.numbers = false;
  EXPECT_EQ(Any("\\boxed{1}", no_boxes), "none");
  EXPECT_EQ(Any("$2$ and \\boxed{1}", no_boxes), "last formula: 2");
}

TEST(ExtractTest, ChoiceLetters) {
  EXPECT_EQ(ChoiceLetter("The answer is (B).", "ABCD")->text, "B");
  EXPECT_EQ(ChoiceLetter("A. Because B is not valid", "ABCD")->text, "A");
  EXPECT_EQ(ChoiceLetter("Because B is valid", "ABCD")->text, "B");
  EXPECT_FALSE(ChoiceLetter("Because", "ABCD").has_value());
}

TEST(ExtractTest, Golds) {
  EXPECT_EQ(GoldAnswer("She has 9 * 2 = 18.\n#### 18"), "18");
  EXPECT_EQ(GoldAnswer("So the sum is $\\boxed{18}$."), "18");
  EXPECT_EQ(GoldAnswer(" \\frac{1}{2} "), "\\frac{1}{2}");
  EXPECT_EQ(GoldAnswer(""), "");
}

}  // namespace
}  // namespace ponder::math
