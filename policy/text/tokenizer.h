// Text to token ids and back.

#ifndef PONDER_POLICY_TEXT_TOKENIZER_H_
#define PONDER_POLICY_TEXT_TOKENIZER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "policy/text/added_tokens.h"
#include "policy/text/bpe.h"
#include "policy/text/regex_splitter.h"
#include "policy/text/tokenizer_file.h"

namespace ponder {

// BPE as a Hugging Face tokenizer.json describes it, with the same ids as the
// `tokenizers` library: byte-level (GPT-2, Llama 3, Qwen 2 to 3, DeepSeek and
// their kin), or as SentencePiece does it, with bytes for characters that have
// no token (Llama 2, Mistral).
//
//   text -> added tokens | the rest -> normalizer -> pieces -> BPE -> ids
//
// Bytes that aren't UTF-8, which that library can't be given, are kept as they
// are: each run of them is encoded by itself, as one piece. So every string of
// bytes comes back from Decode(Encode(bytes)), unless the file asks for
// normalization, a prefix space or the stripping of white space, or the text
// holds SentencePiece's sign for a space.
//
// Thread-safe.
class Tokenizer {
 public:
  // INVALID_ARGUMENT with `where` (the file's name) and the field's path if the
  // file is broken or asks for something that is not supported; nothing in it
  // is ignored but the post_processor, see Encode().
  static absl::StatusOr<std::unique_ptr<Tokenizer>> FromJson(
      absl::string_view tokenizer_json, absl::string_view where);

  // The ids of `text`. Added tokens are recognised. Nothing is put in front,
  // also where the file's post_processor would (add_special_tokens=False).
  std::vector<int32_t> Encode(absl::string_view text) const;

  // The bytes of `ids`; ReplaceInvalidUtf8() makes them text where a token
  // boundary lies within a character. Ids that have no token (padding of the
  // vocabulary, or beyond it) decode to nothing, and so do special tokens if
  // they are to be skipped.
  std::string Decode(absl::Span<const int32_t> ids,
                     bool skip_special_tokens = false) const;

  // The id of an added token, or of a token as the vocabulary spells it.
  std::optional<int32_t> TokenId(absl::string_view content) const;

  // The highest id + 1. A model's vocabulary may be padded beyond.
  int64_t num_ids() const { return static_cast<int64_t>(tokens_.size()); }

 private:
  struct Token {
    std::string bytes;  // What it decodes to.
    bool is_special = false;
  };
  struct Step {
    std::unique_ptr<RegexSplitter> splitter;  // Null: add a prefix space.
  };

  explicit Tokenizer(const std::array<int32_t, 256>& byte_ids)
      : bpe_(byte_ids) {}

  // Parts of FromJson(); `where` is for errors.
  absl::Status AddMerges(const TokenizerFile& file, absl::string_view where);
  absl::Status AddAddedTokens(const TokenizerFile& file,
                              absl::string_view where);

  // What the normalizer makes of a part of the text.
  std::string Normalize(absl::string_view part) const;

  // `text` is well-formed UTF-8; `is_begin`: of the whole text.
  void EncodeText(absl::string_view text, bool is_begin, Bpe::Scratch& scratch,
                  std::vector<int32_t>& ids) const;
  // The part of a normalized text for a SentencePiece vocabulary, and a piece.
  void EncodeSpaced(absl::string_view part, bool is_begin,
                    Bpe::Scratch& scratch, std::vector<int32_t>& ids) const;
  void EncodeCharacters(absl::string_view piece, Bpe::Scratch& scratch,
                        std::vector<int32_t>& ids) const;
  // The steps from `step` on, then BPE.
  void EncodePieces(size_t step, absl::string_view text, Bpe::Scratch& scratch,
                    std::vector<int32_t>& ids) const;
  void EncodePiece(absl::string_view piece, Bpe::Scratch& scratch,
                   std::vector<int32_t>& ids) const;

  bool nfc_ = false;
  bool ignore_merges_ = false;
  bool byte_fallback_ = false;
  TokenizerFile::Spaces spaces_;            // If byte_fallback_.
  std::array<int32_t, 256> byte_ids_ = {};  // If byte_fallback_.
  AddedTokenMatcher raw_matcher_;           // For text as it came.
  AddedTokenMatcher normalized_matcher_;  // For what the normalizer made of it.
  std::vector<Step> steps_;
  Bpe bpe_;
  std::vector<Token> tokens_;                                // By id.
  absl::flat_hash_map<std::string, int32_t> id_of_content_;  // As in the file.
  // Of the vocabulary's tokens of one character, if byte_fallback_.
  absl::flat_hash_map<std::string, int32_t> id_of_character_;
  // By their bytes, if ignore_merges_: the pieces that are one token.
  absl::flat_hash_map<std::string, int32_t> id_of_piece_;
};

}  // namespace ponder

#endif  // PONDER_POLICY_TEXT_TOKENIZER_H_
