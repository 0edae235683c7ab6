// What bounds the work on one answer, whatever is in it.
//
// An answer that is too large to read, or that takes more steps, is wrong; such
// a gold answer is bad, so that its samples are unscorable. What is too large
// for one way to compute is computed in the next one (scalar.h).

#ifndef PONDER_REWARD_MATH_LIMITS_H_
#define PONDER_REWARD_MATH_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace ponder::math {

// Reading.
inline constexpr size_t kMaxResponseBytes = size_t{1} << 20;  // The last ones.
inline constexpr size_t kMaxAnswerBytes = 4096;
inline constexpr size_t kMaxTokens = 2048;
inline constexpr int kMaxDepth = 80;       // Of brackets, fractions, roots.
inline constexpr size_t kMaxNodes = 8192;  // Of both answers' trees.
inline constexpr size_t kMaxItems = 256;   // Of a list, set or matrix.
inline constexpr size_t kMaxDigits = 4000;

// Computing.
inline constexpr int64_t kMaxExactBits = 8192;     // Of a rational number.
inline constexpr int64_t kMaxFactorial = 1 << 16;  // Modulo a prime.
inline constexpr int64_t kMaxSumTerms = 2000;      // Of a sum or product.

// One step is one operation on numbers of 64 bits, about 10 ns.
inline constexpr int64_t kMaxSteps = 150'000;

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_LIMITS_H_
