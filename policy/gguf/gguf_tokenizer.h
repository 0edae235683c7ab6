// The keys of GGUF that describe a tokenizer.

#ifndef PONDER_POLICY_GGUF_GGUF_TOKENIZER_H_
#define PONDER_POLICY_GGUF_GGUF_TOKENIZER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "policy/gguf/gguf_writer.h"

namespace ponder {

// Adds the tokenizer of `folder`, byte-level BPE or SentencePiece's, padded to
// `vocab_size` tokens, and its chat template. UNIMPLEMENTED names what
// llama.cpp has no word for: an unknown rule to split text, merges that don't
// follow from a rank of tokens.
absl::Status AddGgufTokenizer(const std::string& folder, int64_t vocab_size,
                              GgufWriter* writer);

}  // namespace ponder

#endif  // PONDER_POLICY_GGUF_GGUF_TOKENIZER_H_
