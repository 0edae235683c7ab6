#include "libexec/process_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace ponder {
namespace {

// Reads /proc/PID/NAME; false if the process is gone or hidden.
bool ReadProcFile(int proc, pid_t pid, const char* name, char* text,
                  size_t bytes) {
  char path[64];
  snprintf(path, sizeof(path), "%d/%s", pid, name);
  const int file = openat(proc, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t size = read(file, text, bytes - 1);
  close(file);
  if (size <= 0) return false;
  text[size] = '\0';
  return true;
}

// Pages of its own, those shared with its forks included.
int64_t AnonymousBytes(int proc, pid_t pid) {
  char text[128];
  long long size, resident, shared;
  if (!ReadProcFile(proc, pid, "statm", text, sizeof(text)) ||
      sscanf(text, "%lld %lld %lld", &size, &resident, &shared) != 3) {
    return 0;
  }
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

// The same, each page divided by the number of those that share it. Slow.
int64_t ProportionalBytes(int proc, pid_t pid) {
  char text[4096];
  if (!ReadProcFile(proc, pid, "smaps_rollup", text, sizeof(text))) return 0;
  const char* field = strstr(text, "\nPss_Anon:");
  return field == nullptr ? 0 : atoll(field + 10) * 1024;
}

// With the children that it has waited for, unless it is `runner` or a child of
// that one. 0: none is.
int64_t CpuMicros(int proc, pid_t pid, pid_t runner) {
  char text[512];
  if (!ReadProcFile(proc, pid, "stat", text, sizeof(text))) return 0;
  // The name may hold anything, so fields are counted from its end.
  const char* rest = strrchr(text, ')');
  int parent;
  unsigned long long user, system;
  long long user_waited, system_waited;
  if (rest == nullptr ||
      sscanf(rest + 1,
             " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld "
             "%lld",
             &parent, &user, &system, &user_waited, &system_waited) != 5) {
    return 0;
  }
  if (runner > 0 && (pid == runner || parent == runner)) {
    user_waited = system_waited = 0;
  }
  const long ticks = sysconf(_SC_CLK_TCK);
  return (static_cast<int64_t>(user + system) + user_waited + system_waited) *
         1000000 / ticks;
}

// What lies in the run's own file system.
int64_t FileBytes(int proc, pid_t init) {
  char path[64];
  snprintf(path, sizeof(path), "%d/root/work", init);
  const int folder = openat(proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return 0;
  struct statfs files;
  const bool known = fstatfs(folder, &files) == 0;
  close(folder);
  return known ? static_cast<int64_t>(files.f_blocks - files.f_bfree) *
                     files.f_bsize
               : 0;
}

}  // namespace

bool ProcessWatch::OpenProc() {
  if (proc_ >= 0) return true;
  const int context =
      static_cast<int>(syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC));
  if (context < 0) return false;
  if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr,
              0) == 0) {
    proc_ = static_cast<int>(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0));
  }
  close(context);
  return proc_ >= 0;
}

ProcessWatch::Finding ProcessWatch::Look(pid_t init, int64_t memory_bytes,
                                         int64_t cpu_micros, bool is_runner) {
  if (!OpenProc()) return Finding::kNothing;
  const int list = openat(proc_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* folder = list < 0 ? nullptr : fdopendir(list);
  if (folder == nullptr) return Finding::kNothing;
  const int64_t files = FileBytes(proc_, init);
  int64_t memory = files;
  int64_t proportional = files;
  int64_t cpu = 0;
  constexpr int kMaxPids = 4096;
  static pid_t pids[kMaxPids];
  int num_pids = 0;
  const pid_t self = getpid();
  while (const dirent* entry = readdir(folder)) {
    const pid_t pid = atoi(entry->d_name);
    if (pid <= 0 || pid == self || num_pids == kMaxPids) continue;
    pids[num_pids++] = pid;
    memory += AnonymousBytes(proc_, pid);
    if (cpu_micros > 0) cpu += CpuMicros(proc_, pid, is_runner ? init : 0);
  }
  closedir(folder);
  if (cpu_micros > 0 && cpu > cpu_micros) return Finding::kOverCpu;
  // Forks share most of their pages: look closer before ending anything.
  if (memory_bytes > 0 && memory > memory_bytes) {
    for (int i = 0; i < num_pids; ++i) {
      proportional += ProportionalBytes(proc_, pids[i]);
    }
    memory = proportional;
  }
  if (memory > peak_bytes_) peak_bytes_ = memory;
  return memory_bytes > 0 && memory > memory_bytes ? Finding::kOverMemory
                                                   : Finding::kNothing;
}

}  // namespace ponder
