// Scores one response: verifiers, components, weights, one reward.

#ifndef PONDER_REWARD_SCORER_H_
#define PONDER_REWARD_SCORER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/reward.pb.h"
#include "reward/code_verifier.h"
#include "sandbox/cancel_token.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {

// Checks what no response could be scored with: INVALID_ARGUMENT for an
// unknown verifier or component, a weight that is not a number, and a code
// problem without tests.
absl::Status ValidateProblem(const Problem& problem);

// Thread-safe.
class Scorer {
 public:
  // Without a pool (null), problems with code are FAILED_PRECONDITION with
  // `why_no_pool`. The pool is not owned and outlives the scorer.
  Scorer(SandboxPool* pool, const CodeVerifier::Options& options,
         std::string why_no_pool = "this server has no sandbox");

  // The scores of `response` by the problem's components (accuracy with weight
  // 1 if it names none). A truncated response is wrong in all of them. If a
  // component with a weight is unscorable, there is no reward. A gold answer
  // that is none, or tests that judge nothing, are unscorable. Blocks while a
  // program runs; `cancel` may be null. The errors of ValidateProblem() and of
  // CodeVerifier::Verify(), of which UNAVAILABLE is a lost sandbox and never a
  // score.
  absl::StatusOr<ScoredResponse> Score(const Problem& problem,
                                       const ResponseToScore& response,
                                       const CancelToken* cancel);

 private:
  std::unique_ptr<CodeVerifier> code_;  // Null without a pool.
  const std::string why_no_pool_;
};

}  // namespace ponder

#endif  // PONDER_REWARD_SCORER_H_
