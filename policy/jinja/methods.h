// Methods of str, list, tuple and dict.

#ifndef PONDER_POLICY_JINJA_METHODS_H_
#define PONDER_POLICY_JINJA_METHODS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "policy/jinja/arguments.h"
#include "policy/jinja/budget.h"
#include "policy/jinja/value.h"

namespace ponder::jinja {

// Whether values of this type have the method `name`. INVALID_ARGUMENT for an
// attribute that they have in Python and not here, so that it does not pass for
// undefined.
absl::StatusOr<bool> HasMethod(const Value& value, absl::string_view name);

// REQUIRES: HasMethod().
absl::StatusOr<Value> CallMethod(const Method& method,
                                 const Arguments& arguments, Budget& budget);

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_METHODS_H_
