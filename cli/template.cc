// ponder template: what a checkpoint's chat template makes of conversations.

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "nlohmann/json.hpp"
#include "policy/checkpoint.h"
#include "policy/jinja/chat_template.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

struct TemplateFlags {
  std::string checkpoint;
  std::string in;
};

absl::Status RunTemplate(const TemplateFlags& flags) {
  PONDER_ASSIGN_OR_RETURN(const PolicyFiles files,
                          ReadPolicyFiles(flags.checkpoint));
  PONDER_ASSIGN_OR_RETURN(const auto chat, ChatTemplate::FromFiles(files));
  if (chat == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        flags.checkpoint,
        ": has no chat template, neither a chat_template.jinja nor "
        "\"chat_template\" in tokenizer_config.json"));
  }
  PONDER_ASSIGN_OR_RETURN(const std::string lines, ReadFile(flags.in));
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(lines, '\n')) {
    ++line_number;
    if (line.empty()) continue;
    const Json json = Json::parse(line.begin(), line.end(), nullptr, false);
    const absl::StatusOr<std::string> text =
        json.is_object() ? chat->Render(json)
                         : absl::InvalidArgumentError("is not a JSON object");
    if (!text.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          flags.in, ":", line_number, ": ", text.status().message()));
    }
    std::printf("%s\n", Json({{"text", *text}}).dump().c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddTemplateCommand(CLI::App& app, Command* chosen) {
  auto flags = std::make_shared<TemplateFlags>();
  CLI::App* command = app.add_subcommand(
      "template", "The text that a checkpoint's chat template makes.");
  command->add_option("checkpoint", flags->checkpoint, "A Hugging Face folder")
      ->required();
  command
      ->add_option("--in", flags->in,
                   "JSONL; each line has messages, and what else the template "
                   "knows, e.g. \"add_generation_prompt\": true")
      ->required();
  command->callback(
      [flags, chosen] { *chosen = [flags] { return RunTemplate(*flags); }; });
}

}  // namespace ponder
