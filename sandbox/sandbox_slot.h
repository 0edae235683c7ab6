// One of a pool's places: the cells that one job uses, made when first needed.

#ifndef PONDER_SANDBOX_SANDBOX_SLOT_H_
#define PONDER_SANDBOX_SANDBOX_SLOT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "sandbox/python_worker.h"
#include "sandbox/sandbox_cell.h"
#include "sandbox/user_block.h"

namespace ponder {

// Not thread-safe.
class SandboxSlot {
 public:
  // `tools` outlives it. `users`: of programs, of compilers and of test code;
  // none: this process's own.
  SandboxSlot(const SandboxTools& tools, std::string name,
              std::optional<UserBlock> users)
      : tools_(tools), name_(std::move(name)), users_(std::move(users)) {}

  SandboxSlot(const SandboxSlot&) = delete;
  SandboxSlot& operator=(const SandboxSlot&) = delete;
  ~SandboxSlot();

  enum class User { kProgram, kCompiler, kChecker };

  // The slot's cell of that kind and user. The errors of SandboxCell::Start().
  absl::StatusOr<SandboxCell*> Cell(const CellKind& kind, User user);

  // The worker that runs test code. It stays between jobs: test code is not
  // the policy's, and each test is a process of its own there. Null `cancel`:
  // nobody waits.
  absl::StatusOr<PythonWorker*> Checker(const CellKind& kind,
                                        const CancelToken* cancel);

  // What each test of the checker has to begin with.
  const std::string& checker_token() const { return checker_token_; }

  const SandboxTools& tools() const { return tools_; }

 private:
  const SandboxTools& tools_;
  const std::string name_;
  const std::optional<UserBlock> users_;  // Given up behind the cells.
  std::map<std::string, std::unique_ptr<SandboxCell>> cells_;
  RunLimits checker_limits_;
  std::unique_ptr<PythonWorker> checker_;  // Ends before its cell.
  std::string checker_token_;              // Random; no program knows it.
  int checker_jobs_ = 0;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_SANDBOX_SLOT_H_
