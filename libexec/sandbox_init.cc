// Process 1 of a sandbox: sets the resource limits, starts the interpreter,
// reaps orphans and ends with the interpreter's status. When it ends, the
// kernel kills every process of its pid namespace.
//
// The kernel lets no process of the namespace stop or kill it, and because it
// is not dumpable its /proc entry belongs to nobody inside.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libexec/launch_protocol.h"

namespace {

void Die(const char* what) {
  const char* reason = strerror(errno);
  (void)!write(2, "sandbox-init: ", 14);
  (void)!write(2, what, strlen(what));
  (void)!write(2, ": ", 2);
  (void)!write(2, reason, strlen(reason));
  (void)!write(2, "\n", 1);
  _exit(126);
}

void Limit(int resource, rlim_t soft, rlim_t hard) {
  struct rlimit limit;
  if (getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    Die("getrlimit");
  }
  // A limit that is already lower stays: it cannot be raised again.
  limit.rlim_max = hard < limit.rlim_max ? hard : limit.rlim_max;
  limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
  if (setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    Die("setrlimit");
  }
}

void Limit(int resource, rlim_t value) { Limit(resource, value, value); }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7 || strcmp(argv[5], "--") != 0) {
    errno = EINVAL;
    Die("command line");
  }
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) Die("prctl");
  // The two pipes and the standard streams are the runner's; the rest, among
  // it this program's own file, is nobody's.
  if (syscall(SYS_close_range, ponder::kResultFd + 1, ~0U, 0) != 0) {
    Die("close_range");
  }

  const rlim_t cpu_seconds = strtoull(argv[1], nullptr, 10);
  const rlim_t file_bytes = strtoull(argv[2], nullptr, 10);
  const rlim_t processes = strtoull(argv[3], nullptr, 10);
  const rlim_t data_bytes = strtoull(argv[4], nullptr, 10);
  // The soft limit's signal can be ignored, the hard limit's cannot.
  if (cpu_seconds > 0) Limit(RLIMIT_CPU, cpu_seconds, cpu_seconds + 1);
  if (file_bytes > 0) Limit(RLIMIT_FSIZE, file_bytes);
  if (data_bytes > 0) Limit(RLIMIT_DATA, data_bytes);
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_MEMLOCK, 0);
  Limit(RLIMIT_MSGQUEUE, 0);
  Limit(RLIMIT_NICE, 0);
  Limit(RLIMIT_RTPRIO, 0);
  Limit(RLIMIT_NOFILE, 256);
  // Last, because it is what lets this process fork. Two more: this process
  // and the runner.
  if (processes > 0) Limit(RLIMIT_NPROC, processes + 2);

  static char* const environment[] = {
      const_cast<char*>("PATH=/usr/bin"), const_cast<char*>("HOME=/work"),
      const_cast<char*>("TMPDIR=/tmp"), const_cast<char*>("LANG=C.UTF-8"),
      // The order of sets must not depend on the run.
      const_cast<char*>("PYTHONHASHSEED=0"), nullptr};
  const pid_t main_process = fork();
  if (main_process < 0) Die("fork");
  if (main_process == 0) {
    execve(argv[6], argv + 6, environment);
    Die("cannot run the interpreter");
  }
  syscall(SYS_close_range, 0, ~0U, 0);

  while (true) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, 0);
    if (pid == main_process) {
      _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    if (pid < 0 && errno != EINTR) _exit(125);
  }
}
