// Runs programs that nobody has read, here or elsewhere.

#ifndef PONDER_SANDBOX_SANDBOX_H_
#define PONDER_SANDBOX_SANDBOX_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/sandbox.pb.h"
#include "sandbox/cancel_token.h"
#include "sandbox/run_limits.h"
#include "sandbox/verdict.h"

namespace ponder {

struct Program {
  std::string source;
  std::string language = "python";  // See sandbox/language.h.
};

// Thread-safe.
class Sandbox {
 public:
  Sandbox() = default;
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  virtual ~Sandbox() = default;

  // Judges a program by tests; see judge.h. Blocks until it is judged, or
  // `cancel` (may be null) says stop. INVALID_ARGUMENT for tests that judge
  // nothing; FAILED_PRECONDITION if the language is not installed; UNAVAILABLE
  // if the sandbox was lost: then nothing is known about the program.
  virtual absl::StatusOr<JudgeReport> Judge(const Program& program,
                                            const TestSuite& suite,
                                            const RunLimits& limits,
                                            const JudgeOptions& options,
                                            const CancelToken* cancel) = 0;

  // Runs a program once. The same.
  virtual absl::StatusOr<RunReport> Run(const Program& program,
                                        absl::string_view standard_input,
                                        const RunLimits& limits,
                                        const CancelToken* cancel) = 0;

  // How many calls run at a time; more of them wait.
  virtual int num_slots() const = 0;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_SANDBOX_H_
