#include "rl/prompt_renderer.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

constexpr char kPromptMark[] = "{prompt}";
constexpr char kSystemMark[] = "{system}";
constexpr char kThinkTag[] = "<think>";

absl::Status NothingToLearn(const DataRow& row) {
  return absl::InvalidArgumentError(
      absl::StrCat("row ", row.id, " ", kNothingToLearn));
}

}  // namespace

RenderedPrompt PromptRenderer::Finished(std::string text) const {
  RenderedPrompt rendered;
  rendered.text = std::move(text);
  rendered.ids = tokenizer_->Encode(rendered.text);
  rendered.thought_opened = absl::EndsWith(
      absl::StripTrailingAsciiWhitespace(rendered.text), kThinkTag);
  return rendered;
}

RenderedPrompt PromptRenderer::Fill(const std::string& prompt) const {
  // One pass: a mark inside the prompt stays as it is.
  return Finished(absl::StrReplaceAll(
      template_, {{kPromptMark, absl::StrCat(prompt, config_.suffix())},
                  {kSystemMark, config_.system()}}));
}

absl::StatusOr<RenderedPrompt> PromptRenderer::RenderChat(
    const std::string& id, std::vector<ChatMessage> messages) const {
  if (!config_.system().empty() &&
      (messages.empty() || messages[0].role != "system")) {
    messages.insert(messages.begin(), {"system", config_.system()});
  }
  for (auto it = messages.rbegin(); it != messages.rend(); ++it) {
    if (it->role != "user") continue;
    it->content += config_.suffix();
    break;
  }
  nlohmann::ordered_json variables = {
      {"messages", nlohmann::ordered_json::array()},
      {"add_generation_prompt", true}};
  for (const ChatMessage& message : messages) {
    variables["messages"].push_back(
        {{"role", message.role}, {"content", message.content}});
  }
  absl::StatusOr<std::string> text = chat_template_->Render(variables);
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("row ", id, ": ", text.status().message()));
  }
  return Finished(*std::move(text));
}

absl::StatusOr<RenderedPrompt> PromptRenderer::Render(
    const DataRow& row) const {
  if (chat_template_ == nullptr) return Fill(row.prompt);
  std::vector<ChatMessage> messages = row.messages;
  if (messages.empty()) messages = {{"user", row.prompt}};
  if (messages.back().role == "assistant") messages.pop_back();
  return RenderChat(row.id, std::move(messages));
}

void PromptRenderer::AppendPrompt(const std::string& text,
                                  TrainSequence* sequence) const {
  const std::vector<int32_t> ids = tokenizer_->Encode(text);
  sequence->ids.insert(sequence->ids.end(), ids.begin(), ids.end());
}

absl::Status PromptRenderer::AppendChat(const DataRow& row,
                                        TrainSequence* sequence) const {
  std::vector<ChatMessage> turns = row.messages;
  if (turns.empty()) turns = {{"user", row.prompt}};
  if (turns.back().role != "assistant" && !row.response.empty()) {
    turns.push_back({"assistant", row.response});
  }
  std::string written;  // What `sequence` holds, as text.
  for (size_t i = 0; i < turns.size(); ++i) {
    if (turns[i].role != "assistant") continue;
    PONDER_ASSIGN_OR_RETURN(
        const RenderedPrompt prompt,
        RenderChat(row.id, {turns.begin(), turns.begin() + i}));
    if (!absl::StartsWith(prompt.text, written)) {
      *sequence = TrainSequence();
      written.clear();
    }
    AppendPrompt(prompt.text.substr(written.size()), sequence);
    // What the prompt has opened is not opened again.
    absl::string_view content = turns[i].content;
    if (prompt.thought_opened && absl::ConsumePrefix(&content, kThinkTag) &&
        absl::EndsWith(prompt.text, "\n")) {
      absl::ConsumePrefix(&content, "\n");
    }
    AppendResponse(std::string(content), sequence);
    written = absl::StrCat(prompt.text, content, tokenizer_->Decode({end_id_}));
  }
  return absl::OkStatus();
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
  if (row.response.empty() && !row.text.empty()) {
    AppendResponse(row.text, &sequence);
  } else if (chat_template_ != nullptr) {
    PONDER_RETURN_IF_ERROR(AppendChat(row, &sequence));
  } else if (!row.response.empty()) {
    AppendPrompt(Fill(row.prompt).text, &sequence);
    AppendResponse(row.response, &sequence);
  } else {
    for (const ChatMessage& message : row.messages) {
      if (message.role == "user") {
        AppendPrompt(Fill(message.content).text, &sequence);
      }
      if (message.role == "assistant") {
        AppendResponse(message.content, &sequence);
      }
    }
  }
  if (sequence.targets.empty()) return NothingToLearn(row);
  return sequence;
}

absl::StatusOr<std::vector<TrainSequence>> PromptRenderer::TextPieces(
    const DataRow& row, int64_t max_tokens) const {
  TrainSequence text;
  if (!row.text.empty()) {
    AppendResponse(row.text, &text);
  } else {
    PONDER_ASSIGN_OR_RETURN(text, Example(row));
  }
  std::vector<TrainSequence> pieces;
  for (auto begin = text.ids.begin(); text.ids.end() - begin > 1;) {
    const auto end = begin + std::min(max_tokens, text.ids.end() - begin);
    TrainSequence& piece = pieces.emplace_back();
    piece.ids.assign(begin, end);
    piece.targets.resize(piece.ids.size() - 1);
    std::iota(piece.targets.begin(), piece.targets.end(), 1);
    begin = end - 1;
  }
  if (pieces.empty()) return NothingToLearn(row);
  return pieces;
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
  std::string rest = template_;
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
