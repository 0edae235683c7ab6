#include "policy/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "policy/text/byte_alphabet.h"
#include "policy/text/unicode.h"

namespace ponder {
namespace {

// What a token decodes to: the bytes that it spells, or, if it isn't of the
// byte-level alphabet (as many added tokens), itself.
std::string DecodedToken(absl::string_view content) {
  return BytesOfToken(content).value_or(std::string(content));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromJson(
    absl::string_view tokenizer_json, absl::string_view where) {
  PONDER_ASSIGN_OR_RETURN(const TokenizerFile file,
                          ParseTokenizerFile(tokenizer_json, where));
  int32_t num_ids = 0;
  absl::flat_hash_map<std::string, int32_t> id_of_content;
  for (const auto& [content, id] : file.vocabulary) {
    id_of_content[content] = id;
    num_ids = std::max(num_ids, id + 1);
  }
  for (const AddedToken& token : file.added_tokens) {
    num_ids = std::max(num_ids, token.id + 1);
  }

  std::array<int32_t, 256> byte_ids;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string character = ByteToCharacter(static_cast<uint8_t>(byte));
    const auto found = id_of_content.find(character);
    if (found == id_of_content.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ".model.vocab: lacks \"", character, "\", the token of byte ",
          byte, "; only byte-level vocabularies are supported"));
    }
    byte_ids[byte] = found->second;
  }

  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer(byte_ids));
  tokenizer->nfc_ = file.nfc;
  tokenizer->ignore_merges_ = file.ignore_merges;
  tokenizer->id_of_content_ = std::move(id_of_content);
  tokenizer->tokens_.resize(num_ids);
  std::vector<bool> is_taken(num_ids);
  for (const auto& [content, id] : file.vocabulary) {
    if (is_taken[id]) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ".model.vocab: the id ", id, " of \"", content,
                       "\" is there twice"));
    }
    is_taken[id] = true;
    const std::optional<std::string> bytes = BytesOfToken(content);
    if (file.ignore_merges && bytes.has_value()) {
      tokenizer->id_of_piece_[*bytes] = id;
    }
    tokenizer->tokens_[id].bytes = DecodedToken(content);
  }
  for (const TokenizerFile::PreTokenizerStep& step : file.pre_tokenizer) {
    Step& made = tokenizer->steps_.emplace_back();
    if (step.add_prefix_space) continue;
    PONDER_ASSIGN_OR_RETURN(made.splitter,
                            RegexSplitter::Create(step.split_regex));
  }
  PONDER_RETURN_IF_ERROR(tokenizer->AddMerges(file, where));
  PONDER_RETURN_IF_ERROR(tokenizer->AddAddedTokens(file, where));
  return tokenizer;
}

absl::Status Tokenizer::AddMerges(const TokenizerFile& file,
                                  absl::string_view where) {
  uint32_t rank = 0;
  for (const auto& [left, right] : file.merges) {
    std::array<int32_t, 3> ids;
    size_t i = 0;
    for (const std::string& content :
         {left, right, absl::StrCat(left, right)}) {
      const auto found = id_of_content_.find(content);
      if (found == id_of_content_.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ".model.merges[", rank, "]: \"", content,
                         "\" is not in the vocabulary"));
      }
      ids[i++] = found->second;
    }
    bpe_.AddRule(ids[0], ids[1], rank++, ids[2]);
  }
  return absl::OkStatus();
}

absl::Status Tokenizer::AddAddedTokens(const TokenizerFile& file,
                                       absl::string_view where) {
  // `tokenizers` numbers the tokens that the vocabulary lacks anew, from the
  // vocabulary's size on. A file that says otherwise would have two meanings.
  int32_t next_id = static_cast<int32_t>(file.vocabulary.size());
  for (const AddedToken& token : file.added_tokens) {
    const auto [known, is_new] =
        id_of_content_.try_emplace(token.content, next_id);
    if (known->second != token.id) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ".added_tokens: \"", token.content, "\" has the id ", token.id,
          ", but ", known->second,
          is_new ? " is the next free one" : " elsewhere in the file"));
    }
    if (is_new) ++next_id;
    // Like `tokenizers`, also decode to the normalized spelling.
    const std::string pattern =
        token.normalized && nfc_ ? ToNfc(token.content) : token.content;
    tokens_[token.id] = {DecodedToken(pattern), token.special};
    (token.normalized ? normalized_matcher_ : raw_matcher_).Add(pattern, token);
  }
  return absl::OkStatus();
}

std::vector<int32_t> Tokenizer::Encode(absl::string_view text) const {
  std::vector<int32_t> ids;
  Bpe::Scratch scratch;
  while (!text.empty()) {
    const size_t num_valid = ValidUtf8Length(text);
    EncodeText(text.substr(0, num_valid), scratch, ids);
    text.remove_prefix(num_valid);
    size_t num_invalid = 0;
    while (num_invalid < text.size() &&
           ValidUtf8Length(text.substr(num_invalid, 4)) == 0) {
      ++num_invalid;
    }
    if (num_invalid > 0) EncodePiece(text.substr(0, num_invalid), scratch, ids);
    text.remove_prefix(num_invalid);
  }
  return ids;
}

void Tokenizer::EncodeText(absl::string_view text, Bpe::Scratch& scratch,
                           std::vector<int32_t>& ids) const {
  const auto on_token = [&](int32_t id) { ids.push_back(id); };
  const auto on_normalized = [&](absl::string_view part) {
    EncodePieces(/*step=*/0, part, scratch, ids);
  };
  const auto on_raw = [&](absl::string_view part) {
    if (nfc_) {
      normalized_matcher_.Split(ToNfc(part), on_normalized, on_token);
    } else {
      normalized_matcher_.Split(part, on_normalized, on_token);
    }
  };
  raw_matcher_.Split(text, on_raw, on_token);
}

void Tokenizer::EncodePieces(size_t step, absl::string_view text,
                             Bpe::Scratch& scratch,
                             std::vector<int32_t>& ids) const {
  if (step == steps_.size()) {
    EncodePiece(text, scratch, ids);
  } else if (steps_[step].splitter != nullptr) {
    steps_[step].splitter->Split(text, [&](absl::string_view piece) {
      EncodePieces(step + 1, piece, scratch, ids);
    });
  } else if (text[0] != ' ') {
    EncodePieces(step + 1, absl::StrCat(" ", text), scratch, ids);
  } else {
    EncodePieces(step + 1, text, scratch, ids);
  }
}

void Tokenizer::EncodePiece(absl::string_view piece, Bpe::Scratch& scratch,
                            std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    const auto found = id_of_piece_.find(piece);
    if (found != id_of_piece_.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  bpe_.Encode(piece, scratch, ids);
}

std::string Tokenizer::Decode(absl::Span<const int32_t> ids,
                              bool skip_special_tokens) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (id < 0 || id >= num_ids()) continue;
    const Token& token = tokens_[id];
    if (skip_special_tokens && token.is_special) continue;
    bytes += token.bytes;
  }
  return bytes;
}

std::optional<int32_t> Tokenizer::TokenId(absl::string_view content) const {
  const auto found = id_of_content_.find(content);
  if (found == id_of_content_.end()) return std::nullopt;
  return found->second;
}

}  // namespace ponder
