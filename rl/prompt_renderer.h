// From data rows to token ids: prompts for sampling, examples for supervised
// fine-tuning, texts for pre-training.

#ifndef PONDER_RL_PROMPT_RENDERER_H_
#define PONDER_RL_PROMPT_RENDERER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/jinja/chat_template.h"
#include "policy/text/tokenizer.h"
#include "proto/config.pb.h"
#include "proto/text_config.h"
#include "rl/data/data_set.h"
#include "rl/learner.h"

namespace ponder {

// What is wrong with a row that is no example and no text.
inline constexpr char kNothingToLearn[] =
    "has nothing to learn from; wanted a response, messages with an "
    "assistant's turn, or text";

struct RenderedPrompt {
  std::string text;
  std::vector<int32_t> ids;
  // It ends with <think>, white space aside, so that responses begin inside the
  // thought.
  bool thought_opened = false;
};

// Prompts by the policy's chat template or, where the configuration has one, by
// its prompt.template. Thread-safe.
class PromptRenderer {
 public:
  // `tokenizer` and `chat_template` are not owned and outlive this object;
  // `chat_template` may be null and is not used if config has a template.
  // `end_id` is put behind the responses of examples.
  PromptRenderer(const PromptConfig& config, const Tokenizer* tokenizer,
                 const ChatTemplate* chat_template, int32_t end_id)
      : config_(config),
        template_(PromptTemplate(config)),
        tokenizer_(tokenizer),
        chat_template_(config.has_template_() ? nullptr : chat_template),
        end_id_(end_id) {}

  // A chat template gets the row's messages, without an answer at their end, or
  // its prompt as a user's message; prompt.system in front if they have no
  // system message, prompt.suffix behind what the user said last.
  // INVALID_ARGUMENT with the row's id if the chat template refuses them.
  absl::StatusOr<RenderedPrompt> Render(const DataRow& row) const;

  // The row as an example. Counted tokens are those of the answers, the end of
  // text included: of `response`, of each assistant message, or everything for
  // a `text`. Where a chat template writes earlier turns anew, as those that
  // drop thoughts do, only the last answer counts. INVALID_ARGUMENT with the
  // row's id if it has none of these.
  absl::StatusOr<TrainSequence> Example(const DataRow& row) const;

  // The same row as plain text, its `text` or all of an example, in pieces of
  // at most max_tokens >= 2 tokens, each of which begins with the last token of
  // the one before: every token counts once, those of prompts too, but the
  // first.
  absl::StatusOr<std::vector<TrainSequence>> TextPieces(
      const DataRow& row, int64_t max_tokens) const;

  // prompt.template as a Jinja chat template, for the exported tokenizer.
  std::string JinjaTemplate() const;

 private:
  RenderedPrompt Finished(std::string text) const;
  RenderedPrompt Fill(const std::string& prompt) const;
  absl::StatusOr<RenderedPrompt> RenderChat(
      const std::string& id, std::vector<ChatMessage> messages) const;

  absl::Status AppendChat(const DataRow& row, TrainSequence* sequence) const;
  void AppendPrompt(const std::string& text, TrainSequence* sequence) const;
  void AppendResponse(const std::string& response,
                      TrainSequence* sequence) const;

  const PromptConfig config_;
  const std::string template_;
  const Tokenizer* const tokenizer_;
  const ChatTemplate* const chat_template_;  // Null: fill template_.
  const int32_t end_id_;
};

}  // namespace ponder

#endif  // PONDER_RL_PROMPT_RENDERER_H_
