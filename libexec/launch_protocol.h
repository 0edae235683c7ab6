// What the sandbox library, the launcher and the init agree on. Plain structs
// and numbers: the two programs use no library.

#ifndef PONDER_LIBEXEC_LAUNCH_PROTOCOL_H_
#define PONDER_LIBEXEC_LAUNCH_PROTOCOL_H_

namespace ponder {

// File descriptors of the launcher. The sandbox inherits 0 to kInitFd.
inline constexpr int kControlFd = 3;  // Requests to the runner.
inline constexpr int kResultFd = 4;   // Answers of the runner.
inline constexpr int kSeccompFd = 5;  // Filter, as bubblewrap reads it.
inline constexpr int kInitFd = 6;     // sandbox-init, opened for execution.
inline constexpr int kReportFd = 7;   // One LaunchReport at the end.
inline constexpr int kLifeFd = 8;     // End of file: end the sandbox now.
// All above are closed: a library of the caller may have left some open.

// The launcher's command line is
//   sandbox-launcher PARENT_PID UID GID CGROUP_PROCS_FILES -- bwrap ARGS...
// UID and GID -1 mean: stay who you are. CGROUP_PROCS_FILES is a list of
// cgroup.procs files joined with ':' or empty.

// The init's command line is
//   INIT CPU_SECONDS FILE_BYTES PROCESSES DATA_BYTES -- PYTHON ARGS...
// A limit of 0 is not set.

struct LaunchReport {
  int wait_status;        // Of bubblewrap, as waitpid() gives it.
  int launch_error;       // errno if bubblewrap could not be started.
  long long cpu_micros;   // User and system time of all processes.
  long long max_rss_kib;  // Largest of one process.
};

}  // namespace ponder

#endif  // PONDER_LIBEXEC_LAUNCH_PROTOCOL_H_
