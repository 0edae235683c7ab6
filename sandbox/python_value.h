// Values on their way out of and into a sandbox: a bounded reader and a writer
// of the part of Python's marshal format that can say exact built-in types,
// and the comparison with an expected JSON value.
//
// marshal is used because its writer, in C, is inside the interpreter: it
// costs no import, and it takes exact types alone, so that an int whose class
// overloads == is not an int. The reader below trusts nothing.
//
//   N None  T True  F False  i int32  l long  g float64  u str  s bytes
//   ( tuple  [ list  < set  > frozenset  { dict, ended by 0

#ifndef PONDER_SANDBOX_PYTHON_VALUE_H_
#define PONDER_SANDBOX_PYTHON_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/value.pb.h"

namespace ponder {

struct PythonValue {
  enum class Kind {
    kNone,
    kBool,
    kInt,
    kBigInt,  // Beyond 64 bits.
    kFloat,
    kComplex,  // `text`: its two floats, 8 bytes each.
    kString,
    kBytes,
    kTuple,
    kList,
    kDict,  // `items` alternates keys and values.
    kSet,
    kFrozenSet,
  };

  Kind kind = Kind::kNone;
  bool negative = false;   // kBigInt.
  int64_t int_value = 0;   // kInt; 0 or 1 for kBool.
  double float_value = 0;  // kFloat.
  std::string text;        // kString (UTF-8), kBytes; kBigInt: base 2^15
                           // digits of 2 bytes, lowest first, no leading 0.
  std::vector<PythonValue> items;
};

// Bounds of the reader. A value beyond them is refused.
inline constexpr int kMaxPythonDepth = 64;
inline constexpr size_t kMaxPythonNodes = 1 << 18;
// Of an integer that a test names. Python itself reads no more than 4,300
// digits unless it is told to.
inline constexpr size_t kMaxDigits = 10000;

// Reads one whole marshal value. INVALID_ARGUMENT for anything malformed, of
// another type or beyond the bounds.
absl::StatusOr<PythonValue> ParseMarshal(absl::string_view bytes);

// Appends the marshal form.
void AppendMarshal(const PythonValue& value, std::string* out);

// INVALID_ARGUMENT if a value of a test is beyond the bounds, or has digits
// that are none.
absl::Status CheckPassable(const Value& value);

// The Python value that a JSON value stands for: list, str-keyed dict, and
// int, float, str, bool or None.
PythonValue PythonFromValue(const Value& value);

// True if `got` is what JSON can say of `expected`:
//  - bool equals bool alone; int and float are equal if their exact values
//    are (3 and 3.0, as in JSON); with `tolerance` a finite float may differ by
//    that much, absolutely or relative to `expected`;
//  - str equals str; an object equals a dict with just these str keys;
//  - a list equals a list or a tuple, because JSON has no tuples.
// Nothing equals bytes, sets, nan or a dict with other keys.
bool MatchesExpected(const Value& expected, const PythonValue& got,
                     std::optional<double> tolerance);

// Like Python's repr(), cut to about `max_bytes`, for messages.
std::string Describe(const PythonValue& value, size_t max_bytes);

// Makers, for messages to the runner.
PythonValue PythonString(absl::string_view text);
PythonValue PythonBytes(absl::string_view bytes);
PythonValue PythonTuple(std::vector<PythonValue> items);
PythonValue PythonDict();  // Empty.

}  // namespace ponder

#endif  // PONDER_SANDBOX_PYTHON_VALUE_H_
