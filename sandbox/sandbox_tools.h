// Finds what a backend of the sandbox needs on this machine.

#ifndef PONDER_SANDBOX_SANDBOX_TOOLS_H_
#define PONDER_SANDBOX_SANDBOX_TOOLS_H_

#include <string>

#include "absl/status/statusor.h"
#include "sandbox/sandbox_cell.h"

namespace ponder {

// FAILED_PRECONDITION or NOT_FOUND names what is not installed.
absl::StatusOr<SandboxTools> FindSandboxTools(Backend backend);

// "; " and why no user namespace can be made and what changes that, if the
// kernel says so; else "".
std::string NamespaceHint();

}  // namespace ponder

#endif  // PONDER_SANDBOX_SANDBOX_TOOLS_H_
