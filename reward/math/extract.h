// Finds the answer in a response.

#ifndef PONDER_REWARD_MATH_EXTRACT_H_
#define PONDER_REWARD_MATH_EXTRACT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace ponder::math {

struct Extraction {
  std::string text;  // The answer; several boxes joined by commas.
  const char* rule;  // "box", "answer tag", "phrase", ...: where it stood.
};

// What the flexible mode looks for.
struct ExtractOptions {
  bool boxes = true;
  bool formulas = true;  // $...$ and the like.
  bool numbers = true;   // And expressions outside of formulas.
};

// An answer in a form that declares it: the last \boxed{} or \fbox{}, with the
// boxes that "and", "or" or commas join to it, inside the last <answer> tags
// if there are any; else what is in these tags; else what follows the last
// "####"; else what follows "the answer is" or the same in other languages;
// else all of `text`, if it is one line of mathematics and nothing else.
std::optional<Extraction> DeclaredAnswer(absl::string_view text);

// The last box or "final answer is"; else what follows the last "answer is";
// else the last formula or number.
std::optional<Extraction> AnyAnswer(absl::string_view text,
                                    const ExtractOptions& options);

// A choice's letter: after "answer is", at the beginning, or the last that
// stands alone.
std::optional<Extraction> ChoiceLetter(absl::string_view text,
                                       absl::string_view letters);

// The answer in a gold text: of a solution what is in its boxes or behind
// "####", else all of it.
std::string GoldAnswer(absl::string_view text);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_EXTRACT_H_
