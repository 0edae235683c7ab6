// Tests: what stands behind `is`.

#ifndef PONDER_POLICY_JINJA_VALUE_TESTS_H_
#define PONDER_POLICY_JINJA_VALUE_TESTS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "policy/jinja/arguments.h"
#include "policy/jinja/budget.h"
#include "policy/jinja/value.h"

namespace ponder::jinja {

bool IsTest(absl::string_view name);

// INVALID_ARGUMENT also for a name that IsTest() does not know.
absl::StatusOr<bool> ApplyTest(absl::string_view name, const Value& value,
                               const Arguments& arguments, Budget& budget);

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_VALUE_TESTS_H_
