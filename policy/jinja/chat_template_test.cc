#include "policy/jinja/chat_template.h"

#include <map>
#include <memory>
#include <string>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using nlohmann::ordered_json;
using ::testing::HasSubstr;

using Files = std::map<std::string, std::string>;

const ordered_json kHi = {{"messages", {{{"role", "user"}, {"content", "Hi"}}}},
                          {"add_generation_prompt", true}};

Files FilesOf(const ordered_json& config) {
  return {{"tokenizer_config.json", config.dump()}};
}

absl::StatusOr<std::string> Render(const Files& files,
                                   const ordered_json& variables = kHi) {
  const auto chat = ChatTemplate::FromFiles(files);
  if (!chat.ok()) return chat.status();
  return (*chat)->Render(variables);
}

std::string ErrorOf(const Files& files) {
  return std::string(Render(files).status().message());
}

TEST(ChatTemplateTest, IsInTokenizerConfigOrInAFileOfItsOwn) {
  const Files files =
      FilesOf({{"chat_template", "{{ bos_token }}a"}, {"bos_token", "<s>"}});
  EXPECT_EQ(*Render(files), "<s>a");
  Files both = files;
  both["chat_template.jinja"] = "{{ bos_token }}b";
  EXPECT_EQ(*Render(both), "<s>b");
  EXPECT_EQ(*ChatTemplate::FromFiles(FilesOf({{"bos_token", "<s>"}})), nullptr);
  EXPECT_EQ(*ChatTemplate::FromFiles({}), nullptr);
}

TEST(ChatTemplateTest, TakesTheToolTemplateWhereThereAreTools) {
  const Files files = FilesOf(
      {{"chat_template",
        {{{"name", "default"}, {"template", "d"}},
         {{"name", "tool_use"}, {"template", "t{{ tools|length }}"}}}}});
  EXPECT_EQ(*Render(files), "d");
  ordered_json with_tools = kHi;
  with_tools["tools"] = {{{"name", "f"}}};
  EXPECT_EQ(*Render(files, with_tools), "t1");
}

TEST(ChatTemplateTest, KnowsSpecialTokensAndWhatTransformersGives) {
  Files files =
      FilesOf({{"chat_template",
                "{{ bos_token }}|{{ eos_token }}|{{ pad_token is defined }}|"
                "{{ unk_token }}|{{ tools is none }}|{{ documents is none }}|"
                "{{ add_generation_prompt }}|{{ enable_thinking is defined }}"},
               {"bos_token", {{"content", "<s>"}, {"lstrip", false}}},
               {"eos_token", "</s>"},
               {"pad_token", nullptr}});
  files["special_tokens_map.json"] =
      R"({"unk_token": "<unk>", "eos_token": "older"})";
  EXPECT_EQ(*Render(files, {{"messages", ordered_json::array()}}),
            "<s>|</s>|False|<unk>|True|True|False|False");
  EXPECT_EQ(*Render(files, {{"messages", ordered_json::array()},
                            {"enable_thinking", false},
                            {"eos_token", "mine"}}),
            "<s>|mine|False|<unk>|True|True|False|True");
}

TEST(ChatTemplateTest, NamesFileAndLine) {
  EXPECT_EQ(ErrorOf(FilesOf({{"chat_template", "a\n{{ x| }}"}})),
            "tokenizer_config.json chat_template:2: found '}}', wanted a name");
  EXPECT_EQ(ErrorOf({{"chat_template.jinja", "{{ nope.x }}"}}),
            "chat_template.jinja:1: 'nope' is undefined");
  EXPECT_THAT(ErrorOf(FilesOf({{"chat_template", {{{"name", "x"}}}}})),
              HasSubstr("should be a text, or a list"));
  EXPECT_THAT(ErrorOf(FilesOf(
                  {{"chat_template", {{{"name", "x"}, {"template", ""}}}}})),
              HasSubstr("none of its templates is named \"default\""));
  EXPECT_THAT(ErrorOf({{"tokenizer_config.json", "{"}}),
              HasSubstr("tokenizer_config.json: is not a JSON object"));
  EXPECT_THAT(
      std::string(Render({{"chat_template.jinja", ""}}, ordered_json::object())
                      .status()
                      .message()),
      HasSubstr("wants \"messages\""));
}

// DeepSeek's own: the thought is opened by the prompt.
TEST(ChatTemplateTest, OfDeepSeekR1) {
  const auto source =
      ReadFile("tests/parity/golden/jinja/templates/deepseek-r1.jinja");
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(*Render({{"chat_template.jinja", *source},
                     {"tokenizer_config.json", R"({"bos_token": "<b>"})"}}),
            "<b><\uFF5CUser\uFF5C>Hi<\uFF5CAssistant\uFF5C><think>\n");
}

}  // namespace
}  // namespace ponder
