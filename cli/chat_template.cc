#include "cli/chat_template.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

constexpr absl::string_view kContent = "messages[-1]['content']";

// Length of the literal in double quotes that `text` begins with; 0 if it
// begins with none.
size_t LiteralLength(absl::string_view text) {
  if (text.empty() || text[0] != '"') return 0;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return 0;
}

}  // namespace

std::optional<std::string> FillSimpleChatTemplate(absl::string_view jinja,
                                                  const std::string& prompt) {
  std::string filled;
  while (!jinja.empty()) {
    if (!absl::StartsWith(jinja, "{{")) {
      // Text up to the next expression; statements and comments are not ours.
      const size_t end = std::min(jinja.find("{{"), jinja.size());
      const absl::string_view text = jinja.substr(0, end);
      if (absl::StrContains(text, "{%") || absl::StrContains(text, "{#")) {
        return std::nullopt;
      }
      absl::StrAppend(&filled, text);
      jinja.remove_prefix(end);
      continue;
    }
    jinja = absl::StripLeadingAsciiWhitespace(jinja.substr(2));
    if (const size_t length = LiteralLength(jinja); length > 0) {
      // The literals that Ponder writes are JSON strings.
      const auto literal = nlohmann::json::parse(
          std::string(jinja.substr(0, length)), nullptr, false);
      if (!literal.is_string()) return std::nullopt;
      absl::StrAppend(&filled, literal.get<std::string>());
      jinja.remove_prefix(length);
    } else if (absl::StartsWith(jinja, kContent)) {
      absl::StrAppend(&filled, prompt);
      jinja.remove_prefix(kContent.size());
    } else {
      return std::nullopt;
    }
    jinja = absl::StripLeadingAsciiWhitespace(jinja);
    if (!absl::StartsWith(jinja, "}}")) return std::nullopt;
    jinja.remove_prefix(2);
  }
  return filled;
}

}  // namespace ponder
