#include "base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;

class FdCloser {
 public:
  explicit FdCloser(int fd) : fd_(fd) {}
  ~FdCloser() {
    if (fd_ >= 0) close(fd_);
  }
  FdCloser(const FdCloser&) = delete;
  FdCloser& operator=(const FdCloser&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

std::string ParentFolder(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

absl::Status ErrnoStatus(absl::string_view what, const std::string& path) {
  const int error = errno;
  const std::string message =
      absl::StrCat(path, ": ", what, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(
          absl::StrCat(message, "; free some space and resume"));
    default:
      return absl::InternalError(message);
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const FdCloser fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoStatus("cannot open", path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus("cannot stat", path);
  std::string content;
  content.reserve(static_cast<size_t>(info.st_size));
  char buffer[65536];
  while (true) {
    const ssize_t got = read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus("cannot read", path);
    if (got == 0) return content;
    content.append(buffer, static_cast<size_t>(got));
  }
}

absl::Status WriteAll(int fd, absl::string_view content,
                      const std::string& path) {
  while (!content.empty()) {
    const ssize_t put = write(fd, content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus("cannot write", path);
    content.remove_prefix(static_cast<size_t>(put));
  }
  return absl::OkStatus();
}

absl::Status SyncPath(const std::string& path) {
  const FdCloser fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoStatus("cannot open", path);
  if (fsync(fd.get()) != 0) return ErrnoStatus("cannot sync", path);
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path,
                                 absl::string_view content) {
  const std::string temporary = absl::StrCat(path, ".tmp-", getpid());
  const auto write_it = [&]() -> absl::Status {
    const FdCloser fd(open(temporary.c_str(),
                           O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (fd.get() < 0) return ErrnoStatus("cannot create", temporary);
    PONDER_RETURN_IF_ERROR(WriteAll(fd.get(), content, temporary));
    if (fsync(fd.get()) != 0) return ErrnoStatus("cannot sync", temporary);
    return absl::OkStatus();
  };
  absl::Status status = write_it();
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus("cannot rename into place", path);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncPath(ParentFolder(path));
}

absl::Status MakeFolders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return absl::OkStatus();
  errno = error.value();
  return ErrnoStatus("cannot make folder", path);
}

namespace {

constexpr char kTemporaryMark[] = ".tmp-";  // And the process that writes it.

// What processes that were killed have left beside `path`.
void RemoveLeftovers(const std::string& path) {
  std::error_code error;
  const std::string prefix =
      absl::StrCat(fs::path(path).filename().string(), kTemporaryMark);
  for (const auto& entry : fs::directory_iterator(ParentFolder(path), error)) {
    const std::string name = entry.path().filename().string();
    int pid = 0;
    if (absl::StartsWith(name, prefix) &&
        absl::SimpleAtoi(name.substr(prefix.size()), &pid) && pid > 0 &&
        kill(pid, 0) != 0 && errno == ESRCH) {
      std::error_code ignored;
      fs::remove_all(entry.path(), ignored);
    }
  }
}

}  // namespace

absl::StatusOr<FolderWriter> FolderWriter::Create(const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, ": exists; give another place or remove it"));
  }
  return Replace(path);
}

absl::StatusOr<FolderWriter> FolderWriter::Replace(const std::string& path) {
  std::error_code error;
  PONDER_RETURN_IF_ERROR(MakeFolders(ParentFolder(path)));
  RemoveLeftovers(path);
  const std::string temporary = absl::StrCat(path, kTemporaryMark, getpid());
  fs::remove_all(temporary, error);
  if (mkdir(temporary.c_str(), 0777) != 0) {
    return ErrnoStatus("cannot make folder", temporary);
  }
  return FolderWriter(path, temporary);
}

FolderWriter::FolderWriter(FolderWriter&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")) {}

FolderWriter::~FolderWriter() {
  if (temporary_.empty()) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

absl::Status FolderWriter::Commit() {
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(temporary_)) {
    PONDER_RETURN_IF_ERROR(SyncPath(entry.path().string()));
  }
  PONDER_RETURN_IF_ERROR(SyncPath(temporary_));
  if (!fs::exists(path_, error)) {
    if (rename(temporary_.c_str(), path_.c_str()) != 0) {
      return ErrnoStatus("cannot rename into place", path_);
    }
    temporary_.clear();
    return SyncPath(ParentFolder(path_));
  }
  // One of the two has the name at every moment.
  if (renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(),
                RENAME_EXCHANGE) != 0) {
    return ErrnoStatus("cannot exchange for the new one", path_);
  }
  PONDER_RETURN_IF_ERROR(SyncPath(ParentFolder(path_)));
  fs::remove_all(temporary_, error);
  temporary_.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FolderLock>> FolderLock::Take(
    const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus("cannot open folder", path);
  auto lock = std::unique_ptr<FolderLock>(new FolderLock(fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return absl::UnavailableError(
        absl::StrCat(path, ": is in use by another process"));
  }
  return lock;
}

FolderLock::~FolderLock() { close(fd_); }

absl::StatusOr<int64_t> FreeDiskBytes(const std::string& path) {
  fs::path existing = fs::absolute(path);
  std::error_code error;
  while (!fs::exists(existing, error) && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  const fs::space_info space = fs::space(existing, error);
  if (error) {
    errno = error.value();
    return ErrnoStatus("cannot ask for free space", existing.string());
  }
  return static_cast<int64_t>(space.available);
}

absl::StatusOr<std::string> ProgramPath() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (!error) return path.string();
  errno = error.value();
  return ErrnoStatus("cannot read", "/proc/self/exe");
}

}  // namespace ponder
