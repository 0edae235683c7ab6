// The system calls that no program in a sandbox may make.

#ifndef PONDER_SANDBOX_SECCOMP_FILTER_H_
#define PONDER_SANDBOX_SECCOMP_FILTER_H_

#include <string>

#include "absl/status/statusor.h"

namespace ponder {

// The filter as the kernel's BPF program, which bubblewrap installs. Denies
// with EPERM what reaches outside of a process's own memory and files: sockets
// (but not pairs of connected ones), tracing, keys, BPF, io_uring, performance
// counters, mounts, namespaces, modules, clocks, terminals' input. Calls of
// other architectures (32-bit, x32) kill the process.
absl::StatusOr<std::string> BuildSeccompFilter();

}  // namespace ponder

#endif  // PONDER_SANDBOX_SECCOMP_FILTER_H_
