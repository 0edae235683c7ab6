// Where the small programs of libexec/ are.

#ifndef PONDER_SANDBOX_LIBEXEC_H_
#define PONDER_SANDBOX_LIBEXEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder {

// The path of a file of libexec/, looked for from the running program's own
// folder: that folder itself in an install tree; libexec in the folder itself
// or up to two above it in a build tree. NOT_FOUND names where it was sought.
absl::StatusOr<std::string> FindLibexec(absl::string_view name);

}  // namespace ponder

#endif  // PONDER_SANDBOX_LIBEXEC_H_
