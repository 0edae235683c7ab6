// The sandbox's front door: a bounded number of places to run programs in.

#ifndef PONDER_SANDBOX_SANDBOX_POOL_H_
#define PONDER_SANDBOX_SANDBOX_POOL_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "proto/reward.pb.h"
#include "sandbox/cancel_token.h"
#include "sandbox/judge.h"
#include "sandbox/run_limits.h"
#include "sandbox/session.h"

namespace ponder {

// Thread-safe. Programs run as users 61000 and following if this process is
// root, so two programs of a pool cannot signal or trace each other.
class SandboxPool {
 public:
  // As many programs at a time as there are slots; 0: one a core. Runs a trial
  // program. FAILED_PRECONDITION says in one sentence what this machine lacks:
  // nothing is ever run without isolation.
  static absl::StatusOr<std::unique_ptr<SandboxPool>> Create(int num_slots);

  SandboxPool(const SandboxPool&) = delete;
  SandboxPool& operator=(const SandboxPool&) = delete;
  ~SandboxPool();  // Waits for the runs that are under way.

  // Judges a Python program by tests; see judge.h. Blocks until a slot is free
  // and the program has ended, or `cancel` (may be null) says stop. A lost
  // sandbox is tried a second time in another slot and is then UNAVAILABLE.
  absl::StatusOr<JudgeReport> Judge(absl::string_view program,
                                    const TestSuite& suite,
                                    const RunLimits& limits,
                                    const JudgeOptions& options = {},
                                    const CancelToken* cancel = nullptr)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Runs a Python program once. The same.
  absl::StatusOr<RunReport> Run(absl::string_view program,
                                absl::string_view standard_input,
                                const RunLimits& limits,
                                const CancelToken* cancel = nullptr)
      ABSL_LOCKS_EXCLUDED(mu_);

  int num_slots() const { return num_slots_; }

  // True if a memory cgroup bounds each program's processes together.
  bool limits_memory_by_cgroup() const { return limits_memory_by_cgroup_; }

 private:
  // Two cells: a test's code never shares one with the program.
  struct Slot {
    SandboxCell program;
    SandboxCell checker;
  };

  explicit SandboxPool(int num_slots) : num_slots_(num_slots) {}

  std::unique_ptr<Slot> MakeSlot() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasFreeSlot() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return !free_.empty();
  }
  absl::Status InSlot(const CancelToken* cancel,
                      const std::function<absl::Status(Slot&)>& work)
      ABSL_LOCKS_EXCLUDED(mu_);

  const int num_slots_;
  SandboxTools tools_;
  bool limits_memory_by_cgroup_ = false;

  absl::Mutex mu_;
  std::vector<std::unique_ptr<Slot>> free_ ABSL_GUARDED_BY(mu_);
  int num_cells_made_ ABSL_GUARDED_BY(mu_) = 0;
};

// What the sandbox can promise on this machine.
struct SandboxReport {
  bool available = false;
  // One sentence each: what is active, then what is missing and how to get it.
  std::vector<std::string> lines;
};

SandboxReport SandboxDoctor();

}  // namespace ponder

#endif  // PONDER_SANDBOX_SANDBOX_POOL_H_
