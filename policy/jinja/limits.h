// What bounds the work on one template, whoever wrote it.

#ifndef PONDER_POLICY_JINJA_LIMITS_H_
#define PONDER_POLICY_JINJA_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace ponder::jinja {

inline constexpr size_t kMaxTemplateBytes = size_t{1} << 20;
inline constexpr int kMaxNesting = 150;  // Of statements; of an expression.
// When run: both together, and macros that call macros.
inline constexpr int kMaxRunNesting = 400;
inline constexpr int kMaxValueDepth =
    100;  // Of lists and dicts in one another.
inline constexpr int64_t kMaxRange = 100'000;  // As Jinja's sandbox has it.
inline constexpr size_t kMaxOutputBytes = size_t{16} << 20;

// One step is one expression evaluated (a filter or an attribute is four), one
// item copied or compared, or 16 bytes of text read or written (4 where each
// character is looked at, 2 where it is made JSON); well below a microsecond. A
// conversation of a thousand messages takes some 100,000. What all values of
// one rendering hold is bounded by it as well, at 16 bytes a step.
inline constexpr int64_t kMaxSteps = 2'000'000;
inline constexpr int64_t kBytesPerStep = 16;

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_LIMITS_H_
