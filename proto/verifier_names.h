// The names of the verifiers that come with Ponder. reward/ has them; what
// checks a configuration or data rows may not include reward/.

#ifndef PONDER_PROTO_VERIFIER_NAMES_H_
#define PONDER_PROTO_VERIFIER_NAMES_H_

#include <algorithm>
#include <iterator>

#include "absl/strings/string_view.h"

namespace ponder {

// In alphabetical order. A test of reward/ compares.
inline constexpr absl::string_view kBuiltInVerifiers[] = {
    "code", "countdown", "format", "language", "length", "math", "repetition"};

// The component that stands for the verifier of the row.
inline constexpr absl::string_view kAccuracyComponent = "accuracy";

inline bool IsBuiltInVerifier(absl::string_view name) {
  return std::find(std::begin(kBuiltInVerifiers), std::end(kBuiltInVerifiers),
                   name) != std::end(kBuiltInVerifiers);
}

}  // namespace ponder

#endif  // PONDER_PROTO_VERIFIER_NAMES_H_
