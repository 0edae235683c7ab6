// The little of Unicode that a tokenizer needs besides regular expressions.

#ifndef PONDER_POLICY_TEXT_UNICODE_H_
#define PONDER_POLICY_TEXT_UNICODE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder {

struct CodePoint {
  uint32_t value = 0;
  size_t num_bytes = 0;  // 0 only for an empty text.
};

// Length of the longest prefix that is well-formed UTF-8.
size_t ValidUtf8Length(absl::string_view text);

// `bytes` with U+FFFD in place of what isn't UTF-8: one for each maximal
// subpart, as Unicode recommends (section 3.9) and Rust and Python do.
std::string ReplaceInvalidUtf8(absl::string_view bytes);
// The same. `offsets` into `bytes`, ascending, become those of the same places
// in the result; one within a character becomes that of its end.
std::string ReplaceInvalidUtf8(absl::string_view bytes,
                               std::vector<size_t>* offsets);

// First and last code point. REQUIRES: `text` is well-formed.
CodePoint FirstCodePoint(absl::string_view text);
CodePoint LastCodePoint(absl::string_view text);

// Unicode's White_Space.
bool IsWhiteSpace(uint32_t code_point);

// \w of UTS #18: Alphabetic, marks, decimal digits, connectors, joiners.
bool IsWordCharacter(uint32_t code_point);

// Normalization form C, as Hugging Face's tokenizers has it: by the combining
// classes of Unicode 9. REQUIRES: `text` is well-formed.
std::string ToNfc(absl::string_view text);

}  // namespace ponder

#endif  // PONDER_POLICY_TEXT_UNICODE_H_
