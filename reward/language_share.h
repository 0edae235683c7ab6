// How much of a text is in one language.

#ifndef PONDER_REWARD_LANGUAGE_SHARE_H_
#define PONDER_REWARD_LANGUAGE_SHARE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace ponder {

struct LanguageShare {
  std::string language;      // That was looked for; empty if none was known.
  int64_t words = 0;         // Of any language.
  int64_t target_words = 0;  // In that language.

  // (words in the target language) / (words): the language-consistency reward
  // of DeepSeek-R1 (arXiv:2501.12948, section 2.3.2). 1 without words, because
  // nothing is in another language then.
  double value() const {
    return words == 0
               ? 1
               : static_cast<double>(target_words) / static_cast<double>(words);
  }
};

// `target` is one of KnownLanguages(); if it is empty, the language of most of
// `prompt`, and if that is unknown, of most of `text`.
//
// A word is a run of at least two letters (or each Han, kana and Thai
// character). Digits, formulas ($..$, \(..\), \[..\], LaTeX commands, single
// letters), code in backticks and <tags> are not words. A word's script
// decides; Latin words go by their sentence, which is in another language than
// the target if that one has at least two function words in it and more than
// the target has. So Cyrillic is Russian, and languages that are not in the
// table count as the target. Linear in the text; any bytes.
LanguageShare MeasureLanguage(absl::string_view text, absl::string_view target,
                              absl::string_view prompt);

// Whether `language` can be told from others, e.g. "en".
bool IsKnownLanguage(absl::string_view language);

}  // namespace ponder

#endif  // PONDER_REWARD_LANGUAGE_SHARE_H_
