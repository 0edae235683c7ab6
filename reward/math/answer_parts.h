// The boxes and formulas that make one answer: those that "and" or commas
// join, with what is printed right before and behind them.

#ifndef PONDER_REWARD_MATH_ANSWER_PARTS_H_
#define PONDER_REWARD_MATH_ANSWER_PARTS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "reward/boxes.h"

namespace ponder::math {

// `box` with the boxes before it that belong to it, joined by commas. Nothing
// without a box.
std::optional<std::string> JoinedBoxes(absl::string_view text,
                                       std::optional<Box> box);

// A formula in a text: $...$, \(...\), ...
struct Formula {
  size_t begin;  // Of the opening delimiter.
  size_t end;    // Behind the closing one.
  absl::string_view content;
};

// The last formulas of the text, in order, at most 64. A "$" before a price is
// no delimiter. Of a long text only the end is looked at.
std::vector<Formula> Formulas(absl::string_view text);

// The last of `formulas` with those before it that belong to it, joined by
// commas. Nothing if there are none.
std::optional<std::string> JoinedFormulas(absl::string_view text,
                                          const std::vector<Formula>& formulas);

// The formula at the beginning of `text` with those behind it that belong to
// it. Nothing if it begins with none.
std::optional<std::string> LeadingFormulas(absl::string_view text);

// `content` with \% if that or the word stands behind it.
std::string WithPercent(absl::string_view content, absl::string_view behind);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_ANSWER_PARTS_H_
