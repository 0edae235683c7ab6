// One sandbox with a runner in it, from its start to the end of its last
// process.
//
//   this process ──posix_spawn──> sandbox-launcher (root or this user)
//                                   └─ bwrap (an unprivileged user)
//                                        └─ sandbox-init, process 1
//                                             └─ python3, the runner
//                                                  └─ one fork for each test
//
// Requests go to the runner over a socket, its answers come back over a pipe;
// the program's standard output and error have a pipe each.

#ifndef PONDER_SANDBOX_SESSION_H_
#define PONDER_SANDBOX_SESSION_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libexec/launch_protocol.h"
#include "sandbox/cancel_token.h"
#include "sandbox/cgroup.h"
#include "sandbox/run_limits.h"
#include "sandbox/unique_fd.h"

namespace ponder {

// What all sandboxes of a pool are started with.
struct SandboxTools {
  std::string launcher;  // Paths.
  std::string bwrap;
  std::string python;
  UniqueFd init;               // sandbox-init, open for reading.
  std::string runner_code;     // sandbox_runner.py, compiled and marshalled.
  std::string seccomp_filter;  // BPF.
};

// One place for a sandbox at a time.
struct SandboxCell {
  int64_t uid = -1;  // The programs' user on the host. -1: this process's own.
  std::unique_ptr<Cgroup> cgroup;
};

// A message of the runner.
struct RunnerMessage {
  char kind = 0;
  std::string body;
};

struct CapturedOutput {
  std::string stdout_bytes;
  std::string stderr_bytes;
  bool stdout_truncated = false;
  bool stderr_truncated = false;
};

struct SessionEnd {
  int wait_status = 0;  // Of bubblewrap, that is of the runner.
  absl::Duration cpu;   // Of all processes of the sandbox and its set-up.
  int64_t peak_memory_bytes = 0;  // 0: not known.
  int64_t oom_kills = 0;
  std::string stderr_bytes;  // What was still to be read.
};

// Not thread-safe. The destructor kills what is left.
class SandboxSession {
 public:
  enum class Event {
    kMessage,      // The runner says something.
    kEnded,        // No process of the sandbox is left to say anything.
    kOutputLimit,  // A stream or a message is larger than allowed.
    kWallLimit,
    kCpuLimit,
    kCancelled,
  };

  // Starts a sandbox in `cell`, which it uses until it ends. All arguments
  // outlive it; `cancel` may be null. RESOURCE_EXHAUSTED or INTERNAL if the
  // system refuses.
  static absl::StatusOr<std::unique_ptr<SandboxSession>> Start(
      const SandboxTools& tools, SandboxCell& cell, const RunLimits& limits,
      const CancelToken* cancel);

  SandboxSession(const SandboxSession&) = delete;
  SandboxSession& operator=(const SandboxSession&) = delete;
  ~SandboxSession();

  // Queues a request; Next() writes it.
  void Send(char kind, absl::string_view body);

  // Starts the clocks of one test. It may take `wall`, but not past
  // `last_moment`.
  void StartClock(absl::Duration wall, absl::Time last_moment);

  // Waits for what happens next. With kMessage, all output that was written
  // before the message is captured.
  Event Next(RunnerMessage* message);

  // What was captured since the last call.
  CapturedOutput TakeOutput();

  // The count of out-of-memory kills since the start.
  int64_t OomKills() const;

  // Kills all processes and waits until none is left. DEADLINE_EXCEEDED or
  // INTERNAL if they cannot be got rid of or the launcher was lost; the cell
  // must then not be used again. Call once.
  absl::StatusOr<SessionEnd> End();

 private:
  SandboxSession(SandboxCell& cell, const RunLimits& limits,
                 const CancelToken* cancel);

  absl::Status Spawn(const SandboxTools& tools);
  bool TakeMessage(RunnerMessage* message);
  void ReadStream(int index);
  void DrainStreams();
  bool OverOutputLimit() const;
  bool OverCpuLimit() const;
  void WritePending();

  SandboxCell& cell_;
  const RunLimits limits_;
  const CancelToken* const cancel_;  // May be null.

  pid_t launcher_ = -1;
  UniqueFd control_;  // Requests go in here.
  UniqueFd result_;
  UniqueFd streams_[2];  // Standard output and error.
  UniqueFd report_;
  UniqueFd life_;  // Closing it ends the sandbox.

  std::string pending_;      // Requests not yet written.
  size_t pending_done_ = 0;  // Bytes of it that are.
  std::string received_;     // Bytes of messages not yet complete.
  std::string captured_[2];  // At most limits_.output_bytes + 1.
  bool too_large_ = false;   // A message beyond kMaxMessageBytes.

  absl::Time deadline_;        // Of the running test, on the wall clock.
  absl::Time last_cpu_check_;  // When the group's CPU time was last read.
  int64_t cpu_start_ = 0;      // Microseconds of the group at StartClock().
  int64_t oom_start_ = 0;      // Count of the cell's group at the start.
};

// Largest answer of a runner that is read.
inline constexpr size_t kMaxMessageBytes = size_t{8} << 20;

// bubblewrap's command line. Exposed for tests.
std::vector<std::string> SandboxCommand(const SandboxTools& tools,
                                        const SandboxCell& cell,
                                        const RunLimits& limits);

}  // namespace ponder

#endif  // PONDER_SANDBOX_SESSION_H_
