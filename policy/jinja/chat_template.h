// The chat template of a checkpoint, with its special tokens.

#ifndef PONDER_POLICY_JINJA_CHAT_TEMPLATE_H_
#define PONDER_POLICY_JINJA_CHAT_TEMPLATE_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "policy/jinja/template.h"

namespace ponder {

// What apply_chat_template() of transformers does without tokenizing. The
// template puts a begin-of-text token in front itself where the model wants
// one, so the text is encoded without another. Thread-safe.
class ChatTemplate {
 public:
  // Of a checkpoint's small files by name: chat_template.jinja, or else
  // "chat_template" of tokenizer_config.json, a template or a list of named
  // ones. Null if there is none. INVALID_ARGUMENT names file and line.
  static absl::StatusOr<std::unique_ptr<ChatTemplate>> FromFiles(
      const std::map<std::string, std::string>& files);

  // The text for `variables`, an object: "messages", and what else the template
  // knows (add_generation_prompt, tools, enable_thinking, ...). Where a
  // tool_use template is named and there are tools, it is that. The date that
  // templates ask for is today's, local time. INVALID_ARGUMENT names the
  // template's line.
  absl::StatusOr<std::string> Render(
      const nlohmann::ordered_json& variables) const;

 private:
  ChatTemplate() = default;

  absl::Status Add(const std::string& name, const std::string& source,
                   const std::string& where);

  std::map<std::string, std::unique_ptr<jinja::Template>> templates_;
  // bos_token and the like, as variables.
  nlohmann::ordered_json special_tokens_ = nlohmann::ordered_json::object();
};

}  // namespace ponder

#endif  // PONDER_POLICY_JINJA_CHAT_TEMPLATE_H_
