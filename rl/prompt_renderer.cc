#include "rl/prompt_renderer.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

constexpr char kPromptMark[] = "{prompt}";
constexpr char kSystemMark[] = "{system}";

}  // namespace

RenderedPrompt PromptRenderer::Render(const std::string& prompt) const {
  RenderedPrompt rendered;
  // One pass: a mark inside the prompt stays as it is.
  rendered.text = absl::StrReplaceAll(
      config_.template_(),
      {{kPromptMark, absl::StrCat(prompt, config_.suffix())},
       {kSystemMark, config_.system()}});
  rendered.ids = tokenizer_->Encode(rendered.text);
  return rendered;
}

bool PromptRenderer::ThoughtOpened() const {
  return absl::EndsWith(absl::StripTrailingAsciiWhitespace(Render("x").text),
                        "<think>");
}

void PromptRenderer::AppendResponse(const std::string& response,
                                    TrainSequence* sequence) const {
  std::vector<int32_t> ids = tokenizer_->Encode(response);
  if (ids.empty() || ids.back() != end_id_) ids.push_back(end_id_);
  for (const int32_t id : ids) {
    if (!sequence->ids.empty()) {
      sequence->targets.push_back(static_cast<int32_t>(sequence->ids.size()));
    }
    sequence->ids.push_back(id);
  }
}

absl::StatusOr<TrainSequence> PromptRenderer::Example(
    const DataRow& row) const {
  TrainSequence sequence;
  const auto append_prompt = [&](const std::string& prompt) {
    const std::vector<int32_t> ids = Render(prompt).ids;
    sequence.ids.insert(sequence.ids.end(), ids.begin(), ids.end());
  };
  if (!row.response.empty()) {
    append_prompt(row.prompt);
    AppendResponse(row.response, &sequence);
  } else if (!row.text.empty()) {
    AppendResponse(row.text, &sequence);
  } else {
    for (const ChatMessage& message : row.messages) {
      if (message.role == "user") append_prompt(message.content);
      if (message.role == "assistant") {
        AppendResponse(message.content, &sequence);
      }
    }
  }
  if (sequence.targets.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "row ", row.id,
        " has nothing to learn from; supervised fine-tuning wants a response, "
        "messages with an assistant's turn, or text"));
  }
  return sequence;
}

std::string PromptRenderer::JinjaTemplate() const {
  // JSON strings are Jinja strings.
  const auto literal = [](const std::string& text) {
    return absl::StrCat(
        "{{ ",
        nlohmann::json(text).dump(-1, ' ', false,
                                  nlohmann::json::error_handler_t::replace),
        " }}");
  };
  std::string jinja;
  std::string rest = config_.template_();
  while (true) {
    const size_t prompt = rest.find(kPromptMark);
    const size_t system = rest.find(kSystemMark);
    if (prompt == std::string::npos && system == std::string::npos) break;
    const bool prompt_first = prompt < system;
    const size_t next = prompt_first ? prompt : system;
    if (next > 0) jinja += literal(rest.substr(0, next));
    if (prompt_first) {
      jinja += "{{ messages[-1]['content'] }}";
      if (!config_.suffix().empty()) jinja += literal(config_.suffix());
      rest.erase(0, next + sizeof(kPromptMark) - 1);
    } else {
      jinja += literal(config_.system());
      rest.erase(0, next + sizeof(kSystemMark) - 1);
    }
  }
  if (!rest.empty()) jinja += literal(rest);
  return jinja;
}

}  // namespace ponder
