// Answers that are text and no mathematics: words, choices, dates, times.
//
// All texts are in the form of NormalText() in plain_text.h.

#ifndef PONDER_REWARD_MATH_TEXT_ANSWERS_H_
#define PONDER_REWARD_MATH_TEXT_ANSWERS_H_

#include "absl/strings/string_view.h"

namespace ponder::math {

// True for a word, a name, or a choice: nothing that is calculated with.
bool IsWordAnswer(absl::string_view text);

// True for a date or a time of day with "am" or "pm", which are no
// calculations.
bool IsDateOrTime(absl::string_view text);

// True for 12:30, which is a time where the other answer is one too: 24:60 is
// no other name of it, as it would be of the ratio.
bool IsClock(absl::string_view text);

// True if both say the same: the same text, the same word in other letters or
// another word for it, a choice's letter or what the choice says.
bool IsSameText(absl::string_view a, absl::string_view b);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_TEXT_ANSWERS_H_
