#include "rl/prompt_renderer.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/text/byte_tokenizer.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PromptRendererTest : public ::testing::Test {
 protected:
  PromptRenderer Make(const PromptConfig& config) const {
    return PromptRenderer(config, tokenizer_.get(), kByteEndOfTextId);
  }
  PromptRenderer Make(const std::string& text) const {
    PromptConfig config;
    config.set_template_(text);
    return Make(config);
  }

  // The text of the counted tokens, and of those that are not.
  std::string Counted(const TrainSequence& sequence, bool counted) const {
    std::vector<bool> is_target(sequence.ids.size(), false);
    for (const int32_t target : sequence.targets) is_target[target] = true;
    std::vector<int32_t> ids;
    for (size_t i = 0; i < sequence.ids.size(); ++i) {
      if (is_target[i] == counted) ids.push_back(sequence.ids[i]);
    }
    return tokenizer_->Decode(ids);
  }

  const std::unique_ptr<Tokenizer> tokenizer_ =
      *Tokenizer::FromJson(ByteTokenizerJson(320), "test");
};

TEST_F(PromptRendererTest, FillsTheTemplate) {
  PromptConfig config;
  config.set_template_("[{system}] {prompt}\nAnswer:");
  config.set_system("Think.");
  config.set_suffix(" Show your work.");
  const RenderedPrompt got = Make(config).Render("1+1?");
  EXPECT_EQ(got.text, "[Think.] 1+1? Show your work.\nAnswer:");
  EXPECT_EQ(tokenizer_->Decode(got.ids), got.text);
}

TEST_F(PromptRendererTest, ThePromptAloneByDefault) {
  EXPECT_EQ(Make(PromptConfig()).Render("1+1?").text, "1+1?");
}

TEST_F(PromptRendererTest, MarksInsideAPromptStay) {
  PromptConfig config;
  config.set_template_("{system}|{prompt}");
  config.set_system("{prompt}");
  config.set_suffix("{system}");
  EXPECT_EQ(Make(config).Render("{system} {prompt}").text,
            "{prompt}|{system} {prompt}{system}");
}

TEST_F(PromptRendererTest, KnowsWhetherItOpensTheThought) {
  EXPECT_TRUE(Make("{prompt}<think>").ThoughtOpened());
  EXPECT_TRUE(Make("{prompt}\n<think>\n").ThoughtOpened());
  EXPECT_FALSE(Make("{prompt}").ThoughtOpened());
  EXPECT_FALSE(Make("<think> {prompt}").ThoughtOpened());
}

TEST_F(PromptRendererTest, ExampleOfPromptAndResponse) {
  DataRow row;
  row.prompt = "2+3";
  row.response = "<think>add</think>5";
  const auto got = Make("Q: {prompt} A: ").Example(row);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(Counted(*got, false), "Q: 2+3 A: ");
  EXPECT_EQ(Counted(*got, true), "<think>add</think>5<|endoftext|>");
  EXPECT_EQ(got->ids.back(), kByteEndOfTextId);
}

TEST_F(PromptRendererTest, TheEndOfTextIsAppendedOnce) {
  DataRow row;
  row.prompt = "2+3";
  row.response = "5<|endoftext|>";
  const auto got = Make("{prompt}=").Example(row);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(Counted(*got, true), "5<|endoftext|>");
}

TEST_F(PromptRendererTest, OfMessagesOnlyTheAnswersCount) {
  DataRow row;
  row.messages = {{"system", "Be brief."},
                  {"user", "1+1"},
                  {"assistant", "2"},
                  {"user", "2+2"},
                  {"assistant", "4"}};
  const auto got = Make("Q{prompt}A").Example(row);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(Counted(*got, false), "Q1+1AQ2+2A");
  EXPECT_EQ(Counted(*got, true), "2<|endoftext|>4<|endoftext|>");
}

TEST_F(PromptRendererTest, OfATextEverythingCountsButTheFirstToken) {
  DataRow row;
  row.text = "abc";
  const auto got = Make("Q{prompt}A").Example(row);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_THAT(got->ids, ElementsAre('a', 'b', 'c', kByteEndOfTextId));
  EXPECT_THAT(got->targets, ElementsAre(1, 2, 3));
}

TEST_F(PromptRendererTest, ARowWithoutAnAnswerIsNamed) {
  DataRow row;
  row.id = "p7";
  row.prompt = "2+3";
  row.messages = {{"user", "2+3"}};
  const absl::Status status = Make("{prompt}").Example(row).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("row p7"));
}

TEST_F(PromptRendererTest, JinjaOfTheDefault) {
  EXPECT_EQ(Make(PromptConfig()).JinjaTemplate(),
            "{{ messages[-1]['content'] }}");
}

TEST_F(PromptRendererTest, JinjaKeepsEveryLiteral) {
  PromptConfig config;
  config.set_template_("\"a\\\" {{ x }} {% if %} {# c #}\n{system}<{prompt}>");
  config.set_system("it's \xC3\xBC");
  config.set_suffix("\n\tThink.");
  EXPECT_EQ(Make(config).JinjaTemplate(),
            R"({{ "\"a\\\" {{ x }} {% if %} {# c #}\n" }})"
            "{{ \"it's \xC3\xBC\" }}"
            R"({{ "<" }})"
            R"({{ messages[-1]['content'] }})"
            R"({{ "\n\tThink." }})"
            R"({{ ">" }})");
}

TEST_F(PromptRendererTest, JinjaWithoutAMarkIsOneLiteral) {
  EXPECT_EQ(Make("hello").JinjaTemplate(), R"({{ "hello" }})");
  EXPECT_THAT(Make("").JinjaTemplate(), IsEmpty());
}

}  // namespace
}  // namespace ponder
