// What a tokenizer.json says, for the tokenizers that Ponder knows: byte-level
// BPE. Whatever else the file asks for is an error that names it.

#ifndef PONDER_POLICY_TEXT_TOKENIZER_FILE_H_
#define PONDER_POLICY_TEXT_TOKENIZER_FILE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "policy/text/added_tokens.h"

namespace ponder {

struct TokenizerFile {
  // One step of cutting the text into the pieces that BPE then works on.
  struct PreTokenizerStep {
    std::string split_regex;        // If not empty: split by it.
    bool add_prefix_space = false;  // Else: a space before each piece.
  };

  std::vector<AddedToken> added_tokens;
  bool nfc = false;  // The text is normalized to NFC.
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::vector<std::pair<std::string, int32_t>> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // By rank.
  bool ignore_merges = false;  // A piece of the vocabulary is one token.
};

// INVALID_ARGUMENT with `where` (the file's name) and the field's path.
absl::StatusOr<TokenizerFile> ParseTokenizerFile(absl::string_view json_text,
                                                 absl::string_view where);

}  // namespace ponder

#endif  // PONDER_POLICY_TEXT_TOKENIZER_FILE_H_
