// GPT-2's byte-level alphabet: one printable character for each byte, so that a
// vocabulary of bytes can be written as text. Bytes 33-126, 161-172 and 174-255
// stand for the code point of the same value, the other 68 for U+0100 and up.

#ifndef PONDER_POLICY_TEXT_BYTE_ALPHABET_H_
#define PONDER_POLICY_TEXT_BYTE_ALPHABET_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace ponder {

// The character of a byte, in UTF-8.
std::string ByteToCharacter(uint8_t byte);

// The bytes that `token` spells; nothing if a character is not of the alphabet.
std::optional<std::string> BytesOfToken(absl::string_view token);

}  // namespace ponder

#endif  // PONDER_POLICY_TEXT_BYTE_ALPHABET_H_
