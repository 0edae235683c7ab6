// What bounds the work on one answer, whatever is in it.
//
// An answer beyond one of these is wrong; a gold answer beyond them is bad, so
// that its samples are unscorable.

#ifndef PONDER_REWARD_MATH_LIMITS_H_
#define PONDER_REWARD_MATH_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace ponder::math {

inline constexpr size_t kMaxResponseBytes = size_t{1} << 20;  // The last ones.
inline constexpr size_t kMaxAnswerBytes = 4096;
inline constexpr size_t kMaxTokens = 2048;
inline constexpr int kMaxDepth = 80;  // Of brackets, fractions, roots.
inline constexpr size_t kMaxNodes = 8192;
inline constexpr size_t kMaxItems = 256;        // Of a list, set or matrix.
inline constexpr size_t kMaxDigits = 4000;      // Of a number that is written.
inline constexpr int64_t kMaxExactBits = 8192;  // Of a number that is computed.
inline constexpr int64_t kMaxFactorial = 1 << 16;
inline constexpr int64_t kMaxSumTerms = 2000;  // Of a sum or product.

// Evaluation: one step is one operation on numbers of 64 bits, about 10 ns.
inline constexpr int64_t kMaxSteps = 150'000;

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_LIMITS_H_
