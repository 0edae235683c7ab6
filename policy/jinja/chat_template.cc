#include "policy/jinja/chat_template.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

using nlohmann::ordered_json;

constexpr char kConfigFile[] = "tokenizer_config.json";
constexpr char kDefault[] = "default";
constexpr char kToolUse[] = "tool_use";

// A JSON file of the folder; an empty object if it is not there.
absl::StatusOr<ordered_json> ReadObject(
    const std::map<std::string, std::string>& files, const char* name) {
  const auto file = files.find(name);
  if (file == files.end()) return ordered_json::object();
  ordered_json json = ordered_json::parse(file->second, nullptr, false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": is not a JSON object"));
  }
  return json;
}

// A special token is a text, or an added token with it.
void AddSpecialTokens(const ordered_json& config, ordered_json* tokens) {
  for (const char* name : {"bos_token", "eos_token", "unk_token", "sep_token",
                           "pad_token", "cls_token", "mask_token"}) {
    const auto token = config.find(name);
    if (token == config.end()) continue;
    if (token->is_string()) {
      (*tokens)[name] = *token;
    } else if (token->is_object() && token->contains("content") &&
               (*token)["content"].is_string()) {
      (*tokens)[name] = (*token)["content"];
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChatTemplate>> ChatTemplate::FromFiles(
    const std::map<std::string, std::string>& files) {
  PONDER_ASSIGN_OR_RETURN(const ordered_json config,
                          ReadObject(files, kConfigFile));
  PONDER_ASSIGN_OR_RETURN(const ordered_json map,
                          ReadObject(files, "special_tokens_map.json"));
  std::unique_ptr<ChatTemplate> chat(new ChatTemplate());
  AddSpecialTokens(map, &chat->special_tokens_);
  AddSpecialTokens(config, &chat->special_tokens_);

  const std::string where = absl::StrCat(kConfigFile, " chat_template");
  const auto named = config.find("chat_template");
  if (const auto file = files.find("chat_template.jinja");
      file != files.end()) {
    PONDER_RETURN_IF_ERROR(chat->Add(kDefault, file->second, file->first));
  } else if (named == config.end() || named->is_null()) {
    return nullptr;
  } else if (named->is_string()) {
    PONDER_RETURN_IF_ERROR(
        chat->Add(kDefault, named->get<std::string>(), where));
  } else {
    for (const ordered_json& entry : *named) {
      if (!entry.is_object() || !entry.contains("name") ||
          !entry["name"].is_string() || !entry.contains("template") ||
          !entry["template"].is_string()) {
        return absl::InvalidArgumentError(
            absl::StrCat(where,
                         ": should be a text, or a list of {\"name\": TEXT, "
                         "\"template\": TEXT}"));
      }
      const std::string name = entry["name"].get<std::string>();
      PONDER_RETURN_IF_ERROR(chat->Add(name,
                                       entry["template"].get<std::string>(),
                                       absl::StrCat(where, " ", name)));
    }
  }
  if (!chat->templates_.contains(kDefault)) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": none of its templates is named \"", kDefault, "\""));
  }
  return chat;
}

absl::Status ChatTemplate::Add(const std::string& name,
                               const std::string& source,
                               const std::string& where) {
  PONDER_ASSIGN_OR_RETURN(templates_[name],
                          jinja::Template::Parse(source, where));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ChatTemplate::Render(
    const ordered_json& variables) const {
  if (!variables.is_object() || !variables.contains("messages") ||
      !variables["messages"].is_array()) {
    return absl::InvalidArgumentError(
        "a chat template wants \"messages\", a list of {\"role\": TEXT, "
        "\"content\": TEXT}");
  }
  ordered_json all = special_tokens_;
  all["tools"] = nullptr;
  all["documents"] = nullptr;
  all["add_generation_prompt"] = false;
  for (const auto& [name, value] : variables.items()) all[name] = value;
  const auto tool_use = templates_.find(kToolUse);
  const auto& chosen = tool_use != templates_.end() && !all["tools"].is_null()
                           ? tool_use->second
                           : templates_.at(kDefault);
  return chosen->Render(
      all, absl::ToCivilSecond(absl::Now(), absl::LocalTimeZone()));
}

}  // namespace ponder
