#include "policy/jinja/template.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/jinja/limits.h"

namespace ponder::jinja {
namespace {

using nlohmann::ordered_json;
using ::testing::HasSubstr;

constexpr absl::CivilSecond kNow(2024, 7, 26);

absl::StatusOr<std::string> Render(absl::string_view source,
                                   const ordered_json& variables = {
                                       {"l", {1, 2}}, {"s", "abc"}}) {
  const auto parsed = Template::Parse(source, "chat.jinja");
  if (!parsed.ok()) return parsed.status();
  return (*parsed)->Render(variables, kNow);
}

std::string ErrorOf(absl::string_view source) {
  const auto text = Render(source);
  EXPECT_FALSE(text.ok()) << *text;
  return std::string(text.status().message());
}

std::string Repeated(absl::string_view text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) absl::StrAppend(&result, text);
  return result;
}

// What jinja2 knows and this does not is named with its line, wherever it is.
TEST(TemplateTest, NamesWhatIsNotSupported) {
  EXPECT_EQ(ErrorOf("\n{{ s|wordwrap }}"),
            "chat.jinja:2: the filter 'wordwrap' is not supported");
  EXPECT_EQ(ErrorOf("{% if no %}\n\n{{ s|indent }}{% endif %}"),
            "chat.jinja:3: the filter 'indent' is not supported");
  EXPECT_EQ(ErrorOf("{{ s is escaped }}"),
            "chat.jinja:1: the test 'escaped' is not supported");
  for (const char* tag :
       {"block a", "include 'x'", "import 'x' as y", "extends 'x'",
        "with a = 1", "call f()", "filter upper", "autoescape true", "print 1",
        "do 1"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("\n{% ", tag, " %}")),
                ::testing::MatchesRegex(
                    "chat.jinja:2: \\{% [a-z]+ %\\} is not supported here"));
  }
  EXPECT_EQ(ErrorOf("{% raw %}"), "chat.jinja:1: {% raw %} is not supported");
  EXPECT_EQ(ErrorOf("{% for x in l recursive %}{% endfor %}"),
            "chat.jinja:1: a recursive for is not supported");
  EXPECT_EQ(ErrorOf("{{ s.format(1) }}"),
            "chat.jinja:1: str.format is not supported");
  EXPECT_EQ(ErrorOf("{{ l.append(1) }}"),
            "chat.jinja:1: list.append is not supported");
  EXPECT_EQ(ErrorOf("{{ 'a %s' % 1 }}"),
            "chat.jinja:1: % is not supported for str and int");
  EXPECT_EQ(ErrorOf("{{ f(*l) }}"),
            "chat.jinja:1: arguments with * or ** are not supported");
  EXPECT_EQ(ErrorOf("{{ cycler(1) }}"),
            "chat.jinja:1: 'cycler' is not supported");
  EXPECT_EQ(ErrorOf("{% macro f() %}{{ caller() }}{% endmacro %}"),
            "chat.jinja:1: 'caller' in a macro is not supported");
  EXPECT_EQ(ErrorOf("{% for x in l %}{{ loop.changed(x) }}{% endfor %}"),
            "chat.jinja:1: loop.changed is not supported");
  EXPECT_EQ(ErrorOf("{{ strftime_now('%Q') }}"),
            "chat.jinja:1: strftime_now: '%Q' in the format is not supported");
  EXPECT_EQ(ErrorOf("{{ s|safe + s }}"),
            "chat.jinja:1: + is not supported for Markup and str");
  EXPECT_EQ(ErrorOf("{{ 9223372036854775807 + 1 }}"),
            "chat.jinja:1: an integer beyond 64 bits is not supported");
  EXPECT_THAT(ErrorOf("{{ 'stra\u00dfe'|upper }}"), HasSubstr("U+00DF"));
}

TEST(TemplateTest, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(ErrorOf("a\n{{ nope.x }}"), "chat.jinja:2: 'nope' is undefined");
  EXPECT_EQ(ErrorOf("{{ s.nope.x }}"),
            "chat.jinja:1: str has no attribute 'nope'");
  EXPECT_EQ(ErrorOf("\n\n{{ raise_exception('Roles must alternate') }}"),
            "chat.jinja:3: the template refuses: Roles must alternate");
  EXPECT_EQ(ErrorOf("{{ s + 1 }}"),
            "chat.jinja:1: + is not supported for str and int");
  EXPECT_EQ(ErrorOf("{{ s.split(1) }}"),
            "chat.jinja:1: str.split(): wants a str, got int");
  EXPECT_EQ(ErrorOf("{{ s|replace('a') }}"),
            "chat.jinja:1: the filter 'replace': the argument 'new' is "
            "missing");
  EXPECT_EQ(ErrorOf("{% if s %}\n{% for x in l %}"),
            "chat.jinja:2: what begins here has no {% endfor %}");
  EXPECT_EQ(ErrorOf("{{ 1 2 }}"), "chat.jinja:1: found '2', wanted '}}'");
  EXPECT_EQ(ErrorOf("{{ 1"), "chat.jinja:1: the tag has no end }}");
  EXPECT_EQ(ErrorOf("\n{# x"), "chat.jinja:2: the comment {# has no end #}");
  EXPECT_EQ(ErrorOf("{{ 'a }}"), "chat.jinja:1: the string has no end");
  EXPECT_EQ(ErrorOf("\xFF"), "chat.jinja:1: the template is not UTF-8");
  const auto text = Render("{{ s }}", {{"s", "\xC3"}});
  EXPECT_EQ(text.status().message(),
            "chat.jinja: the variable 's': a text is not UTF-8");
}

// Each of these would take for ever, or all memory, or the stack.
TEST(TemplateTest, HostileTemplatesAreErrors) {
  const std::string loops = Repeated("{% for x in range(99999) %}", 3);
  const std::string ends = Repeated("{% endfor %}", 3);
  const std::vector<std::string> hostile = {
      loops + "x" + ends,
      "{% set ns = namespace(s='x') %}{% for x in range(99) %}"
      "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for x in range(99) %}"
      "{% set ns.l = ns.l + ns.l %}{% endfor %}",
      "{% set ns = namespace(l=[]) %}{% for x in range(999) %}"
      "{% set ns.l = [ns.l] %}{% endfor %}",
      "{% set ns = namespace(l=[]) %}{% for x in range(999) %}"
      "{% for y in [ns.l] %}{% set ns.l = loop %}{% endfor %}{% endfor %}",
      "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
      "{{ 'x' * 9999999999 }}",
      "{{ [1] * 9999999999 }}",
      "{{ 'xxxxxxxx' * 9223372036854775807 }}",
      "{{ range(9999999999) }}",
      "{{ 10 ** 9999999999 }}",
      "{{ ('x' * 9999)|replace('', 'y' * 99999) }}",
      "{{ [1] * 9999 | join('x' * 99999) }}",
      "{{ l|tojson(indent='x' * 10000000 ~ 'x' * 60000000) * 99 }}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
      Repeated("(", 99999),
      "{{ " + Repeated("(", 99999),
      "{{ " + Repeated("[", 99999),
      "{{ " + Repeated("-", 99999) + "1 }}",
      "{{ " + Repeated("not ", 99999) + "1 }}",
      "{{ 1" + Repeated(" + 1", 99999) + " }}",
      "{{ s" + Repeated(".x", 99999) + " }}",
      "{{ s" + Repeated("|trim", 99999) + " }}",
      "{{ s" + Repeated("()", 99999) + " }}",
      "{{ s" + Repeated(" is true", 99999) + " }}",
      "{{ s" + Repeated(" if s else s", 99999) + " }}",
      "{{ " + Repeated("{1:", 99999) + " }}",
      Repeated("{% if s %}", 99999),
      Repeated("{% if s %}{% elif s %}", 9999),
      "{% if s %}" + Repeated("{% elif s %}", 9999) + "{% endif %}",
      Repeated("{% for x in l %}", 9999),
      Repeated("{% macro f() %}", 9999),
      Repeated("{% set x %}", 9999),
      std::string(kMaxTemplateBytes + 1, 'x'),
      // Found by the fuzzer: each filter makes the text several times as long.
      "{{ true" + Repeated("|list|title", 30) + " }}",
      "{{ 'x'" + Repeated("|tojson(indent=2)", 60) + " }}",
      // Found by the fuzzer: what no character has, asked of each.
      "{{ 'x'" + Repeated("|tojson", 20) + "|selectattr('role')|list }}",
  };
  for (const std::string& source : hostile) {
    if (source[0] == '(') continue;  // Plain text: no template at all.
    const auto text = Render(source);
    EXPECT_EQ(text.status().code(), absl::StatusCode::kInvalidArgument)
        << source.substr(0, 80);
  }
  EXPECT_EQ(Render(hostile[16])->size(), 99999);
}

// Lists in one another as far as they may be, in all that walks through them.
TEST(TemplateTest, DeepValuesWork) {
  std::string deep = "1";
  for (int i = 0; i < kMaxValueDepth - 2; ++i) deep = "[" + deep + "]";
  const auto text = Render(
      "{{ d|tojson == d2|tojson }}{{ d == d2 }}{{ d|string == d2|string }}",
      {{"d", ordered_json::parse(deep)}, {"d2", ordered_json::parse(deep)}});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, "TrueTrueTrue");
  for (int i = 0; i < 4; ++i) deep = "[" + deep + "]";
  EXPECT_FALSE(Render("", {{"d", ordered_json::parse(deep)}}).ok());
}

// A long conversation is far from the limits.
TEST(TemplateTest, LongConversationsRender) {
  ordered_json messages = ordered_json::array();
  const std::string content(2000, 'x');
  for (int i = 0; i < 1000; ++i) {
    messages.push_back(
        {{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", content}});
  }
  const auto text = Render(
      "{% for m in messages %}{% if m.role == 'user' %}{{ 'U' + m['content'] }}"
      "{% else %}{{ 'A' + m['content'].split('</think>')[-1].strip() }}"
      "{% endif %}{% endfor %}",
      {{"messages", messages}});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->size(), 1000 * 2001);
}

TEST(TemplateTest, ThreadsShareIt) {
  const auto parsed =
      *Template::Parse("{% for x in l %}{{ 'a' ~ x }}{% endfor %}", "t");
  std::vector<std::string> texts(4);
  std::vector<std::thread> threads;
  for (std::string& text : texts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        text = *parsed->Render({{"l", {1, 2, 3}}}, kNow);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) EXPECT_EQ(text, "a1a2a3");
}

// Some characters of a good template replaced: an error, or a text.
TEST(TemplateTest, SurvivesCorruption) {
  const std::string good =
      "{%- set ns = namespace(i=0) -%}{% macro f(a, b=2) %}{{ a ~ b }}"
      "{% endmacro %}{% for k, v in d.items() if v is not none %}"
      "{{ f(k, b=v|tojson(indent=2)) }}{% set ns.i = ns.i + loop.index %}"
      "{% else %}none{% endfor %}{{ ns.i if ns.i > 0 else l[::-1][0] }}"
      "{% set x | trim %} {{ s.split('b')[-1] }} {% endset %}{{ x }}";
  RandomStream random(StreamKey().Add("jinja corruption").key());
  int num_texts = 0;
  for (int trial = 0; trial < 5000; ++trial) {
    std::string bad = good;
    for (int64_t i = random.Int(1, 3); i > 0; --i) {
      bad[random.Int(0, bad.size() - 1)] = good[random.Int(0, bad.size() - 1)];
    }
    num_texts +=
        Render(bad,
               {{"d", {{"a", 1}, {"b", {1, {2}}}}}, {"l", {1}}, {"s", "abc"}})
                .ok()
            ? 1
            : 0;
  }
  EXPECT_GT(num_texts, 100);
}

}  // namespace
}  // namespace ponder::jinja
