// Starts bubblewrap for one sandbox and does not end before every process of
// the sandbox has. It is started by a large process full of threads, where
// nothing but an exec is safe, and does what needs a process of its own: joins
// cgroups, gives up root, waits for orphans. See launch_protocol.h.

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libexec/launch_protocol.h"

namespace {

using ponder::LaunchReport;

// Joins the cgroups in `files`, a list joined with ':'. Needs root.
bool JoinCgroups(char* files) {
  char* save = nullptr;
  for (char* file = strtok_r(files, ":", &save); file != nullptr;
       file = strtok_r(nullptr, ":", &save)) {
    const int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool joined = write(fd, "0", 1) == 1;
    close(fd);
    if (!joined) return false;
  }
  return true;
}

bool BecomeUser(long uid, long gid) {
  if (uid < 0) return true;
  return setgroups(0, nullptr) == 0 &&
         setresgid(static_cast<gid_t>(gid), static_cast<gid_t>(gid),
                   static_cast<gid_t>(gid)) == 0 &&
         setresuid(static_cast<uid_t>(uid), static_cast<uid_t>(uid),
                   static_cast<uid_t>(uid)) == 0;
}

// Kills every child that this process has, adopted ones included.
void KillChildren() {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char text[4096];
  const ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (size <= 0) return;
  text[size] = '\0';
  char* save = nullptr;
  for (char* pid = strtok_r(text, " ", &save); pid != nullptr;
       pid = strtok_r(nullptr, " ", &save)) {
    kill(atoi(pid), SIGKILL);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7 || strcmp(argv[5], "--") != 0) return 126;
  const pid_t parent = atoi(argv[1]);

  // Die with the parent, and look whether it died before this took effect.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != parent) return 126;
  if (syscall(SYS_close_range, ponder::kLifeFd + 1, ~0U, 0) != 0) return 126;
  // The programs' user may not be able to enter the caller's folder.
  if (chdir("/") != 0) return 126;
  // Orphans of the sandbox come to this process instead of to pid 1.
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);

  LaunchReport report;
  memset(&report, 0, sizeof(report));

  int error_pipe[2];  // Carries errno if the exec below fails.
  if (pipe2(error_pipe, O_CLOEXEC) != 0) return 126;
  const pid_t self = getpid();
  const pid_t child = fork();
  if (child < 0) return 126;
  if (child == 0) {
    fcntl(ponder::kReportFd, F_SETFD, FD_CLOEXEC);
    fcntl(ponder::kLifeFd, F_SETFD, FD_CLOEXEC);
    if (JoinCgroups(argv[4]) && BecomeUser(atol(argv[2]), atol(argv[3]))) {
      // After the change of user, which clears it.
      prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
      if (getppid() != self) _exit(126);
      char* const no_environment[] = {nullptr};
      execve(argv[6], argv + 6, no_environment);
    }
    const int error = errno;
    (void)!write(error_pipe[1], &error, sizeof(error));
    _exit(126);
  }
  close(error_pipe[1]);
  // The pipes of the sandbox must reach their end when the sandbox ends.
  for (int fd = 0; fd <= ponder::kInitFd; ++fd) close(fd);
  (void)!read(error_pipe[0], &report.launch_error, sizeof(int));

  const int child_fd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  struct pollfd polled[2] = {{ponder::kLifeFd, POLLIN, 0},
                             {child_fd, POLLIN, 0}};
  while (poll(polled, 2, -1) < 0 && errno == EINTR) {
  }
  // If it was the child that ended, this kills nothing: it is not yet reaped.
  // bubblewrap's death kills process 1 of the sandbox, and that one's death
  // all others; it is adopted here, so that waiting for it is waiting for all.
  kill(child, SIGKILL);
  while (true) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, 0);
    if (pid < 0 && errno == ECHILD) break;
    if (pid == child) {
      report.wait_status = status;
      KillChildren();
    }
  }

  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  report.cpu_micros =
      (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
      usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  report.max_rss_kib = usage.ru_maxrss;
  (void)!write(ponder::kReportFd, &report, sizeof(report));
  return 0;
}
