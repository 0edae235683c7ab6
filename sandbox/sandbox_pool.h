// The sandbox's front door: a bounded number of places to run programs in.

#ifndef PONDER_SANDBOX_SANDBOX_POOL_H_
#define PONDER_SANDBOX_SANDBOX_POOL_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "proto/sandbox.pb.h"
#include "sandbox/cancel_token.h"
#include "sandbox/compiler.h"
#include "sandbox/sandbox.h"
#include "sandbox/sandbox_slot.h"

namespace ponder {

// Thread-safe. Programs run as users 61000 and following if this process is
// root, so that two programs, of this pool or of another one on this machine,
// cannot signal or trace each other and share no limit of a user's.
class SandboxPool final : public Sandbox {
 public:
  struct Options {
    int num_slots = 0;  // Programs that run at a time. 0: one a core.
    // The only one that is tried. Default: the first that works.
    std::optional<Backend> backend;
    // Runs programs without any isolation where there is no other way. Each
    // run warns on standard error.
    bool allow_unsafe = false;
    std::string compiler_cache = DefaultCompilerCache();
  };

  // Runs a trial program. FAILED_PRECONDITION says what this machine lacks:
  // nothing is run without isolation unless that is allowed.
  static absl::StatusOr<std::unique_ptr<SandboxPool>> Create(Options options);
  static absl::StatusOr<std::unique_ptr<SandboxPool>> Create(int num_slots);

  SandboxPool(const SandboxPool&) = delete;
  SandboxPool& operator=(const SandboxPool&) = delete;
  ~SandboxPool() override;  // Waits for the runs that are under way.

  // Blocks until a slot is free and the program has ended. A lost sandbox is
  // tried a second time in a new slot and is then UNAVAILABLE.
  absl::StatusOr<JudgeReport> Judge(const Program& program,
                                    const TestSuite& suite,
                                    const RunLimits& limits,
                                    const JudgeOptions& options,
                                    const CancelToken* cancel) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<RunReport> Run(const Program& program,
                                absl::string_view standard_input,
                                const RunLimits& limits,
                                const CancelToken* cancel) override
      ABSL_LOCKS_EXCLUDED(mu_);
  int num_slots() const override { return num_slots_; }

  Backend backend() const { return tools_.backend; }
  // True if a memory cgroup bounds each program's processes together.
  bool limits_memory_by_cgroup() const { return limits_memory_by_cgroup_; }

 private:
  explicit SandboxPool(int num_slots, std::string compiler_cache)
      : num_slots_(num_slots), compiler_(std::move(compiler_cache)) {}

  static absl::StatusOr<std::unique_ptr<SandboxPool>> CreateWith(
      const Options& options, Backend backend);

  std::unique_ptr<SandboxSlot> MakeSlot() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasFreeSlot() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return !free_.empty();
  }
  absl::Status InSlot(const CancelToken* cancel,
                      const std::function<absl::Status(SandboxSlot&)>& work)
      ABSL_LOCKS_EXCLUDED(mu_);

  const int num_slots_;
  SandboxTools tools_;
  bool limits_memory_by_cgroup_ = false;
  Compiler compiler_;

  absl::Mutex mu_;
  std::vector<std::unique_ptr<SandboxSlot>> free_ ABSL_GUARDED_BY(mu_);
  int num_slots_made_ ABSL_GUARDED_BY(mu_) = 0;
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
