#include "sandbox/sandbox_tools.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "sandbox/libexec.h"
#include "sandbox/memory_file.h"
#include "sandbox/seccomp_filter.h"

namespace ponder {
namespace {

constexpr char kBwrap[] = "/usr/bin/bwrap";
constexpr char kPython[] = "/usr/bin/python3";

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

absl::StatusOr<UniqueFd> OpenToRead(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return ErrnoStatus("open", path);
  return file;
}

std::string FirstLine(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  return text.ok() ? text->substr(0, text->find('\n')) : std::string();
}

}  // namespace

absl::StatusOr<SandboxTools> FindSandboxTools(Backend backend) {
  SandboxTools tools;
  tools.backend = backend;
  if (backend == Backend::kBubblewrap) {
    PONDER_ASSIGN_OR_RETURN(tools.bubblewrap, RealPath(kBwrap, "bubblewrap"));
  }
  PONDER_ASSIGN_OR_RETURN(tools.python, RealPath(kPython, "python3"));
  PONDER_ASSIGN_OR_RETURN(tools.launcher, FindLibexec("sandbox-launcher"));
  PONDER_ASSIGN_OR_RETURN(const std::string zygote,
                          FindLibexec("sandbox-zygote.so"));
  PONDER_ASSIGN_OR_RETURN(const std::string runner,
                          FindLibexec("sandbox_runner.py"));
  // Opened here, because the programs' user may not be able to reach them.
  PONDER_ASSIGN_OR_RETURN(tools.zygote, OpenToRead(zygote));
  PONDER_ASSIGN_OR_RETURN(tools.runner, OpenToRead(runner));
  PONDER_ASSIGN_OR_RETURN(tools.runner_code, ReadFile(runner));
  PONDER_ASSIGN_OR_RETURN(const std::string filter, BuildSeccompFilter());
  PONDER_ASSIGN_OR_RETURN(tools.seccomp_filter,
                          MakeSealedFile("seccomp-filter", filter));
  return tools;
}

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

}  // namespace ponder
