// Filters: what stands behind `|`.

#ifndef PONDER_POLICY_JINJA_FILTERS_H_
#define PONDER_POLICY_JINJA_FILTERS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "policy/jinja/arguments.h"
#include "policy/jinja/budget.h"
#include "policy/jinja/value.h"

namespace ponder::jinja {

bool IsFilter(absl::string_view name);

// INVALID_ARGUMENT also for a name that IsFilter() does not know.
absl::StatusOr<Value> ApplyFilter(absl::string_view name, const Value& value,
                                  const Arguments& arguments, Budget& budget);

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_FILTERS_H_
