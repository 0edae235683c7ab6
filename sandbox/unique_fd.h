// An open file descriptor that is closed once.

#ifndef PONDER_SANDBOX_UNIQUE_FD_H_
#define PONDER_SANDBOX_UNIQUE_FD_H_

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "absl/status/status.h"
#include "base/file.h"

namespace ponder {

// Not thread-safe.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

// A pipe whose ends are not inherited by programs that are started.
struct Pipe {
  UniqueFd read;
  UniqueFd write;

  // RESOURCE_EXHAUSTED if there are no file descriptors left.
  absl::Status Open() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
      return absl::ResourceExhaustedError(
          ErrnoStatus("open a pipe", "sandbox").message());
    }
    read = UniqueFd(fds[0]);
    write = UniqueFd(fds[1]);
    return absl::OkStatus();
  }
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_UNIQUE_FD_H_
