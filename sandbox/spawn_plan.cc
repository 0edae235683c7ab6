#include "sandbox/spawn_plan.h"

#include <fcntl.h>
#include <signal.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace ponder {
namespace {

// Above every number that a child is given.
constexpr int kAboveTargets = 16;

}  // namespace

SpawnPlan::SpawnPlan() {
  posix_spawn_file_actions_init(&actions_);
  posix_spawnattr_init(&attributes_);
  // A group of its own: a Ctrl-C on the terminal is not for the sandbox.
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes_, &none);
  posix_spawnattr_setsigdefault(&attributes_, &all);
  posix_spawnattr_setpgroup(&attributes_, 0);
  posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK |
                                             POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETPGROUP);
}

SpawnPlan::~SpawnPlan() {
  posix_spawn_file_actions_destroy(&actions_);
  posix_spawnattr_destroy(&attributes_);
}

absl::Status SpawnPlan::Give(int fd, int target) {
  // A copy above all targets first, so that one target cannot overwrite the
  // source of another.
  UniqueFd high(fcntl(fd, F_DUPFD_CLOEXEC, kAboveTargets));
  if (!high.is_open()) {
    return absl::ResourceExhaustedError(
        ErrnoStatus("duplicate a file descriptor", "sandbox").message());
  }
  posix_spawn_file_actions_adddup2(&actions_, high.get(), target);
  held_.push_back(std::move(high));
  return absl::OkStatus();
}

absl::StatusOr<pid_t> SpawnPlan::Spawn(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& text : arguments) argv.push_back(text.data());
  argv.push_back(nullptr);
  char* const no_environment[] = {nullptr};
  pid_t pid;
  const int code = posix_spawn(&pid, argv[0], &actions_, &attributes_,
                               argv.data(), no_environment);
  if (code != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start ", argv[0], ": ", std::strerror(code)));
  }
  return pid;
}

}  // namespace ponder
