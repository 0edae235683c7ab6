// The filter tojson as transformers has it: json.dumps, without escapes for
// HTML.

#ifndef PONDER_POLICY_JINJA_JSON_TEXT_H_
#define PONDER_POLICY_JINJA_JSON_TEXT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "policy/jinja/budget.h"
#include "policy/jinja/value.h"

namespace ponder::jinja {

struct JsonFormat {
  bool ensure_ascii = false;
  bool sort_keys = false;
  // Of one level; absent: all on one line.
  std::optional<std::string> indent;
  // Absent: ", " on one line, "," at the end of one.
  std::optional<std::string> item_separator;
  std::string key_separator = ": ";
};

absl::StatusOr<std::string> ToJson(const Value& value, const JsonFormat& format,
                                   Budget& budget);

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_JSON_TEXT_H_
