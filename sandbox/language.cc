#include "sandbox/language.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ponder {

const std::vector<Language>& Languages() {
  static const auto* const languages = new std::vector<Language>{
      PythonLanguage(), CppLanguage(), CLanguage(), BashLanguage()};
  return *languages;
}

absl::StatusOr<const Language*> FindLanguage(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  for (const Language& language : Languages()) {
    if (language.name == lower ||
        std::count(language.tags.begin(), language.tags.end(), lower) > 0) {
      return &language;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "language: got \"", name, "\", wanted ",
      absl::StrJoin(Languages(), ", ",
                    [](std::string* out, const Language& language) {
                      absl::StrAppend(out, language.name);
                    })));
}

}  // namespace ponder
