// Prints a response while it is sampled.

#ifndef PONDER_CLI_TEXT_STREAM_H_
#define PONDER_CLI_TEXT_STREAM_H_

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "policy/text/tokenizer.h"

namespace ponder {

// Writes the text of tokens to `out` as soon as it is certain: not the first
// bytes of a character whose others may come. On a terminal the thought, up to
// and with </think>, is dimmed. Not thread-safe.
class TextStream {
 public:
  // `tokenizer` and `out` are not owned and outlive the stream. thought_opened:
  // the prompt ended with <think>.
  TextStream(const Tokenizer* tokenizer, bool thought_opened, bool dim,
             std::FILE* out);

  void Add(int32_t id);
  // Writes what was held back. Returns the whole text, without marks of style.
  std::string Finish();

 private:
  // Writes what `text`, the response so far, has beyond what was written.
  void Write(absl::string_view text, bool finished);
  void SetDim(bool dim);

  const Tokenizer* const tokenizer_;
  const bool may_dim_;
  std::FILE* const out_;
  bool in_thought_;
  std::vector<int32_t> ids_;
  size_t written_ = 0;  // Bytes of the text.
};

}  // namespace ponder

#endif  // PONDER_CLI_TEXT_STREAM_H_
