#include "sandbox/sandbox_pool.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <thread>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sandbox/judge.h"
#include "sandbox/language.h"
#include "sandbox/sandbox_tools.h"

namespace ponder {
namespace {

bool IsLost(const absl::Status& status) {
  return absl::IsInternal(status) || absl::IsUnavailable(status) ||
         absl::IsResourceExhausted(status) || absl::IsDeadlineExceeded(status);
}

std::vector<Backend> BackendsToTry(const SandboxPool::Options& options) {
  if (options.backend.has_value()) return {*options.backend};
  std::vector<Backend> backends;
  if (geteuid() == 0) backends.push_back(Backend::kRoot);
  backends.push_back(Backend::kUserNamespace);
  backends.push_back(Backend::kBubblewrap);
  if (options.allow_unsafe) backends.push_back(Backend::kNone);
  return backends;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SandboxPool>> SandboxPool::Create(
    int num_slots) {
  Options options;
  options.num_slots = num_slots;
  return Create(std::move(options));
}

absl::StatusOr<std::unique_ptr<SandboxPool>> SandboxPool::Create(
    Options options) {
  if (options.num_slots < 0) {
    return absl::InvalidArgumentError("sandbox slots must not be negative");
  }
  if (options.backend == Backend::kNone && !options.allow_unsafe) {
    return absl::FailedPreconditionError(
        "running programs without isolation must be allowed explicitly");
  }
  if (options.num_slots == 0) {
    options.num_slots =
        std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  std::string reasons;
  for (const Backend backend : BackendsToTry(options)) {
    auto pool = CreateWith(options, backend);
    if (pool.ok()) return pool;
    absl::StrAppend(&reasons, reasons.empty() ? "" : "; ", BackendName(backend),
                    ": ", pool.status().message());
  }
  return absl::FailedPreconditionError(
      absl::StrCat("no program can be isolated on this machine (", reasons, ")",
                   NamespaceHint()));
}

absl::StatusOr<std::unique_ptr<SandboxPool>> SandboxPool::CreateWith(
    const Options& options, Backend backend) {
  auto pool = absl::WrapUnique(
      new SandboxPool(options.num_slots, options.compiler_cache));
  PONDER_ASSIGN_OR_RETURN(pool->tools_, FindSandboxTools(backend));
  {
    absl::MutexLock lock(&pool->mu_);
    for (int i = 0; i < options.num_slots; ++i) {
      pool->free_.push_back(pool->MakeSlot());
    }
    // A first cell shows whether all of it works, and what cgroups there are.
    PONDER_ASSIGN_OR_RETURN(
        SandboxCell * cell,
        pool->free_.back()->Cell(PythonCell(pool->tools_),
                                 SandboxSlot::User::kProgram));
    pool->limits_memory_by_cgroup_ = cell->cgroup().limits_memory();
  }
  const absl::StatusOr<RunReport> trial =
      pool->Run({"print(input())"}, "trial", RunLimits(), /*cancel=*/nullptr);
  PONDER_RETURN_IF_ERROR(trial.status());
  if (trial->output.stdout_bytes != "trial\n") {
    return absl::FailedPreconditionError(
        absl::StrCat("the trial program failed: ", trial->message));
  }
  return pool;
}

SandboxPool::~SandboxPool() {
  const auto all_free = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return static_cast<int>(free_.size()) == num_slots_;
  };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&all_free));
}

std::unique_ptr<SandboxSlot> SandboxPool::MakeSlot() {
  const int number = num_slots_made_++;
  std::optional<UserBlock> users;
  if (geteuid() == 0) users = UserBlock::Take();
  return std::make_unique<SandboxSlot>(
      tools_,
      absl::StrCat(reinterpret_cast<uintptr_t>(this) >> 4 & 0xffff, "-",
                   number),
      std::move(users));
}

absl::Status SandboxPool::InSlot(
    const CancelToken* cancel,
    const std::function<absl::Status(SandboxSlot&)>& work) {
  if (backend() == Backend::kNone) {
    std::fprintf(stderr,
                 "warning: a program runs without any isolation "
                 "(--unsafe-no-sandbox)\n");
  }
  absl::Status status;
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::unique_ptr<SandboxSlot> slot;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &SandboxPool::HasFreeSlot));
      slot = std::move(free_.back());
      free_.pop_back();
    }
    status = cancel != nullptr && cancel->cancelled()
                 ? absl::CancelledError("cancelled")
                 : work(*slot);
    const bool lost = IsLost(status);
    if (lost) slot = nullptr;  // Ends its cells, which may take a while.
    {
      absl::MutexLock lock(&mu_);
      // Whatever was in the way of a lost run, it is not in a new slot's.
      if (lost) slot = MakeSlot();
      // First in, first out would be fairer to no one: the newest is warm.
      free_.push_back(std::move(slot));
    }
    if (!lost) return status;
  }
  return absl::UnavailableError(
      absl::StrCat("the sandbox was lost twice: ", status.message()));
}

absl::StatusOr<JudgeReport> SandboxPool::Judge(const Program& program,
                                               const TestSuite& suite,
                                               const RunLimits& limits,
                                               const JudgeOptions& options,
                                               const CancelToken* cancel) {
  PONDER_RETURN_IF_ERROR(ValidateRunLimits(limits));
  PONDER_ASSIGN_OR_RETURN(const Language* language,
                          FindLanguage(program.language));
  JudgeReport report;
  PONDER_RETURN_IF_ERROR(InSlot(cancel, [&](SandboxSlot& slot) -> absl::Status {
    PONDER_ASSIGN_OR_RETURN(
        report, JudgeInSlot({*language, compiler_, slot, limits, cancel},
                            program.source, suite, options));
    return absl::OkStatus();
  }));
  return report;
}

absl::StatusOr<RunReport> SandboxPool::Run(const Program& program,
                                           absl::string_view standard_input,
                                           const RunLimits& limits,
                                           const CancelToken* cancel) {
  PONDER_RETURN_IF_ERROR(ValidateRunLimits(limits));
  PONDER_ASSIGN_OR_RETURN(const Language* language,
                          FindLanguage(program.language));
  RunReport report;
  PONDER_RETURN_IF_ERROR(InSlot(cancel, [&](SandboxSlot& slot) -> absl::Status {
    PONDER_ASSIGN_OR_RETURN(
        report, RunInSlot({*language, compiler_, slot, limits, cancel},
                          program.source, standard_input));
    return absl::OkStatus();
  }));
  return report;
}

}  // namespace ponder
