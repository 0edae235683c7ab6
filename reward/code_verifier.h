// Decides whether the program in a response passes a problem's tests.

#ifndef PONDER_REWARD_CODE_VERIFIER_H_
#define PONDER_REWARD_CODE_VERIFIER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/reward.pb.h"
#include "reward/verdict_cache.h"
#include "sandbox/cancel_token.h"
#include "sandbox/run_limits.h"
#include "sandbox/sandbox.h"

namespace ponder {

struct CodeResult {
  bool correct = false;
  double value = 0;  // 1 or 0, or the share of tests that pass.
  bool timed_out = false;
  bool cached = false;
  std::string reason;  // One sentence for a person.
};

// A program and what its block says that it is written in.
struct ExtractedProgram {
  absl::string_view source;  // A view into the answer.
  std::string language;      // "": the block does not say.
};

// The one rule by which a program is taken from what follows the thought: the
// last fenced block whose tag is a language of the sandbox, or that has none; a
// last block that is not closed counts as well. If `language` is not empty,
// blocks in others do not count. Without any fence it is the whole text.
ExtractedProgram ExtractProgram(absl::string_view answer,
                                absl::string_view language);

// Thread-safe.
class CodeVerifier {
 public:
  struct Options {
    RunLimits limits;
    // The value is the share of tests that pass, which then all run.
    bool partial_credit = false;
    size_t cache_entries = 1 << 16;  // About 200 bytes each.
  };

  // `sandbox` is not owned and outlives the verifier.
  CodeVerifier(Sandbox* sandbox, const Options& options)
      : sandbox_(sandbox), options_(options), cache_(options.cache_entries) {}

  // Correct if all tests pass. Blocks; `cancel` may be null. UNAVAILABLE if
  // the sandbox was lost, INVALID_ARGUMENT for tests that judge nothing,
  // CANCELLED.
  absl::StatusOr<CodeResult> Verify(const ExtractedProgram& program,
                                    const TestSuite& tests,
                                    const CancelToken* cancel);

 private:
  Sandbox* const sandbox_;
  const Options options_;
  VerdictCache cache_;
};

}  // namespace ponder

#endif  // PONDER_REWARD_CODE_VERIFIER_H_
