// Finds the answer in a response.

#ifndef PONDER_REWARD_MATH_EXTRACT_H_
#define PONDER_REWARD_MATH_EXTRACT_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "reward/boxes.h"

namespace ponder::math {

struct Extraction {
  std::string text;    // The answer; several boxes joined by commas.
  const char* rule;    // "box", "answer tag", "phrase", ...: where it stood.
  bool plain = false;  // A number in a sentence, outside of any formula.
};

// What the flexible mode looks for.
struct ExtractOptions {
  bool boxes = true;
  bool formulas = true;  // $...$ and the like.
  bool numbers = true;   // And expressions outside of formulas.
};

// The places in a response where its answer may stand, found in one pass. A
// view of the text, which must outlive it. Thread-safe.
class AnswerFinder {
 public:
  explicit AnswerFinder(absl::string_view text);

  // An answer in a form that declares it: the last \boxed{} or \fbox{}, with
  // the boxes that "and", "or" or commas join to it, inside the last <answer>
  // tags if there are any; else what is in these tags; else what follows the
  // last "####"; else what follows "the answer is" or the same in other
  // languages; else all of the text, if it is one line of mathematics and
  // nothing else.
  std::optional<Extraction> Declared() const;

  // The last box or "final answer is"; else what follows the last "answer is";
  // else the last formula or number.
  std::optional<Extraction> Any(const ExtractOptions& options) const;

  // Where the text behind the last "answer is" begins; npos without one.
  size_t phrase_end() const { return phrase_; }

 private:
  static constexpr size_t kNone = absl::string_view::npos;

  int LookForBox(size_t x);
  void LookForPhrase(size_t rare);
  std::optional<absl::string_view> Tag() const;

  absl::string_view text_;    // Without white space around it.
  std::optional<Box> box_;    // The last.
  size_t tag_begin_ = kNone;  // Behind <answer>.
  size_t tag_end_ = kNone;    // Of </answer>.
  size_t hashes_ = kNone;     // Of the last "####".
  size_t phrase_ = kNone;
  size_t final_phrase_ = kNone;  // Behind "final answer is".
};

// A choice's letter: after "answer is", at the beginning, or the last that
// stands alone.
std::optional<Extraction> ChoiceLetter(absl::string_view text,
                                       absl::string_view letters);

// The answer in a gold text: of a solution what is in its boxes or behind
// "####", else all of it.
std::string GoldAnswer(absl::string_view text);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_EXTRACT_H_
