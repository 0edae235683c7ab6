#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "sandbox/language.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

std::string BackendLine(Backend backend) {
  constexpr char kOwn[] =
      " with mount, process, IPC, host name, network and cgroup namespaces, a "
      "read-only root of its own, a limited file system for what programs "
      "write, no capabilities, no_new_privs, resource limits and a system-call "
      "filter";
  switch (backend) {
    case Backend::kRoot:
      return absl::StrCat(
          "The sandbox is available: Ponder's launcher as root,", kOwn, ".");
    case Backend::kUserNamespace:
      return absl::StrCat(
          "The sandbox is available: Ponder's launcher in a user namespace,",
          kOwn, ".");
    case Backend::kBubblewrap:
      return "The sandbox is available: bubblewrap, with the same namespaces, "
             "a read-only root, no capabilities and the system-call filter. "
             "Each run costs about 15 ms more, and neither the number of files "
             "nor what /proc shows is limited; Ponder's own launcher needs "
             "root, or user namespaces.";
    case Backend::kNone:
      break;
  }
  return "Programs run without any isolation.";
}

}  // namespace

SandboxReport SandboxDoctor() {
  SandboxReport report;
  const auto pool = SandboxPool::Create(1);
  report.available = pool.ok();
  if (!pool.ok()) {
    report.lines.push_back(absl::StrCat(
        "The sandbox is not available: ", pool.status().message(), "."));
    return report;
  }
  report.lines.push_back(BackendLine((*pool)->backend()));
  if (geteuid() == 0) {
    report.lines.push_back(
        "Programs run as users 61000 and following, three to a slot, never as "
        "root.");
  } else {
    report.lines.push_back(
        "Programs run as the user of this process, in a user namespace.");
  }
  if ((*pool)->limits_memory_by_cgroup()) {
    report.lines.push_back(
        "Memory, processes and CPU time of a program are limited and counted "
        "by cgroups.");
  } else {
    report.lines.push_back(absl::StrCat(
        "Cgroups are missing (they need root and a writable /sys/fs/cgroup): ",
        (*pool)->backend() == Backend::kBubblewrap
            ? "memory and CPU time are limited for each process, not for all "
              "of a program together."
            : "memory and CPU time of all processes of a program are looked "
              "at every 5 ms, so a program may use more for that long; files "
              "in memory that no process has mapped are not possible."));
  }
  for (const Language& language : Languages()) {
    if (access(language.tool.c_str(), X_OK) != 0) {
      report.lines.push_back(absl::StrCat(
          "Programs in ", language.name, " cannot be run: ", language.tool,
          " is missing; install it with: apt-get install ", language.package,
          "."));
    }
  }
  return report;
}

}  // namespace ponder
