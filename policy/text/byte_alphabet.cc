#include "policy/text/byte_alphabet.h"

#include <array>

namespace ponder {
namespace {

constexpr int kNumCharacters = 256 + 68;  // Code points below are of use.

struct Alphabet {
  std::array<int, 256> character_of_byte = {};
  std::array<int, kNumCharacters> byte_of_character = {};
};

constexpr bool IsPrintable(int byte) {
  return (33 <= byte && byte <= 126) || (161 <= byte && byte != 173);
}

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  for (int& byte : alphabet.byte_of_character) byte = -1;
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const int character = IsPrintable(byte) ? byte : next++;
    alphabet.character_of_byte[byte] = character;
    alphabet.byte_of_character[character] = byte;
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

std::string ByteToCharacter(uint8_t byte) {
  const int character = kAlphabet.character_of_byte[byte];
  if (character < 0x80) return std::string(1, static_cast<char>(character));
  return {static_cast<char>(0xC0 | (character >> 6)),
          static_cast<char>(0x80 | (character & 0x3F))};
}

std::optional<std::string> BytesOfToken(absl::string_view token) {
  std::string bytes;
  for (size_t i = 0; i < token.size(); ++i) {
    int character = static_cast<uint8_t>(token[i]);
    if (character >= 0x80) {
      if ((character & 0xE0) != 0xC0 || i + 1 == token.size()) {
        return std::nullopt;
      }
      character =
          ((character & 0x1F) << 6) | (static_cast<uint8_t>(token[++i]) & 0x3F);
    }
    if (character >= kNumCharacters) return std::nullopt;
    const int byte = kAlphabet.byte_of_character[character];
    if (byte < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

}  // namespace ponder
