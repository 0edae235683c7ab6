#include "sandbox/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/status_macros.h"

namespace ponder {

absl::StatusOr<UniqueFd> MakeMemoryFile(const char* name) {
  UniqueFd file(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.is_open()) {
    return absl::ResourceExhaustedError(
        ErrnoStatus("memfd_create", name).message());
  }
  return file;
}

absl::StatusOr<UniqueFd> MakeSealedFile(const char* name,
                                        absl::string_view content) {
  PONDER_ASSIGN_OR_RETURN(UniqueFd file, MakeMemoryFile(name));
  PONDER_RETURN_IF_ERROR(WriteAll(file.get(), content, name));
  PONDER_RETURN_IF_ERROR(SealFile(file));
  return file;
}

absl::Status SealFile(const UniqueFd& file) {
  if (fcntl(file.get(), F_ADD_SEALS,
            F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0 ||
      lseek(file.get(), 0, SEEK_SET) != 0) {
    return ErrnoStatus("seal", "a file in memory");
  }
  return absl::OkStatus();
}

}  // namespace ponder
