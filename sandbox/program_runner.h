// Runs a program of any language but through Python's runner: compiles it if
// need be and starts it anew for each input.

#ifndef PONDER_SANDBOX_PROGRAM_RUNNER_H_
#define PONDER_SANDBOX_PROGRAM_RUNNER_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "sandbox/compiler.h"
#include "sandbox/language.h"
#include "sandbox/sandbox_slot.h"
#include "sandbox/verdict.h"

namespace ponder {

// Not thread-safe. Statuses are lost infrastructure, or CANCELLED.
class ProgramRunner {
 public:
  // All arguments outlive it; `cancel` may be null.
  ProgramRunner(const Language& language, Compiler& compiler, SandboxSlot& slot,
                const RunLimits& limits, const CancelToken* cancel)
      : language_(language),
        compiler_(compiler),
        slot_(slot),
        limits_(limits),
        cancel_(cancel) {}

  // Compiles. `failure` is set if that fails, with the compiler's messages in
  // `output`.
  absl::Status Load(absl::string_view source, TestResult* failure,
                    CapturedOutput* output, JudgeReport* report);

  // One run with that standard input. Adds what it used to `report`.
  absl::Status Run(absl::string_view standard_input, absl::Time last_moment,
                   TestResult* result, CapturedOutput* output,
                   JudgeReport* report);

 private:
  const Language& language_;
  Compiler& compiler_;
  SandboxSlot& slot_;
  const RunLimits& limits_;
  const CancelToken* const cancel_;
  std::shared_ptr<const CompiledProgram> compiled_;
  UniqueFd source_;  // Of a language without a compiler.
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_PROGRAM_RUNNER_H_
