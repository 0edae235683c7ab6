// How much one rendering may still do.

#ifndef PONDER_POLICY_JINJA_BUDGET_H_
#define PONDER_POLICY_JINJA_BUDGET_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "policy/jinja/limits.h"

namespace ponder::jinja {

// Not thread-safe.
class Budget {
 public:
  // Call before the work. INVALID_ARGUMENT once kMaxSteps are spent.
  absl::Status Spend(size_t steps) {
    if (steps <= static_cast<size_t>(left_)) {
      left_ -= static_cast<int64_t>(steps);
      return absl::OkStatus();
    }
    left_ = 0;
    return absl::InvalidArgumentError(
        absl::StrCat("the template takes more than ", kMaxSteps, " steps"));
  }
  // For reading or making that much text.
  absl::Status SpendBytes(size_t num_bytes) {
    return Spend(1 + num_bytes / kBytesPerStep);
  }

 private:
  int64_t left_ = kMaxSteps;
};

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_BUDGET_H_
