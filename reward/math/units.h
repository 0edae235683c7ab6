// Units of measurement: which words are units, and what they are in others.

#ifndef PONDER_REWARD_MATH_UNITS_H_
#define PONDER_REWARD_MATH_UNITS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "reward/math/rational.h"

namespace ponder::math {

// True for a symbol or name of a known unit: cm, kg, miles, euros.
bool IsUnitWord(absl::string_view word);

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
