// A Jinja template, run as transformers runs chat templates.

#ifndef PONDER_POLICY_JINJA_TEMPLATE_H_
#define PONDER_POLICY_JINJA_TEMPLATE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "nlohmann/json.hpp"
#include "policy/jinja/syntax_tree.h"

namespace ponder::jinja {

// What chat templates use of Jinja, with the bytes that jinja2 would give:
// set, for, if, macro, break, continue, generation; Jinja's expressions;
// namespace, range, dict, raise_exception, strftime_now; the filters of
// filters.cc, the tests of value_tests.cc and the methods of methods.cc.
// Everything else is an error that names the line and what is not supported.
// limits.h bounds time, memory and recursion, so a template need not be
// trusted.
//
// Thread-safe.
class Template {
 public:
  // `where` is the template's name in errors: "WHERE:LINE: what is wrong".
  static absl::StatusOr<std::unique_ptr<Template>> Parse(
      absl::string_view source, absl::string_view where);

  // `variables` is an object; `now` is what strftime_now tells. What the
  // template refuses by raise_exception is INVALID_ARGUMENT with its message.
  absl::StatusOr<std::string> Render(const nlohmann::ordered_json& variables,
                                     absl::CivilSecond now) const;

 private:
  Template(Block block, absl::string_view where)
      : block_(std::move(block)), where_(where) {}

  const Block block_;
  const std::string where_;
};

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_TEMPLATE_H_
