// ASCII characters, whatever the locale. Bytes of other characters are none.

#ifndef PONDER_REWARD_CHARACTERS_H_
#define PONDER_REWARD_CHARACTERS_H_

#include "absl/strings/ascii.h"

namespace ponder {

inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }

inline bool IsLetter(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c));
}

inline bool IsWordCharacter(char c) { return IsDigit(c) || IsLetter(c); }

}  // namespace ponder

#endif  // PONDER_REWARD_CHARACTERS_H_
