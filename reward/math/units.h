// Units of measurement: which words are units, and what they are in others.

#ifndef PONDER_REWARD_MATH_UNITS_H_
#define PONDER_REWARD_MATH_UNITS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "reward/math/rational.h"

namespace ponder::math {

// True for a symbol or name of a known unit: cm, kg, miles, euros.
bool IsUnitWord(absl::string_view word);

// True for a known unit, and for a few plain words that can be what is counted
// ("apples", "pieces of fruit"). False where words could take the number back
// or change it.
bool MayBeUnit(absl::string_view words);

struct Unit {
  // What it measures: "length", "length2", "length*time-1", "usd"; of words
  // that are no known unit the words themselves, without a plural's s.
  std::string dimension;
  Rational factor;  // In the unit that stands for the dimension.
  bool known = false;
};

// Reads "cm", "cm^2", "square centimeters", "km/h", "miles per hour".
Unit ParseUnit(absl::string_view text);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_UNITS_H_
