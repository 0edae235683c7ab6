// libFuzzer target of the templates: raw text, and soups of the language's
// parts, rendered over a small conversation.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>

#include "absl/strings/string_view.h"
#include "policy/jinja/template.h"

namespace {

constexpr const char* kParts[] = {"{{ ",
                                  " }}",
                                  "{{- ",
                                  " -}}",
                                  "{% ",
                                  " %}",
                                  "{%- ",
                                  " -%}",
                                  "{# ",
                                  " #}",
                                  "{% if ",
                                  "{% elif ",
                                  "{% else %}",
                                  "{% endif %}",
                                  "{% for x in ",
                                  "{% for a, b in ",
                                  "{% endfor %}",
                                  "{% set x = ",
                                  "{% set ns.a = ",
                                  "{% set x %}",
                                  "{% endset %}",
                                  "{% macro f(a, b=",
                                  ") %}",
                                  "{% endmacro %}",
                                  "{{ f(",
                                  "{% break %}",
                                  "{% continue %}",
                                  "{% generation %}",
                                  "{% endgeneration %}",
                                  "messages",
                                  "message",
                                  "tools",
                                  "x",
                                  "ns",
                                  "a",
                                  "b",
                                  "f",
                                  "loop",
                                  "loop.index",
                                  "loop.previtem",
                                  "namespace(a=1)",
                                  "namespace(",
                                  "range(",
                                  "dict(",
                                  "raise_exception(",
                                  "strftime_now('%Y')",
                                  "'text'",
                                  "\"\\u00e9\"",
                                  "''",
                                  "0",
                                  "1",
                                  "-1",
                                  "2.5",
                                  "99999",
                                  "true",
                                  "none",
                                  "[",
                                  "]",
                                  "(",
                                  ")",
                                  "{",
                                  "}",
                                  "[::-1]",
                                  "[1:]",
                                  "[0]",
                                  "['role']",
                                  ".content",
                                  ".items()",
                                  ".get('role')",
                                  ".split('<')",
                                  ".strip()",
                                  ".replace('', 'ab')",
                                  ".join(",
                                  ".title()",
                                  ".splitlines()",
                                  "|tojson",
                                  "|tojson(indent=2)",
                                  "|length",
                                  "|join(",
                                  "|trim",
                                  "|list",
                                  "|map('upper')",
                                  "|map(attribute='role')",
                                  "|selectattr('role')",
                                  "|reject('none')",
                                  "|dictsort",
                                  "|unique",
                                  "|reverse",
                                  "|int",
                                  "|float",
                                  "|string",
                                  "|safe",
                                  "|first",
                                  "|last",
                                  "|default(",
                                  "|items",
                                  "|title",
                                  " is defined",
                                  " is not none",
                                  " is string",
                                  " is mapping",
                                  " in ",
                                  " not in ",
                                  " == ",
                                  " < ",
                                  " and ",
                                  " or ",
                                  " not ",
                                  " if ",
                                  " else ",
                                  " + ",
                                  " - ",
                                  " * ",
                                  " / ",
                                  " // ",
                                  " % ",
                                  " ** ",
                                  " ~ ",
                                  ", ",
                                  ": ",
                                  "=",
                                  " ",
                                  "\n",
                                  "x\xC3\xA9",
                                  "\xF0\x9F\x91\x8D"};

const nlohmann::ordered_json& Variables() {
  static const auto& variables =
      *new nlohmann::ordered_json(nlohmann::ordered_json::parse(R"({
        "messages": [
          {"role": "system", "content": "Be brief."},
          {"role": "user", "content": " 1 + 1 = <b>?\n"},
          {"role": "assistant", "content": null, "tool_calls": [
            {"function": {"name": "f", "arguments": {"a": [1, 2.5, true]}}}]}],
        "tools": [{"name": "f", "items": 1}], "message": {"role": "user"},
        "x": 3, "a": "aé👍", "b": [3, 1, 2], "add_generation_prompt": true})"));
  return variables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string source;
  if (data[0] % 4 == 0) {
    source.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  } else {
    for (size_t i = 1; i < size; ++i) {
      source += kParts[data[i] % std::size(kParts)];
    }
  }
  const auto parsed = ponder::jinja::Template::Parse(source, "fuzz");
  if (!parsed.ok()) return 0;
  const auto text =
      (*parsed)->Render(Variables(), absl::CivilSecond(2024, 7, 26));
  if (!text.ok()) return 0;
  // The same again: nothing is kept between renderings.
  const auto again =
      (*parsed)->Render(Variables(), absl::CivilSecond(2024, 7, 26));
  if (!again.ok() || *text != *again) std::abort();
  return 0;
}
