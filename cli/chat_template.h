// Chat templates of the simple form that Ponder writes.

#ifndef PONDER_CLI_CHAT_TEMPLATE_H_
#define PONDER_CLI_CHAT_TEMPLATE_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace ponder {

// Fills a Jinja template that consists of text, string literals and
// messages[-1]['content'] only (what PromptRenderer::JinjaTemplate() writes).
// Nothing for any other: Ponder runs no Jinja.
std::optional<std::string> FillSimpleChatTemplate(absl::string_view jinja,
                                                  const std::string& prompt);

}  // namespace ponder

#endif  // PONDER_CLI_CHAT_TEMPLATE_H_
