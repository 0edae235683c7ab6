#include "sandbox/user_block.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace ponder {
namespace {

constexpr int64_t kFirstUser = 61000;
constexpr int64_t kBlocks = 4000 / UserBlock::kUsers;

// A socket with a name of the kernel's own, which one process at a time may
// have; not open if another has it.
UniqueFd Lock(int64_t first) {
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const std::string name = absl::StrCat("ponder-sandbox-user-", first);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  // The first byte stays 0: no file.
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (fd.is_open() &&
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    return UniqueFd();
  }
  return fd;
}

}  // namespace

UserBlock UserBlock::Take() {
  static std::atomic<int64_t> next = 0;
  const int64_t start = next++;
  for (int64_t i = 0; i < kBlocks; ++i) {
    const int64_t first = kFirstUser + (start + i) % kBlocks * kUsers;
    UniqueFd lock = Lock(first);
    if (lock.is_open()) return UserBlock(first, std::move(lock));
  }
  return UserBlock(kFirstUser + start % kBlocks * kUsers, UniqueFd());
}

}  // namespace ponder
