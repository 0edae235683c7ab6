#include "reward/format_verifier.h"

#include "gtest/gtest.h"
#include "reward/response_parts.h"

namespace ponder {
namespace {

bool Formed(absl::string_view response, bool thought_opened = false) {
  return VerifyFormat(response, thought_opened).correct;
}

TEST(FormatVerifierTest, AThoughtThenAnAnswer) {
  EXPECT_TRUE(Formed("<think>1 + 1</think>2"));
  EXPECT_TRUE(Formed("\n<think>\n</think>\n\n2<|endoftext|>"));
  EXPECT_FALSE(Formed("2"));
  EXPECT_FALSE(Formed("<think>1 + 1"));
  EXPECT_FALSE(Formed("1 + 1</think>2"));
  EXPECT_FALSE(Formed("</think>2<think>"));
  EXPECT_FALSE(Formed("<think>a</think><think>b</think>2"));
  EXPECT_FALSE(Formed("<think><think>a</think>2"));
  EXPECT_FALSE(Formed("Well, <think>a</think>2"));
  EXPECT_FALSE(Formed("<think>a</think>"));
  EXPECT_FALSE(Formed("<think>a</think> \n<|im_end|>"));
}

// A template that ends with <think> must not make every response malformed.
TEST(FormatVerifierTest, PromptOpenedTheThought) {
  EXPECT_TRUE(Formed("1 + 1</think>2", /*thought_opened=*/true));
  EXPECT_FALSE(Formed("<think>1 + 1</think>2", /*thought_opened=*/true));
  EXPECT_FALSE(Formed("2", /*thought_opened=*/true));
}

TEST(FormatVerifierTest, AnswerInItsTags) {
  const auto formed = [](absl::string_view response, bool opened = false) {
    return VerifyFormat(response, opened, /*answer_tags=*/true).correct;
  };
  EXPECT_TRUE(formed("<think>1 + 1</think><answer>2</answer>"));
  EXPECT_TRUE(formed("<think>a</think>\n<answer> 2 </answer>\n<|im_end|>"));
  EXPECT_TRUE(formed("1 + 1</think> <answer>2</answer>", /*opened=*/true));
  EXPECT_FALSE(formed("<think>1 + 1</think>2"));
  EXPECT_FALSE(formed("<answer>2</answer><think>1 + 1</think>"));
  EXPECT_FALSE(formed("<think><answer>2</answer></think>"));
  EXPECT_FALSE(formed("<think>a<answer>1</think><answer>2</answer>"));
  EXPECT_FALSE(formed("<think>a</think><answer>1</answer><answer>2</answer>"));
  EXPECT_FALSE(formed("<think>a</think>So <answer>2</answer>"));
  EXPECT_FALSE(formed("<think>a</think><answer>2</answer> indeed"));
  EXPECT_FALSE(formed("<think>a</think><answer> </answer>"));
  EXPECT_FALSE(formed("<think>a</think></answer>2<answer>"));
  EXPECT_FALSE(formed("<think>a</think><answer>2"));
  // Without the option the tags are part of the answer.
  EXPECT_TRUE(Formed("<think>a</think>So <answer>2</answer>"));
}

TEST(ResponsePartsTest, Splits) {
  ResponseParts parts = SplitResponse("<think>a</think> b </s>", false);
  EXPECT_EQ(parts.thought, "a");
  EXPECT_EQ(parts.answer, " b");
  EXPECT_TRUE(parts.thought_closed);

  parts = SplitResponse("just b", false);
  EXPECT_EQ(parts.answer, "just b");
  EXPECT_FALSE(parts.has_thought);

  EXPECT_EQ(SplitResponse("<think>a", false).answer, "");
  EXPECT_EQ(SplitResponse("a", true).answer, "");
  EXPECT_EQ(SplitResponse("a</think>b", true).answer, "b");
  EXPECT_EQ(SplitResponse("<think>a</think>b</think>c", false).answer, "c");
  EXPECT_EQ(SplitResponse("<think>a</think>b<think>c", false).answer, "");
}

TEST(ResponsePartsTest, StripsSpecialTokens) {
  EXPECT_EQ(StripSpecialTokens("a <|im_end|>\n<|endoftext|> "), "a");
  EXPECT_EQ(StripSpecialTokens("a|>"), "a|>");
  EXPECT_EQ(StripSpecialTokens(""), "");
}

}  // namespace
}  // namespace ponder
