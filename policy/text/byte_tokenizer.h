// Ponder's own tokenizer, for tasks that it generates and for models that start
// from random weights: a token for each byte, and three more. As files that
// `transformers` and `tokenizers` load.

#ifndef PONDER_POLICY_TEXT_BYTE_TOKENIZER_H_
#define PONDER_POLICY_TEXT_BYTE_TOKENIZER_H_

#include <cstdint>
#include <string>

namespace ponder {

// Ids 0 to 255 are the bytes of that value.
inline constexpr int32_t kByteEndOfTextId = 256;   // <|endoftext|>, special.
inline constexpr int32_t kByteThinkBeginId = 257;  // <think>
inline constexpr int32_t kByteThinkEndId = 258;    // </think>
inline constexpr int32_t kByteTokenizerNumIds = 259;

// The tokenizer.json for a model with `vocab_size` ids. Ids from 259 on are
// padding of the embedding, which has no entry and decodes to nothing, so the
// file is the same for every size. REQUIRES: vocab_size >= 259.
std::string ByteTokenizerJson(int64_t vocab_size);

// The tokenizer_config.json. `chat_template` is Jinja; left out if empty.
std::string ByteTokenizerConfigJson(const std::string& chat_template);

}  // namespace ponder

#endif  // PONDER_POLICY_TEXT_BYTE_TOKENIZER_H_
