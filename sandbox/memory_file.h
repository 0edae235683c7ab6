// Files that are only in memory.

#ifndef PONDER_SANDBOX_MEMORY_FILE_H_
#define PONDER_SANDBOX_MEMORY_FILE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "sandbox/unique_fd.h"

namespace ponder {

// An empty one. RESOURCE_EXHAUSTED if the system is out of descriptors.
absl::StatusOr<UniqueFd> MakeMemoryFile(const char* name);

// One with these bytes, which nobody can change any more, read from its
// beginning.
absl::StatusOr<UniqueFd> MakeSealedFile(const char* name,
                                        absl::string_view content);

// No byte of the file can change any more. Nobody may have mapped it writable.
absl::Status SealFile(const UniqueFd& file);

}  // namespace ponder

#endif  // PONDER_SANDBOX_MEMORY_FILE_H_
