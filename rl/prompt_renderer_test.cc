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
    return PromptRenderer(config, tokenizer_.get(), chat_template_.get(),
                          kByteEndOfTextId);
  }
  PromptRenderer Make(const std::string& text) const {
    PromptConfig config;
    config.set_template_(text);
    return Make(config);
  }

  void SetChatTemplate(const std::string& jinja) {
    auto chat = ChatTemplate::FromFiles(
        {{"chat_template.jinja", jinja},
         {"tokenizer_config.json", ByteTokenizerConfigJson("")}});
    ASSERT_TRUE(chat.ok()) << chat.status();
    chat_template_ = *std::move(chat);
  }

  static DataRow Asking(const std::string& prompt) {
    DataRow row;
    row.id = "r1";
    row.prompt = prompt;
    return row;
  }
  static std::string TextOf(const PromptRenderer& renderer,
                            const DataRow& row) {
    const auto rendered = renderer.Render(row);
    EXPECT_TRUE(rendered.ok()) << rendered.status();
    return rendered->text;
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
  std::unique_ptr<ChatTemplate> chat_template_;
};

TEST_F(PromptRendererTest, FillsTheTemplate) {
  PromptConfig config;
  config.set_template_("[{system}] {prompt}\nAnswer:");
  config.set_system("Think.");
  config.set_suffix(" Show your work.");
  const RenderedPrompt got = *Make(config).Render(Asking("1+1?"));
  EXPECT_EQ(got.text, "[Think.] 1+1? Show your work.\nAnswer:");
  EXPECT_EQ(tokenizer_->Decode(got.ids), got.text);
}

TEST_F(PromptRendererTest, ThePromptAloneByDefault) {
  EXPECT_EQ(TextOf(Make(PromptConfig()), Asking("1+1?")), "1+1?");
}

TEST_F(PromptRendererTest, MarksInsideAPromptStay) {
  PromptConfig config;
  config.set_template_("{system}|{prompt}");
  config.set_system("{prompt}");
  config.set_suffix("{system}");
  EXPECT_EQ(TextOf(Make(config), Asking("{system} {prompt}")),
            "{prompt}|{system} {prompt}{system}");
}

TEST_F(PromptRendererTest, KnowsWhetherItOpensTheThought) {
  const auto opened = [&](const std::string& text) {
    return Make(text).Render(Asking("x"))->thought_opened;
  };
  EXPECT_TRUE(opened("{prompt}<think>"));
  EXPECT_TRUE(opened("{prompt}\n<think>\n"));
  EXPECT_FALSE(opened("{prompt}"));
  EXPECT_FALSE(opened("<think> {prompt}"));
  EXPECT_FALSE(opened("{prompt}<think>\n\n</think>\n\n"));
}

constexpr char kChat[] =
    "{% for m in messages %}<{{ m.role }}>{{ m.content.split('</think>')[-1] }}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<assistant>"
    "{% endif %}";

TEST_F(PromptRendererTest, TheChatTemplateOfThePolicy) {
  SetChatTemplate(kChat);
  const std::string end = "<|endoftext|>";
  EXPECT_EQ(TextOf(Make(PromptConfig()), Asking("1+1?")),
            "<user>1+1?" + end + "<assistant>");
  DataRow row;
  row.messages = {{"user", "a"},
                  {"assistant", "b"},
                  {"user", "c"},
                  {"assistant", "the answer"}};
  EXPECT_EQ(
      TextOf(Make(PromptConfig()), row),
      "<user>a" + end + "<assistant>b" + end + "<user>c" + end + "<assistant>");
  PromptConfig config;
  config.set_system("Think.");
  config.set_suffix("!");
  EXPECT_EQ(TextOf(Make(config), Asking("1+1?")),
            "<system>Think." + end + "<user>1+1?!" + end + "<assistant>");
  row.messages = {{"system", "Own."}, {"user", "c"}};
  EXPECT_EQ(TextOf(Make(config), row),
            "<system>Own." + end + "<user>c!" + end + "<assistant>");
  // What the configuration says counts.
  EXPECT_EQ(TextOf(Make("Q: {prompt}"), Asking("1+1?")), "Q: 1+1?");
}

TEST_F(PromptRendererTest, AChatTemplateMayOpenTheThought) {
  SetChatTemplate(
      "{{ messages[-1].content }}{% if add_generation_prompt %}"
      "<think>\n{% endif %}");
  EXPECT_TRUE(Make(PromptConfig()).Render(Asking("x"))->thought_opened);
  // A solution that opens it again would teach to open it twice.
  DataRow row = Asking("2+3");
  row.response = "<think>\nadd</think>5";
  const auto got = Make(PromptConfig()).Example(row);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(Counted(*got, false), "2+3<think>\n");
  EXPECT_EQ(Counted(*got, true), "add</think>5<|endoftext|>");
}

TEST_F(PromptRendererTest, WhatTheChatTemplateRefusesNamesTheRow) {
  SetChatTemplate("\n{{ raise_exception('No system, please') }}");
  const absl::Status status = Make(PromptConfig()).Render(Asking("x")).status();
  EXPECT_EQ(status.message(),
            "row r1: chat_template.jinja:2: the template refuses: No system, "
            "please");
}

TEST_F(PromptRendererTest, ExamplesByTheChatTemplate) {
  SetChatTemplate(kChat);
  DataRow row;
  row.messages = {
      {"user", "a"}, {"assistant", "b"}, {"user", "c"}, {"assistant", "d"}};
  auto got = Make(PromptConfig()).Example(row);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(tokenizer_->Decode(got->ids),
            "<user>a<|endoftext|><assistant>b<|endoftext|>"
            "<user>c<|endoftext|><assistant>d<|endoftext|>");
  EXPECT_EQ(Counted(*got, true), "b<|endoftext|>d<|endoftext|>");
  // The template drops earlier thoughts: they can't be learned from there.
  row.messages[1].content = "<think>hm</think>b";
  row.messages[3].content = "<think>so</think>d";
  got = Make(PromptConfig()).Example(row);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(Counted(*got, false),
            "<user>a<|endoftext|><assistant>b<|endoftext|>"
            "<user>c<|endoftext|><assistant>");
  EXPECT_EQ(Counted(*got, true), "<think>so</think>d<|endoftext|>");
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

TEST_F(PromptRendererTest, OfPlainTextThePromptCountsToo) {
  DataRow row;
  row.prompt = "2+3";
  row.response = "5";
  const auto got = Make("{prompt}=").TextPieces(row, 6);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->size(), 1u);
  EXPECT_THAT((*got)[0].ids,
              ElementsAre('2', '+', '3', '=', '5', kByteEndOfTextId));
  EXPECT_THAT((*got)[0].targets, ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(PromptRendererTest, ATextIsAllThatARowSays) {
  DataRow row;
  row.prompt = "2+3";
  row.response = "5";
  row.text = "ab";
  const auto got = Make("{prompt}=").TextPieces(row, 6);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->size(), 1u);
  EXPECT_THAT((*got)[0].ids, ElementsAre('a', 'b', kByteEndOfTextId));
}

TEST_F(PromptRendererTest, PiecesOfALongTextCountEachTokenOnce) {
  DataRow row;
  row.text = "abcdefgh";
  for (const int64_t max_tokens : {2, 3, 4, 5, 8, 9, 10}) {
    const auto got = Make("{prompt}").TextPieces(row, max_tokens);
    ASSERT_TRUE(got.ok()) << got.status();
    std::vector<int32_t> counted, first;
    for (const TrainSequence& piece : *got) {
      EXPECT_LE(static_cast<int64_t>(piece.ids.size()), max_tokens);
      first.push_back(piece.ids[0]);
      for (const int32_t t : piece.targets) counted.push_back(piece.ids[t]);
    }
    EXPECT_THAT(counted, ElementsAre('b', 'c', 'd', 'e', 'f', 'g', 'h',
                                     kByteEndOfTextId))
        << max_tokens;
    EXPECT_EQ(first[0], 'a');
  }
}

TEST_F(PromptRendererTest, ATextOfOneTokenTeachesNothing) {
  DataRow row;
  row.id = "p8";
  row.text = "<|endoftext|>";
  const absl::Status status = Make("{prompt}").TextPieces(row, 8).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("row p8"));
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

TEST_F(PromptRendererTest, JinjaMakesTheSameText) {
  for (const std::string& text :
       {std::string("{prompt}"), std::string("Q: {prompt}\nA: <think>"),
        std::string("\"{system}\" {{ {prompt} }} {% x %} {# y #}\\\n\t"),
        std::string("{prompt}{prompt}\n"), std::string("no mark at all")}) {
    PromptConfig config;
    config.set_template_(text);
    config.set_system("It's \"quoted\" \\ \xC3\xBC {{");
    config.set_suffix(" }} {%\n");
    const DataRow row = Asking("1 {{ + }} \"2\" {% if %}\n{prompt}");
    const std::string wanted = TextOf(Make(config), row);
    SetChatTemplate(Make(config).JinjaTemplate());
    EXPECT_EQ(TextOf(Make(PromptConfig()), row), wanted);
  }
}

TEST_F(PromptRendererTest, JinjaWithoutAMarkIsOneLiteral) {
  EXPECT_EQ(Make("hello").JinjaTemplate(), R"({{ "hello" }})");
  EXPECT_THAT(Make("").JinjaTemplate(), IsEmpty());
}

}  // namespace
}  // namespace ponder
