// Numbers of users for the programs of one slot.

#ifndef PONDER_SANDBOX_USER_BLOCK_H_
#define PONDER_SANDBOX_USER_BLOCK_H_

#include <cstdint>
#include <utility>

#include "sandbox/unique_fd.h"

namespace ponder {

// kUsers numbers in a row, from 61000 on, where Debian gives no user a number.
// As long as it lives no other process of this network namespace takes them, so
// that limits of a user's processes (RLIMIT_NPROC) count those of one slot: a
// lock that the system drops when this process ends, however it does. Only
// where all are taken are some shared. Needs a root process.
class UserBlock {
 public:
  static constexpr int64_t kUsers = 3;

  // Blocks come in their order; a new one is not the one that was given up
  // last. Thread-safe.
  static UserBlock Take();

  int64_t first() const { return first_; }

 private:
  UserBlock(int64_t first, UniqueFd lock)
      : first_(first), lock_(std::move(lock)) {}

  int64_t first_;
  UniqueFd lock_;  // Not open: the numbers are shared.
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_USER_BLOCK_H_
