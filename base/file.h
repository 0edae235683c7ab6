// Files: read whole, written atomically, and the folders around them. Errors
// are sentences with the path and the system's reason.

#ifndef PONDER_BASE_FILE_H_
#define PONDER_BASE_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder {

// Status of the failed system call `what` on `path`, from errno.
absl::Status ErrnoStatus(absl::string_view what, const std::string& path);

// The whole file. NOT_FOUND, PERMISSION_DENIED or INTERNAL.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Writes a file that is either whole or not there: to a temporary name beside
// it, synced, then renamed. Replaces an existing file.
absl::Status WriteFileAtomically(const std::string& path,
                                 absl::string_view content);

// Makes the folder and its parents; fine if it is there.
absl::Status MakeFolders(const std::string& path);

// Writes all bytes to the open file; `path` is for the error.
absl::Status WriteAll(int fd, absl::string_view content,
                      const std::string& path);

// Syncs a file or folder to the disk.
absl::Status SyncPath(const std::string& path);

// A folder that is being written under a temporary name beside `path`. Either
// Commit() puts it in place, or the destructor removes it. Not thread-safe.
class FolderWriter {
 public:
  // ALREADY_EXISTS if `path` is there.
  static absl::StatusOr<FolderWriter> Create(const std::string& path);
  // The same, but Commit() replaces a folder that is there, which stays as it
  // is until then.
  static absl::StatusOr<FolderWriter> Replace(const std::string& path);

  FolderWriter(FolderWriter&& other) noexcept;
  FolderWriter& operator=(FolderWriter&&) = delete;
  ~FolderWriter();

  // The temporary folder to write into.
  const std::string& folder() const { return temporary_; }

  // Syncs every file and renames the folder to its place.
  absl::Status Commit();

 private:
  FolderWriter(std::string path, std::string temporary)
      : path_(std::move(path)), temporary_(std::move(temporary)) {}

  std::string path_;
  std::string temporary_;  // Empty once committed or moved from.
};

// Holds a folder against other processes; the system lets go of it when this
// process ends, however it does.
class FolderLock {
 public:
  // UNAVAILABLE if another holds it. A file system without locks locks nothing.
  static absl::StatusOr<std::unique_ptr<FolderLock>> Take(
      const std::string& path);
  ~FolderLock();

  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int fd) : fd_(fd) {}

  const int fd_;  // Owned.
};

// Free bytes of the file system that holds `path` (or its nearest parent that
// exists).
absl::StatusOr<int64_t> FreeDiskBytes(const std::string& path);

// The running program's own file, with links resolved.
absl::StatusOr<std::string> ProgramPath();

}  // namespace ponder

#endif  // PONDER_BASE_FILE_H_
