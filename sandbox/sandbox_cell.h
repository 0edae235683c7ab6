// A place for one run at a time: an agent in a file system of its own, with a
// user and cgroups of its own. What costs time is done once, when it starts.
//
//   this process ──posix_spawn──> sandbox-launcher
//                                   └─ agent, process 1 of the cell
//                                        └─ init, process 1 of a run
//                                             └─ the program
//
// The agent of a Python cell is a Python that has loaded its library.

#ifndef PONDER_SANDBOX_SANDBOX_CELL_H_
#define PONDER_SANDBOX_SANDBOX_CELL_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "libexec/launch_protocol.h"
#include "sandbox/cgroup.h"
#include "sandbox/unique_fd.h"

namespace ponder {

// How programs are kept apart from the machine, the best first.
enum class Backend {
  kRoot,           // Own launcher, with root's rights.
  kUserNamespace,  // Own launcher, in a user namespace of its own.
  kBubblewrap,
  kNone,  // Not at all. Only where the user insists.
};

// root, user, bubblewrap, none.
absl::string_view BackendName(Backend backend);

// What all cells of a pool are started with.
struct SandboxTools {
  Backend backend = Backend::kRoot;
  std::string launcher;  // Paths.
  std::string python;
  std::string bubblewrap;   // Empty: not installed.
  std::string runner_code;  // Of Python's runner.
  UniqueFd runner;          // The same as a file.
  UniqueFd zygote;          // sandbox-zygote.so, open for reading.
  UniqueFd seccomp_filter;  // BPF, in a file.
};

// Which file system and which agent a cell has.
struct CellKind {
  std::string name;                // Unique in a pool.
  bool is_python = false;          // The agent is a Python.
  std::vector<std::string> paths;  // Of the host: SOURCE or SOURCE=TARGET.
};

// Not thread-safe. The destructor ends everything in the cell and waits for it.
class SandboxCell {
 public:
  // `name` is for the cgroups; `uid` -1 is this process's own user. Blocks
  // until the agent answers. UNAVAILABLE or INTERNAL with what the agent says.
  static absl::StatusOr<std::unique_ptr<SandboxCell>> Start(
      const SandboxTools& tools, const CellKind& kind, absl::string_view name,
      int64_t uid);

  SandboxCell(const SandboxCell&) = delete;
  SandboxCell& operator=(const SandboxCell&) = delete;
  ~SandboxCell();

  Cgroup& cgroup() { return *cgroup_; }
  // True if the agent is a Python that runs are forks of.
  bool has_zygote() const { return has_zygote_; }
  Backend backend() const { return backend_; }

  // Readable when an event is there, and when the agent is gone.
  int socket() const { return socket_.get(); }

  // `fds` are those of `command.fds`, in ascending order. UNAVAILABLE if the
  // agent is gone.
  absl::Status Send(const AgentCommand& command, absl::Span<const int> fds);

  // The next event that is there; false if there is none. UNAVAILABLE if the
  // agent is gone.
  absl::StatusOr<bool> Receive(AgentEvent* event);

  // The same, but waits. DEADLINE_EXCEEDED.
  absl::Status Await(AgentEvent* event, absl::Time deadline);

  // Numbers the runs of the cell.
  uint32_t NextRun() { return ++num_runs_; }
  uint32_t num_runs() const { return num_runs_; }

 private:
  SandboxCell() = default;

  absl::Status Spawn(const SandboxTools& tools, const CellKind& kind,
                     int64_t uid);

  Backend backend_ = Backend::kRoot;
  bool has_zygote_ = false;
  std::unique_ptr<Cgroup> cgroup_;
  UniqueFd socket_;
  pid_t launcher_ = -1;
  uint32_t num_runs_ = 0;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_SANDBOX_CELL_H_
