#include "sandbox/sandbox_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "sandbox/libexec.h"
#include "sandbox/seccomp_filter.h"

namespace ponder {
namespace {

// First of the host's users that programs run as if this process is root.
// Debian gives no user a number in this range.
constexpr int64_t kFirstUid = 61000;
constexpr int kUidRange = 4000;
constexpr char kBwrap[] = "/usr/bin/bwrap";
constexpr char kPython[] = "/usr/bin/python3";

constexpr char kCompile[] =
    "import marshal, sys\n"
    "code = compile(sys.stdin.buffer.read(), 'sandbox_runner.py', 'exec', "
    "optimize=2)\n"
    "sys.stdout.buffer.write(marshal.dumps(code))";

absl::StatusOr<std::string> RealPath(const char* path,
                                     absl::string_view package) {
  char resolved[PATH_MAX];
  if (realpath(path, resolved) == nullptr || access(resolved, X_OK) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the sandbox needs ", path,
                     "; install it with: apt-get "
                     "install ",
                     package));
  }
  return std::string(resolved);
}

// The runner as a code object of this very interpreter, so that no run has to
// compile it again. Our own file: no sandbox is needed.
absl::StatusOr<std::string> CompileRunner(const std::string& python,
                                          const std::string& path) {
  const UniqueFd source(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source.is_open()) return ErrnoStatus("open", path);
  Pipe output;
  PONDER_RETURN_IF_ERROR(output.Open());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, source.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, output.write.get(), 1);
  std::string args[] = {python, "-I", "-S", "-c", kCompile};
  char* argv[] = {args[0].data(), args[1].data(), args[2].data(),
                  args[3].data(), args[4].data(), nullptr};
  char* const environment[] = {nullptr};
  pid_t pid;
  const int error =
      posix_spawn(&pid, python.c_str(), &actions, nullptr, argv, environment);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot start ", python, ": ", std::strerror(error)));
  }
  output.write.reset();
  std::string code;
  char buffer[4096];
  ssize_t size;
  while ((size = read(output.read.get(), buffer, sizeof(buffer))) > 0 ||
         (size < 0 && errno == EINTR)) {
    if (size > 0) code.append(buffer, static_cast<size_t>(size));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0 || code.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(python, " cannot compile ", path));
  }
  return code;
}

absl::StatusOr<SandboxTools> FindTools() {
  SandboxTools tools;
  PONDER_ASSIGN_OR_RETURN(tools.bwrap, RealPath(kBwrap, "bubblewrap"));
  PONDER_ASSIGN_OR_RETURN(tools.python, RealPath(kPython, "python3"));
  PONDER_ASSIGN_OR_RETURN(tools.launcher, FindLibexec("sandbox-launcher"));
  PONDER_ASSIGN_OR_RETURN(const std::string init, FindLibexec("sandbox-init"));
  PONDER_ASSIGN_OR_RETURN(const std::string runner,
                          FindLibexec("sandbox_runner.py"));
  // Opened here, because the programs' user may not be able to reach it.
  tools.init = UniqueFd(open(init.c_str(), O_RDONLY | O_CLOEXEC));
  if (!tools.init.is_open()) return ErrnoStatus("open", init);
  PONDER_ASSIGN_OR_RETURN(tools.seccomp_filter, BuildSeccompFilter());
  PONDER_ASSIGN_OR_RETURN(tools.runner_code,
                          CompileRunner(tools.python, runner));
  return tools;
}

std::string FirstLine(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  return text.ok() ? text->substr(0, text->find('\n')) : std::string();
}

// Why no user namespace can be made, if the kernel says so.
std::string NamespaceHint() {
  if (FirstLine("/proc/sys/user/max_user_namespaces") == "0") {
    return "; user namespaces are off: sysctl user.max_user_namespaces=10000";
  }
  if (FirstLine("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    return "; unprivileged user namespaces are off: sysctl "
           "kernel.unprivileged_userns_clone=1";
  }
  if (FirstLine("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") ==
      "1") {
    return "; AppArmor restricts user namespaces: sysctl "
           "kernel.apparmor_restrict_unprivileged_userns=0";
  }
  return "";
}

bool IsLost(const absl::Status& status) {
  return absl::IsInternal(status) || absl::IsUnavailable(status) ||
         absl::IsResourceExhausted(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SandboxPool>> SandboxPool::Create(
    int num_slots) {
  if (num_slots < 0) {
    return absl::InvalidArgumentError("sandbox slots must not be negative");
  }
  if (num_slots == 0) {
    num_slots = std::max(1U, std::thread::hardware_concurrency());
  }
  auto pool = absl::WrapUnique(new SandboxPool(num_slots));
  PONDER_ASSIGN_OR_RETURN(pool->tools_, FindTools());
  {
    absl::MutexLock lock(&pool->mu_);
    for (int i = 0; i < num_slots; ++i) {
      pool->free_.push_back(pool->MakeSlot());
    }
    const Cgroup* group = pool->free_[0]->program.cgroup.get();
    pool->limits_memory_by_cgroup_ = group->limits_memory();
  }
  const absl::StatusOr<RunReport> trial =
      pool->Run("print(input())", "trial", RunLimits());
  if (!trial.ok() || trial->output.stdout_bytes != "trial\n") {
    return absl::FailedPreconditionError(absl::StrCat(
        "no program can be isolated on this machine: ",
        trial.ok() ? "the trial program failed" : trial.status().message(),
        NamespaceHint()));
  }
  return pool;
}

SandboxPool::~SandboxPool() {
  const auto all_free = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return static_cast<int>(free_.size()) == num_slots_;
  };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&all_free));
}

std::unique_ptr<SandboxPool::Slot> SandboxPool::MakeSlot() {
  auto slot = std::make_unique<Slot>();
  for (SandboxCell* cell : {&slot->program, &slot->checker}) {
    const int number = num_cells_made_++;
    cell->cgroup = Cgroup::Create(absl::StrCat(
        reinterpret_cast<uintptr_t>(this) >> 4 & 0xffff, "-", number));
    if (geteuid() == 0) cell->uid = kFirstUid + number % kUidRange;
  }
  return slot;
}

absl::Status SandboxPool::InSlot(
    const CancelToken* cancel, const std::function<absl::Status(Slot&)>& work) {
  absl::Status status;
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::unique_ptr<Slot> slot;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &SandboxPool::HasFreeSlot));
      slot = std::move(free_.back());
      free_.pop_back();
    }
    status = cancel != nullptr && cancel->cancelled()
                 ? absl::CancelledError("cancelled")
                 : work(*slot);
    const bool lost = IsLost(status);
    {
      absl::MutexLock lock(&mu_);
      // Whatever was in the way of a lost run, it is not in a new slot's.
      if (lost) slot = MakeSlot();
      // First in, first out would be fairer to no one: the newest is warm.
      free_.push_back(std::move(slot));
    }
    if (!lost) return status;
  }
  return absl::UnavailableError(
      absl::StrCat("the sandbox was lost twice: ", status.message()));
}

absl::StatusOr<JudgeReport> SandboxPool::Judge(absl::string_view program,
                                               const TestSuite& suite,
                                               const RunLimits& limits,
                                               const JudgeOptions& options,
                                               const CancelToken* cancel) {
  PONDER_RETURN_IF_ERROR(ValidateRunLimits(limits));
  JudgeReport report;
  PONDER_RETURN_IF_ERROR(InSlot(cancel, [&](Slot& slot) -> absl::Status {
    PONDER_ASSIGN_OR_RETURN(
        report, JudgeInCells(tools_, slot.program, slot.checker, program, suite,
                             limits, options, cancel));
    return absl::OkStatus();
  }));
  return report;
}

absl::StatusOr<RunReport> SandboxPool::Run(absl::string_view program,
                                           absl::string_view standard_input,
                                           const RunLimits& limits,
                                           const CancelToken* cancel) {
  PONDER_RETURN_IF_ERROR(ValidateRunLimits(limits));
  RunReport report;
  PONDER_RETURN_IF_ERROR(InSlot(cancel, [&](Slot& slot) -> absl::Status {
    PONDER_ASSIGN_OR_RETURN(report, RunInCell(tools_, slot.program, program,
                                              standard_input, limits, cancel));
    return absl::OkStatus();
  }));
  return report;
}

SandboxReport SandboxDoctor() {
  SandboxReport report;
  const auto pool = SandboxPool::Create(1);
  report.available = pool.ok();
  if (!pool.ok()) {
    report.lines.push_back(absl::StrCat(
        "The sandbox is not available: ", pool.status().message(), "."));
    return report;
  }
  report.lines.push_back(
      "The sandbox is available: bubblewrap with its own user, process, "
      "network, mount, IPC and host name namespaces, a read-only root, no "
      "capabilities, a seccomp filter.");
  if (geteuid() == 0) {
    report.lines.push_back(
        absl::StrCat("Programs run as users ", kFirstUid,
                     " and following, two to a slot, never as root."));
  } else {
    report.lines.push_back(
        "Programs run as the user of this process, in a user namespace.");
  }
  if ((*pool)->limits_memory_by_cgroup()) {
    report.lines.push_back(
        "Memory, processes and CPU time of a program are limited and counted "
        "by cgroups.");
  } else {
    report.lines.push_back(
        "Cgroups are missing (they need root and a writable /sys/fs/cgroup): "
        "memory is limited for each process, not for all of a program "
        "together, and counts what is reserved, such as a thread's stack.");
  }
  return report;
}

}  // namespace ponder
