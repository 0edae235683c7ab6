#include "libexec/run_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ponder {
namespace {

bool Limit(int resource, int64_t soft, int64_t hard) {
  struct rlimit limit;
  const auto which = static_cast<__rlimit_resource>(resource);
  if (getrlimit(which, &limit) != 0) return false;
  // A limit that is already lower stays: it cannot be raised again.
  const rlim_t most = static_cast<rlim_t>(hard);
  limit.rlim_max = most < limit.rlim_max ? most : limit.rlim_max;
  const rlim_t wanted = static_cast<rlim_t>(soft);
  limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
  return setrlimit(which, &limit) == 0;
}

bool Limit(int resource, int64_t value) {
  return Limit(resource, value, value);
}

}  // namespace

const char* work_folder = "/work";

bool ReadFilter(int file, AgentRights* rights) {
  const ssize_t size = pread(file, rights->filter, sizeof(rights->filter), 0);
  if (size <= 0 || size == static_cast<ssize_t>(sizeof(rights->filter))) {
    return false;
  }
  rights->filter_bytes = static_cast<unsigned>(size);
  return true;
}

const char* MountRunFiles(const AgentCommand& command, long uid) {
  // One file system for all that the program writes, so that its size is the
  // limit of all files together; /tmp and /dev/shm are links into it.
  char options[160];
  const int size =
      snprintf(options, sizeof(options), "mode=0755,size=%lld,nr_inodes=%lld",
               static_cast<long long>(command.disk_bytes),
               static_cast<long long>(command.inodes));
  if (uid >= 0) {
    snprintf(options + size, sizeof(options) - static_cast<size_t>(size),
             ",uid=%ld,gid=%ld", uid, uid);
  }
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("tmpfs", "/work", "tmpfs", flags, options) != 0) {
    return "mount a file system of its own at /work";
  }
  constexpr const char* kWorkFolders[] = {"/work/.tmp", "/work/.shm"};
  for (const char* folder : kWorkFolders) {
    if (mkdir(folder, 0700) != 0 ||
        (uid >= 0 && chown(folder, static_cast<uid_t>(uid),
                           static_cast<gid_t>(uid)) != 0)) {
      return "make a folder in /work";
    }
  }
  if (mount("proc", "/proc", "proc", flags, "subset=pid,hidepid=invisible") !=
      0) {
    // Where the host hides parts of its own /proc, a user namespace may not
    // mount one. Programs then see an empty folder.
    return errno == EPERM ? nullptr : "mount /proc";
  }
  // If memory runs out, the program is to die, not the agent.
  if (!WriteText("/proc/self/oom_score_adj", "1000")) {
    return "write /proc/self/oom_score_adj";
  }
  if ((command.options & kRunWithProc) == 0 &&
      mount("tmpfs", "/proc", "tmpfs", flags | MS_RDONLY, "nr_inodes=1") != 0) {
    return "hide /proc";
  }
  return nullptr;
}

void StayOnThisProcessor() {
  unsigned here = 0;
  if (syscall(SYS_getcpu, &here, nullptr, nullptr) != 0 ||
      here >= CPU_SETSIZE) {
    return;
  }
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(here, &only);
  sched_setaffinity(0, sizeof(only), &only);
}

const char* SetRunLimits(const AgentCommand& command, int extra) {
  // The soft limit's signal can be ignored, the hard limit's cannot.
  const bool set =
      (command.cpu_seconds == 0 ||
       Limit(RLIMIT_CPU, command.cpu_seconds, command.cpu_seconds + 1)) &&
      (command.file_bytes == 0 || Limit(RLIMIT_FSIZE, command.file_bytes)) &&
      (command.data_bytes == 0 || Limit(RLIMIT_DATA, command.data_bytes)) &&
      // Programs that recurse deeply raise it; memory is limited anyway.
      (command.stack_bytes == 0 ||
       Limit(RLIMIT_STACK, command.stack_bytes, RLIM_INFINITY)) &&
      (command.open_files == 0 || Limit(RLIMIT_NOFILE, command.open_files)) &&
      Limit(RLIMIT_CORE, 0) && Limit(RLIMIT_MEMLOCK, 0) &&
      Limit(RLIMIT_MSGQUEUE, 0) && Limit(RLIMIT_NICE, 0) &&
      Limit(RLIMIT_RTPRIO, 0) && Limit(RLIMIT_SIGPENDING, 256) &&
      (command.processes == 0 ||
       Limit(RLIMIT_NPROC, command.processes + extra));
  return set ? nullptr : "set a resource limit";
}

const char* EmptyBoundingSet() {
  for (int capability = 0; capability <= CAP_LAST_CAP + 8; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) {
      return "drop a capability from the bounding set";
    }
  }
  return nullptr;
}

bool BecomeUser(long number) {
  if (number < 0) return true;
  const auto uid = static_cast<uid_t>(number);
  return setgroups(0, nullptr) == 0 && setresgid(uid, uid, uid) == 0 &&
         setresuid(uid, uid, uid) == 0;
}

const char* GiveUpRights(const AgentRights& rights) {
  if (!BecomeUser(rights.uid)) return "become the program's user";
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return "drop capabilities";
  // Nobody inside may look into or stop what is ours: the init, the runner.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return "hide the init";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "set no_new_privs";
  if (rights.filter_bytes > 0) {
    sock_fprog program;
    program.len =
        static_cast<unsigned short>(rights.filter_bytes / sizeof(sock_filter));
    program.filter = reinterpret_cast<sock_filter*>(
        const_cast<unsigned char*>(rights.filter));
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
      return "install the system-call filter";
    }
  }
  return nullptr;
}

const char* PlaceSource(const ReceivedCommand& received) {
  const char* name = SourceName(received.command);
  if (*name == '\0') return nullptr;
  char path[128];
  snprintf(path, sizeof(path), "%s/%s", work_folder, name);
  const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) return "make the source file";
  struct stat status;
  off_t offset = 0;
  bool whole = fstat(received.fds[kRunProgram], &status) == 0;
  while (whole && offset < status.st_size) {
    whole = sendfile(file, received.fds[kRunProgram], &offset,
                     static_cast<size_t>(status.st_size - offset)) > 0;
  }
  close(file);
  return whole ? nullptr : "write the source file";
}

}  // namespace ponder
