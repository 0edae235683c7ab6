// Reads an answer into a tree.

#ifndef PONDER_REWARD_MATH_PARSER_H_
#define PONDER_REWARD_MATH_PARSER_H_

#include "absl/strings/string_view.h"
#include "reward/math/expr.h"

namespace ponder::math {

// What a text can mean only one way at a time.
struct Reading {
  bool comma_is_list = false;       // 1,234 is 1 and 234, not 1234.
  bool comma_is_decimal = false;    // 2,74 is 2.74.
  bool letters_are_units = false;   // 3m is three metres, not 3 times m.
  bool brackets_thousands = false;  // (1,234) has one element.
};

struct Parsed {
  Id root = kNoId;  // kNoId: no mathematics, only text.
  bool beyond_limits = false;
};

Parsed Parse(absl::string_view text, const Reading& reading, Arena* arena);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_PARSER_H_
