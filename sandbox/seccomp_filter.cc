#include "sandbox/seccomp_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sandbox/unique_fd.h"

namespace ponder {
namespace {

// Names that this libseccomp does not know are passed over; the numbers below
// cover the newer calls.
constexpr const char* kDenied[] = {
    // Network. Without sockets there is nothing to bind or connect either.
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "accept4",
    // Other processes' memory and state.
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "process_mrelease",
    "kcmp",
    "pidfd_getfd",
    // Kernel interfaces with a history of holes.
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "keyctl",
    "add_key",
    "request_key",
    "fanotify_init",
    "fanotify_mark",
    "name_to_handle_at",
    "open_by_handle_at",
    "lookup_dcookie",
    "memfd_secret",
    "modify_ldt",
    "seccomp",
    "vmsplice",
    "quotactl",
    "quotactl_fd",
    "migrate_pages",
    "move_pages",
    "mbind",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "remap_file_pages",
    "nfsservctl",
    "uselib",
    "ustat",
    "sysfs",
    "_sysctl",
    "vserver",
    "getpmsg",
    "putpmsg",
    "afs_syscall",
    "tuxcall",
    "security",
    // Mounts, roots and namespaces.
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
    "unshare",
    "setns",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    // The machine.
    "reboot",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "query_module",
    "get_kernel_syms",
    "swapon",
    "swapoff",
    "sethostname",
    "setdomainname",
    "iopl",
    "ioperm",
    "acct",
    "syslog",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "clock_adjtime64",
    "adjtimex",
    "vhangup",
    // Shared objects that outlive a process: System V and POSIX queues.
    "shmget",
    "shmat",
    "shmctl",
    "shmdt",
    "semget",
    "semop",
    "semctl",
    "semtimedop",
    "msgget",
    "msgsnd",
    "msgrcv",
    "msgctl",
    "mq_open",
    "mq_unlink",
    "mq_timedsend",
    "mq_timedreceive",
    "mq_notify",
    // Locks on files that all sandboxes see, what they hold in memory, what is
    // done with them, and attributes.
    "flock",
    "inotify_init",
    "inotify_init1",
    "inotify_add_watch",
    "fadvise64",
    // The machine's, not the program's.
    "sync",
    "syncfs",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "mknod",
    "mknodat",
    // Asynchronous input and output of old: memory of the kernel.
    "io_setup",
    "io_submit",
    "io_getevents",
    "io_pgetevents",
    "io_cancel",
    "io_destroy",
};

// Calls newer than libseccomp 2.5.4; numbers since 424 are the same on all
// architectures: statmount, listmount, lsm_set_self_attr, setxattrat,
// removexattrat, open_tree_attr, file_setattr.
constexpr int kDeniedNumbers[] = {457, 458, 460, 463, 466, 467, 469};

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;

absl::Status FilterError(int code) {
  return absl::InternalError(absl::StrCat(
      "cannot build the seccomp filter: libseccomp's error ", -code));
}

// clone() with any flag that makes a namespace.
constexpr uint64_t kNamespaceFlags[] = {
    CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
    CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

// ioctl() and fcntl() commands: the kernel reads 32 bits of the argument.
constexpr uint64_t kLow32 = 0xffffffff;
constexpr uint64_t kDeniedIoctls[] = {TIOCSTI, 0x541c /* TIOCLINUX */, TIOCCONS,
                                      TIOCSETD};
// Locks are seen by every sandbox that has the same file of the host.
constexpr uint64_t kDeniedFcntls[] = {F_SETPIPE_SZ, F_SETLEASE, F_NOTIFY,
                                      F_SETLK,      F_SETLKW,   F_OFD_SETLK,
                                      F_OFD_SETLKW};

absl::Status AddRules(scmp_filter_ctx context) {
  const uint32_t deny = SCMP_ACT_ERRNO(EPERM);
  int code =
      seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (code != 0) return FilterError(code);
  for (const char* name : kDenied) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number < 0) continue;  // Unknown, or not of this architecture.
    code = seccomp_rule_add(context, deny, number, 0);
    if (code != 0) return FilterError(code);
  }
  for (const int number : kDeniedNumbers) {
    code = seccomp_rule_add(context, deny, number, 0);
    if (code != 0) return FilterError(code);
  }
  // Arguments behind a pointer cannot be looked at, so glibc falls back.
  code = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  if (code != 0) return FilterError(code);
  for (const uint64_t flag : kNamespaceFlags) {
    code = seccomp_rule_add(context, deny, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
    if (code != 0) return FilterError(code);
  }
  code = seccomp_rule_add(context, deny, SCMP_SYS(socketpair), 1,
                          SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
  if (code != 0) return FilterError(code);
  // Limits of other processes: the runner's are what its forks have.
  code = seccomp_rule_add(context, deny, SCMP_SYS(prlimit64), 1,
                          SCMP_A0(SCMP_CMP_NE, 0, 0));
  if (code != 0) return FilterError(code);
  for (const uint64_t command : kDeniedIoctls) {
    code = seccomp_rule_add(context, deny, SCMP_SYS(ioctl), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, kLow32, command));
    if (code != 0) return FilterError(code);
  }
  for (const uint64_t command : kDeniedFcntls) {
    code = seccomp_rule_add(context, deny, SCMP_SYS(fcntl), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, kLow32, command));
    if (code != 0) return FilterError(code);
  }
  // 0 sets the default and 0xffffffff asks; all else changes how the process
  // is laid out in memory or which kernel it sees.
  code = seccomp_rule_add(context, deny, SCMP_SYS(personality), 2,
                          SCMP_A0(SCMP_CMP_NE, 0, 0),
                          SCMP_A0(SCMP_CMP_NE, kLow32, 0));
  if (code == -EINVAL) {  // Two tests of one argument need a newer libseccomp.
    code = seccomp_rule_add(context, deny, SCMP_SYS(personality), 1,
                            SCMP_A0(SCMP_CMP_NE, kLow32, 0));
  }
  if (code != 0) return FilterError(code);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> BuildSeccompFilter() {
  const Context context(seccomp_init(SCMP_ACT_ALLOW), &seccomp_release);
  if (context == nullptr) return FilterError(-ENOMEM);
  PONDER_RETURN_IF_ERROR(AddRules(context.get()));

  const UniqueFd file(memfd_create("seccomp-filter", MFD_CLOEXEC));
  if (!file.is_open()) return ErrnoStatus("memfd_create", "seccomp-filter");
  const int code = seccomp_export_bpf(context.get(), file.get());
  if (code != 0) return FilterError(code);
  const off_t size = lseek(file.get(), 0, SEEK_END);
  std::string program(static_cast<size_t>(size), '\0');
  if (pread(file.get(), program.data(), program.size(), 0) != size) {
    return ErrnoStatus("read", "seccomp-filter");
  }
  return program;
}

}  // namespace ponder
