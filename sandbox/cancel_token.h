// Tells a run that nobody waits for its result any more.

#ifndef PONDER_SANDBOX_CANCEL_TOKEN_H_
#define PONDER_SANDBOX_CANCEL_TOKEN_H_

#include <sys/eventfd.h>

#include <atomic>
#include <cstdint>

#include "sandbox/unique_fd.h"

namespace ponder {

// Thread-safe. Outlives the runs that it was given to.
class CancelToken {
 public:
  CancelToken() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  CancelToken(const CancelToken&) = delete;
  CancelToken& operator=(const CancelToken&) = delete;

  void Cancel() {
    cancelled_ = true;
    const uint64_t one = 1;
    if (event_.is_open()) (void)!write(event_.get(), &one, sizeof(one));
  }
  bool cancelled() const { return cancelled_; }

  // Readable once cancelled; -1 if the system is out of descriptors.
  int fd() const { return event_.get(); }

 private:
  const UniqueFd event_;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_CANCEL_TOKEN_H_
