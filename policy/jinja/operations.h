// What Python's operators do with values. Errors are INVALID_ARGUMENT with a
// sentence that has no place in it; the interpreter adds the line.

#ifndef PONDER_POLICY_JINJA_OPERATIONS_H_
#define PONDER_POLICY_JINJA_OPERATIONS_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "policy/jinja/budget.h"
#include "policy/jinja/syntax_tree.h"
#include "policy/jinja/value.h"

namespace ponder::jinja {

// An integer or a bool, as an integer.
std::optional<int64_t> IntegerOf(const Value& value);
// A number or a bool.
std::optional<double> NumberOf(const Value& value);

// str() and repr().
absl::StatusOr<std::string> ToText(const Value& value, Budget& budget);
absl::StatusOr<std::string> Repr(const Value& value, Budget& budget);

// The UTF-8 of a str or Markup; null for anything else.
const std::string* TextOf(const Value& value);

absl::StatusOr<bool> Equals(const Value& a, const Value& b, Budget& budget);
// `a` < `b`, as sorting and comparing ask.
absl::StatusOr<bool> IsLess(const Value& a, const Value& b, Budget& budget);
absl::StatusOr<bool> Contains(const Value& container, const Value& item,
                              Budget& budget);
absl::StatusOr<bool> Compare(Operator comparison, const Value& a,
                             const Value& b, Budget& budget);
absl::StatusOr<Value> Calculate(Operator operation, const Value& a,
                                const Value& b, Budget& budget);
absl::StatusOr<Value> Negate(const Value& value);

// What a for loop goes through. Consumes a generator.
absl::StatusOr<std::vector<Value>> ItemsOf(const Value& value, Budget& budget);
// len().
absl::StatusOr<int64_t> LengthOf(const Value& value, Budget& budget);

// Whether it can be a key of a dict.
bool IsHashable(const Value& value);
// The value for `key` in a dict; null if it has none.
absl::StatusOr<const Value*> Find(const Dict& dict, const Value& key,
                                  Budget& budget);
// Adds an entry, or replaces the value of an equal key. Errors for a key that
// Python can't hash.
absl::Status Insert(std::vector<std::pair<Value, Value>>& entries, Value key,
                    Value value, Budget& budget);

// value.name, value[key] and value[begin:end:step], as Jinja's sandbox answers
// them: what is not there is undefined. Absent parts of a slice are None.
absl::StatusOr<Value> GetAttribute(const Value& value, absl::string_view name,
                                   Budget& budget);
absl::StatusOr<Value> GetItem(const Value& value, const Value& key,
                              Budget& budget);
absl::StatusOr<Value> Slice(const Value& value, const Value& begin,
                            const Value& end, const Value& step,
                            Budget& budget);

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_OPERATIONS_H_
