// From data rows to token ids: prompts for sampling, examples for supervised
// fine-tuning.

#ifndef PONDER_RL_PROMPT_RENDERER_H_
#define PONDER_RL_PROMPT_RENDERER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/text/tokenizer.h"
#include "proto/config.pb.h"
#include "rl/data/data_set.h"
#include "rl/learner.h"

namespace ponder {

struct RenderedPrompt {
  std::string text;
  std::vector<int32_t> ids;
};

// Fills the template of the configuration. Thread-safe.
class PromptRenderer {
 public:
  // `tokenizer` is not owned and outlives this object. `end_id` is put behind
  // the responses of examples.
  PromptRenderer(const PromptConfig& config, const Tokenizer* tokenizer,
                 int32_t end_id)
      : config_(config), tokenizer_(tokenizer), end_id_(end_id) {}

  RenderedPrompt Render(const std::string& prompt) const;

  // Whether the rendered prompt ends with <think>, so that responses begin
  // inside the thought.
  bool ThoughtOpened() const;

  // The row as an example. Counted tokens are those of the answers, the end of
  // text included: of `response`, of each assistant message, or everything for
  // a `text`. INVALID_ARGUMENT with the row's id if it has none of these.
  absl::StatusOr<TrainSequence> Example(const DataRow& row) const;

  // The template as a Jinja chat template, for the exported tokenizer.
  std::string JinjaTemplate() const;

 private:
  void AppendResponse(const std::string& response,
                      TrainSequence* sequence) const;

  const PromptConfig config_;
  const Tokenizer* const tokenizer_;
  const int32_t end_id_;
};

}  // namespace ponder

#endif  // PONDER_RL_PROMPT_RENDERER_H_
