#include "policy/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "policy/text/byte_alphabet.h"
#include "policy/text/unicode.h"

namespace ponder {
namespace {

// The token of a byte.
std::string ByteToken(int byte, bool byte_fallback) {
  return byte_fallback ? absl::StrFormat("<0x%02X>", byte)
                       : ByteToCharacter(static_cast<uint8_t>(byte));
}

// What a token decodes to: the bytes that it spells, or, if it isn't of the
// byte-level alphabet (as many added tokens), itself. In SentencePiece's
// vocabularies itself, with spaces.
std::string DecodedToken(absl::string_view content, bool byte_fallback) {
  if (byte_fallback) {
    return absl::StrReplaceAll(content, {{kMetaspace, " "}});
  }
  return BytesOfToken(content).value_or(std::string(content));
}

// Ids without a token beyond those that there are tokens.
constexpr size_t kMaxHoles = 1 << 16;

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
  // Real vocabularies have few holes: a table grows with the file, not with
  // one broken id in it.
  const size_t num_tokens = file.vocabulary.size() + file.added_tokens.size();
  if (static_cast<size_t>(num_ids) > 2 * num_tokens + kMaxHoles) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": has ", num_tokens, " tokens, but ids up to ",
                     num_ids - 1, "; is one of them wrong?"));
  }

  std::array<int32_t, 256> byte_ids;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string character = ByteToken(byte, file.byte_fallback);
    const auto found = id_of_content.find(character);
    if (found == id_of_content.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ".model.vocab: lacks \"", character, "\", the token of byte ",
          byte, "; only vocabularies with all bytes are supported"));
    }
    byte_ids[byte] = found->second;
  }

  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer(byte_ids));
  tokenizer->nfc_ = file.nfc;
  tokenizer->ignore_merges_ = file.ignore_merges;
  tokenizer->byte_fallback_ = file.byte_fallback;
  tokenizer->spaces_ = file.spaces;
  tokenizer->byte_ids_ = byte_ids;
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
    const std::optional<std::string> bytes =
        file.byte_fallback ? content : BytesOfToken(content);
    if (file.ignore_merges && bytes.has_value()) {
      tokenizer->id_of_piece_[*bytes] = id;
    }
    tokenizer->tokens_[id].bytes = DecodedToken(content, file.byte_fallback);
  }
  if (file.byte_fallback) {
    for (const auto& [content, id] : file.vocabulary) {
      if (FirstCodePoint(content).num_bytes == content.size()) {
        tokenizer->id_of_character_[content] = id;
      }
    }
    for (int byte = 0; byte < 256; ++byte) {
      tokenizer->tokens_[byte_ids[byte]].bytes =
          std::string(1, static_cast<char>(byte));
    }
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
        token.normalized ? Normalize(token.content) : token.content;
    tokens_[token.id] = {DecodedToken(pattern, byte_fallback_), token.special};
    (token.normalized ? normalized_matcher_ : raw_matcher_).Add(pattern, token);
  }
  return absl::OkStatus();
}

std::vector<int32_t> Tokenizer::Encode(absl::string_view text) const {
  std::vector<int32_t> ids;
  Bpe::Scratch scratch;
  bool is_begin = true;
  while (!text.empty()) {
    const size_t num_valid = ValidUtf8Length(text);
    EncodeText(text.substr(0, num_valid), is_begin, scratch, ids);
    is_begin = false;
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

std::string Tokenizer::Normalize(absl::string_view part) const {
  std::string text = nfc_ ? ToNfc(part) : std::string(part);
  if (spaces_.normalizer_prepends && !text.empty()) {
    text.insert(0, kMetaspace);
  }
  if (spaces_.normalizer_replaces) {
    text = absl::StrReplaceAll(text, {{" ", kMetaspace}});
  }
  return text;
}

void Tokenizer::EncodeText(absl::string_view text, bool is_begin,
                           Bpe::Scratch& scratch,
                           std::vector<int32_t>& ids) const {
  const auto on_token = [&](int32_t id) { ids.push_back(id); };
  const bool is_normalized =
      nfc_ || spaces_.normalizer_prepends || spaces_.normalizer_replaces;
  raw_matcher_.Split(
      text,
      [&](absl::string_view part) {
        const std::string normalized =
            is_normalized ? Normalize(part) : std::string();
        const absl::string_view whole = is_normalized ? normalized : part;
        normalized_matcher_.Split(
            whole,
            [&](absl::string_view rest) {
              if (byte_fallback_) {
                EncodeSpaced(rest,
                             is_begin && part.data() == text.data() &&
                                 rest.data() == whole.data(),
                             scratch, ids);
              } else {
                EncodePieces(/*step=*/0, rest, scratch, ids);
              }
            },
            on_token);
      },
      on_token);
}

void Tokenizer::EncodeSpaced(absl::string_view part, bool is_begin,
                             Bpe::Scratch& scratch,
                             std::vector<int32_t>& ids) const {
  using Prefix = TokenizerFile::Spaces::Prefix;
  if (!spaces_.has_pre_tokenizer) return EncodeCharacters(part, scratch, ids);
  std::string text = absl::StrReplaceAll(part, {{" ", kMetaspace}});
  if ((spaces_.prefix == Prefix::kAlways ||
       (spaces_.prefix == Prefix::kFirst && is_begin)) &&
      !absl::StartsWith(text, kMetaspace)) {
    text.insert(0, kMetaspace);
  }
  absl::string_view rest = text;
  while (!rest.empty()) {
    const size_t end = spaces_.split
                           ? std::min(rest.find(kMetaspace, 1), rest.size())
                           : rest.size();
    EncodeCharacters(rest.substr(0, end), scratch, ids);
    rest.remove_prefix(end);
  }
}

void Tokenizer::EncodeCharacters(absl::string_view piece, Bpe::Scratch& scratch,
                                 std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    const auto found = id_of_piece_.find(piece);
    if (found != id_of_piece_.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  std::vector<int32_t> symbols;
  symbols.reserve(piece.size());
  while (!piece.empty()) {
    const absl::string_view character =
        piece.substr(0, FirstCodePoint(piece).num_bytes);
    const auto found = id_of_character_.find(character);
    if (found != id_of_character_.end()) {
      symbols.push_back(found->second);
    } else {
      for (const char byte : character) {
        symbols.push_back(byte_ids_[static_cast<uint8_t>(byte)]);
      }
    }
    piece.remove_prefix(character.size());
  }
  bpe_.Merge(symbols, scratch, ids);
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
  for (int i = 0; i < spaces_.num_stripped_spaces; ++i) {
    if (!absl::StartsWith(bytes, " ")) break;
    bytes.erase(0, 1);
  }
  return bytes;
}

std::optional<int32_t> Tokenizer::TokenId(absl::string_view content) const {
  const auto found = id_of_content_.find(content);
  if (found == id_of_content_.end()) return std::nullopt;
  return found->second;
}

}  // namespace ponder
