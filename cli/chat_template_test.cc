#include "cli/chat_template.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "policy/text/byte_tokenizer.h"
#include "rl/prompt_renderer.h"

namespace ponder {
namespace {

TEST(FillSimpleChatTemplateTest, FillsWhatTheRendererWrites) {
  const auto tokenizer = *Tokenizer::FromJson(ByteTokenizerJson(320), "test");
  for (const std::string& text :
       {std::string("{prompt}"), std::string("Q: {prompt}\nA: <think>"),
        std::string("\"{system}\" {{ {prompt} }} {% x %} {# y #}\\\n\t"),
        std::string("{prompt}{prompt}"), std::string("no mark at all")}) {
    PromptConfig config;
    config.set_template_(text);
    config.set_system("It's \"quoted\" \\ \xC3\xBC {{");
    config.set_suffix(" }} {%\n");
    const PromptRenderer renderer(config, tokenizer.get(), kByteEndOfTextId);
    const std::string prompt = "1 {{ + }} \"2\" {% if %}\n{prompt}";
    EXPECT_EQ(FillSimpleChatTemplate(renderer.JinjaTemplate(), prompt),
              renderer.Render(prompt).text)
        << renderer.JinjaTemplate();
  }
}

TEST(FillSimpleChatTemplateTest, TextStandsForItself) {
  EXPECT_EQ(FillSimpleChatTemplate(
                "User: {{messages[-1]['content']}} Assistant:", "hi"),
            "User: hi Assistant:");
  EXPECT_EQ(FillSimpleChatTemplate("", "hi"), "");
}

TEST(FillSimpleChatTemplateTest, AnythingElseIsRefused) {
  for (const char* jinja :
       {"{% for m in messages %}{{ m }}{% endfor %}", "{{ bos_token }}",
        "{{ messages[0]['content'] }}", "{{ messages[-1]['content'] | trim }}",
        "{# comment #}{{ messages[-1]['content'] }}", "{{ \"open", "{{",
        "{{ 'single' }}", "{{ \"a\" ~ \"b\" }}",
        "{{- messages[-1]['content'] -}}"}) {
    EXPECT_EQ(FillSimpleChatTemplate(jinja, "hi"), std::nullopt) << jinja;
  }
}

}  // namespace
}  // namespace ponder
