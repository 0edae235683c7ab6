#include "sandbox/libexec.h"

#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace ponder {

absl::StatusOr<std::string> FindLibexec(absl::string_view name) {
  PONDER_ASSIGN_OR_RETURN(const std::string program, ProgramPath());
  const std::string folder = program.substr(0, program.rfind('/'));
  std::string sought;
  for (const absl::string_view place : {"/", "/../libexec/ponder/", "/libexec/",
                                        "/../libexec/", "/../../libexec/"}) {
    const std::string path = absl::StrCat(folder, place, name);
    if (access(path.c_str(), R_OK) == 0) return path;
    absl::StrAppend(&sought, sought.empty() ? "" : ", ", path);
  }
  return absl::NotFoundError(absl::StrCat(
      "the helper program ", name, " is in none of: ", sought,
      "; build it with the target of the same name or install Ponder again"));
}

}  // namespace ponder
