// A penalty on saying the same again and again.

#ifndef PONDER_REWARD_REPETITION_PENALTY_H_
#define PONDER_REWARD_REPETITION_PENALTY_H_

#include "absl/strings/string_view.h"

namespace ponder {

//   -(1 - distinct n-grams / n-grams)          from -1 to 0
//
// over the words of `text`, ASCII letters in lower case; 0 where there is no
// n-gram. arXiv:2502.03373, app. C.2, as in open-r1's
// get_repetition_penalty_reward, whose max_penalty is the component's weight.
// Departures: words are also cut at each character of a script that is written
// without spaces (Han, kana, Thai), and n-grams count as the same if their
// 64-bit hashes are. Time n log n; a word of a text takes 8 bytes of memory.
double RepetitionPenalty(absl::string_view text, int ngram_words);

}  // namespace ponder

#endif  // PONDER_REWARD_REPETITION_PENALTY_H_
