#include "libexec/run_init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libexec/run_setup.h"

namespace ponder {
namespace {

// Copies a file that the program left, if it is a plain one. The program may
// have put anything in its place. Bytes, or -1.
int64_t Collect(const ReceivedCommand& received) {
  const char* name = CollectName(received.command);
  if (*name == '\0' || received.fds[kRunCollect] < 0) return -1;
  char path[128];
  snprintf(path, sizeof(path), "%s/%s", work_folder, name);
  const int file =
      open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode) ||
      status.st_size > received.command.collect_bytes) {
    return -1;
  }
  off_t offset = 0;
  while (offset < status.st_size) {
    if (sendfile(received.fds[kRunCollect], file, &offset,
                 static_cast<size_t>(status.st_size - offset)) <= 0) {
      return -1;
    }
  }
  return status.st_size;
}

[[noreturn]] void Execute(int socket, ReceivedCommand* received) {
  const AgentCommand command = received->command;
  const char* failure = EnterRun(received);
  if (failure == nullptr) {
    char* arguments[kMaxArguments + 1];
    CommandArguments(command, arguments);
    if ((command.options & kRunExecutesFile) != 0) {
      syscall(SYS_execveat, kRunProgram, "", arguments, kBinaryEnvironment,
              AT_EMPTY_PATH);
    } else {
      execve(arguments[0], arguments, kProgramEnvironment);
    }
    failure = "execute the program";
  }
  SendFailure(socket, AgentEvent::kRunFailed, command.run, failure);
  _exit(126);
}

}  // namespace

const char* EnterRun(ReceivedCommand* received) {
  // Above all targets first, so that no target overwrites a source.
  constexpr int kAbove = 32;
  for (int& fd : received->fds) {
    if (fd >= 0 && (fd = fcntl(fd, F_DUPFD_CLOEXEC, kAbove)) < 0) {
      return "duplicate a file descriptor";
    }
  }
  const uint32_t options = received->command.options;
  const bool has_program = (options & (kRunExecutesFile | kRunGivesFile)) != 0;
  for (int i = 0; i <= (has_program ? kRunProgram : kRunControl); ++i) {
    if (received->fds[i] < 0) continue;
    const bool closes = i == kRunProgram && (options & kRunExecutesFile) != 0;
    if (dup3(received->fds[i], i, closes ? O_CLOEXEC : 0) < 0) {
      return "duplicate a file descriptor";
    }
  }
  if (chdir(work_folder) != 0) return "enter the program's folder";
  return nullptr;
}

pid_t StartProgram(int socket, ReceivedCommand* received) {
  const pid_t child = fork();
  if (child == 0) Execute(socket, received);
  return child;
}

void ServeAsInit(int socket, pid_t main_process, ReceivedCommand* received) {
  for (int i = 0; i < kNumRunFds; ++i) {
    if (i == kRunCollect || received->fds[i] < 0) continue;
    close(received->fds[i]);
  }
  while (true) {
    int status = 0;
    struct rusage usage;
    const pid_t pid = wait4(-1, &status, 0, &usage);
    if (pid == main_process) {
      AgentEvent event = {};
      event.kind = AgentEvent::kMainEnded;
      event.run = received->command.run;
      event.wait_status = status;
      event.cpu_micros =
          (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
          usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
      event.max_rss_kib = usage.ru_maxrss;
      event.collected = Collect(*received);
      SendEvent(socket, event);
      _exit(0);
    }
    if (pid < 0 && errno != EINTR) _exit(125);
  }
}

}  // namespace ponder
