// What a tokenizer.json says, for the tokenizers that Ponder knows: byte-level
// BPE, and BPE as SentencePiece does it, with bytes for what has no token.
// Whatever else the file asks for is an error that names it.

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

// The character that stands for a space in SentencePiece's vocabularies.
inline constexpr char kMetaspace[] = "\xE2\x96\x81";  // U+2581

// The expression of GPT-2, which ByteLevel uses if it is told to use one.
inline constexpr char kGpt2Regex[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct TokenizerFile {
  // One step of cutting the text into the pieces that BPE then works on.
  struct PreTokenizerStep {
    std::string split_regex;        // If not empty: split by it.
    bool add_prefix_space = false;  // Else: a space before each piece.
  };

  // How SentencePiece's spaces are written, where the model has byte_fallback.
  struct Spaces {
    enum class Prefix { kNever, kFirst, kAlways };
    bool normalizer_prepends = false;  // kMetaspace in front of each part.
    bool normalizer_replaces = false;  // Spaces by kMetaspace.
    bool has_pre_tokenizer = false;    // Metaspace, which replaces too.
    // Of the pre-tokenizer: kMetaspace in front of a part that lacks it, of
    // every one or of one that begins the text.
    Prefix prefix = Prefix::kNever;
    bool split = false;           // Pieces begin with kMetaspace.
    int num_stripped_spaces = 0;  // At the begin of what is decoded.
  };

  std::vector<AddedToken> added_tokens;
  bool nfc = false;  // The text is normalized to NFC.
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::vector<std::pair<std::string, int32_t>> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // By rank.
  bool ignore_merges = false;  // A piece of the vocabulary is one token.
  // Characters without a token are bytes, <0x00> to <0xFF>; else the vocabulary
  // is byte-level.
  bool byte_fallback = false;
  Spaces spaces;
};

// INVALID_ARGUMENT with `where` (the file's name) and the field's path.
absl::StatusOr<TokenizerFile> ParseTokenizerFile(absl::string_view json_text,
                                                 absl::string_view where);

}  // namespace ponder

#endif  // PONDER_POLICY_TEXT_TOKENIZER_FILE_H_
