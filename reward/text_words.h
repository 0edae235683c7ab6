// Characters and words of UTF-8 text, for what looks at how a response is
// written rather than at what it says.

#ifndef PONDER_REWARD_TEXT_WORDS_H_
#define PONDER_REWARD_TEXT_WORDS_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace ponder {

// Unicode scripts (UAX 24), by block. kNone: digits, signs, spaces and letters
// of scripts that are not told apart.
enum class Script {
  kNone,
  kLatin,
  kGreek,
  kCyrillic,
  kHebrew,
  kArabic,
  kDevanagari,
  kThai,
  kHangul,
  kKana,
  kHan,
};

Script ScriptOf(char32_t c);

// Written without spaces between words, so each character counts as a word.
inline bool HasNoSpaces(Script script) {
  return script == Script::kHan || script == Script::kKana ||
         script == Script::kThai;
}

// Takes the first character off `text`, which is not empty. A byte that
// belongs to no character is U+FFFD.
char32_t TakeCharacter(absl::string_view* text);

}  // namespace ponder

#endif  // PONDER_REWARD_TEXT_WORDS_H_
