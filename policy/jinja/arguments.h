// What a call hands over.

#ifndef PONDER_POLICY_JINJA_ARGUMENTS_H_
#define PONDER_POLICY_JINJA_ARGUMENTS_H_

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "policy/jinja/value.h"

namespace ponder::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // The arguments in the order of `names`, null where one is not given.
  // INVALID_ARGUMENT for one too many, an unknown or doubled name, or a missing
  // one of the first `num_required`.
  absl::StatusOr<std::vector<const Value*>> Bind(
      std::initializer_list<absl::string_view> names,
      size_t num_required = 0) const {
    std::vector<const Value*> bound(names.size(), nullptr);
    if (positional.size() > names.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("takes at most ", names.size(), " arguments, got ",
                       positional.size()));
    }
    for (size_t i = 0; i < positional.size(); ++i) bound[i] = &positional[i];
    for (const auto& [name, value] : named) {
      size_t i = 0;
      while (i < names.size() && *(names.begin() + i) != name) ++i;
      if (i == names.size() || bound[i] != nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("the argument '", name, "' is ",
                         i == names.size() ? "not supported" : "given twice"));
      }
      bound[i] = &value;
    }
    for (size_t i = 0; i < num_required; ++i) {
      if (bound[i] == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(
            "the argument '", *(names.begin() + i), "' is missing"));
      }
    }
    return bound;
  }
};

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_ARGUMENTS_H_
