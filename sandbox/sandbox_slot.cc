#include "sandbox/sandbox_slot.h"

#include <sys/random.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

// A fresh one now and then, so that nothing that test code leaves adds up.
constexpr int kCheckerJobs = 500;
constexpr size_t kTokenBytes = 16;

}  // namespace

SandboxSlot::~SandboxSlot() = default;

absl::StatusOr<SandboxCell*> SandboxSlot::Cell(const CellKind& kind,
                                               User user) {
  const std::string name =
      absl::StrCat(kind.name, user == User::kChecker ? "-checker" : "");
  std::unique_ptr<SandboxCell>& cell = cells_[name];
  if (cell == nullptr) {
    const int64_t uid =
        users_ ? users_->first() + static_cast<int64_t>(user) : -1;
    PONDER_ASSIGN_OR_RETURN(
        cell,
        SandboxCell::Start(tools_, kind, absl::StrCat(name_, "-", name), uid));
  }
  return cell.get();
}

absl::StatusOr<PythonWorker*> SandboxSlot::Checker(const CellKind& kind,
                                                   const CancelToken* cancel) {
  if (checker_ != nullptr &&
      (!checker_->is_running() || checker_jobs_ >= kCheckerJobs)) {
    checker_ = nullptr;
  }
  if (checker_ == nullptr) {
    PONDER_ASSIGN_OR_RETURN(SandboxCell * cell, Cell(kind, User::kChecker));
    checker_token_.resize(kTokenBytes);
    if (getrandom(checker_token_.data(), kTokenBytes, 0) !=
        static_cast<ssize_t>(kTokenBytes)) {
      return ErrnoStatus("getrandom", "a checker's token");
    }
    auto checker = std::make_unique<PythonWorker>(
        WorkerContext{tools_, *cell, checker_limits_, cancel});
    TestResult failure;
    PONDER_RETURN_IF_ERROR(checker->Load("test", checker_token_,
                                         absl::InfiniteFuture(), &failure));
    if (!checker->is_running()) {
      return absl::UnavailableError("the sandbox of the tests did not start");
    }
    checker_ = std::move(checker);
    checker_jobs_ = 0;
  }
  ++checker_jobs_;
  checker_->set_cancel(cancel);
  return checker_.get();
}

}  // namespace ponder
