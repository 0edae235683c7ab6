// Scores one response: verifiers, components, weights, one reward.

#ifndef PONDER_REWARD_SCORER_H_
#define PONDER_REWARD_SCORER_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/reward.pb.h"
#include "reward/verifier.h"
#include "sandbox/cancel_token.h"

namespace ponder {

// What a problem asks for.
struct ScoringPlan {
  struct Component {
    std::string name;
    double weight = 0;
    size_t verifier = 0;         // Index into `verifiers`.
    bool judges_answer = false;  // Which a truncated response does not have.
  };
  std::vector<Verifier*> verifiers;  // Each once; the first is the row's.
  std::vector<Component> components;
};

// What one verifier said, and how long it took.
struct Outcome {
  VerifierScore score;
  double seconds = 0;  // Wall time of the call.
};

// Thread-safe.
class Scorer {
 public:
  explicit Scorer(VerifierMap verifiers) : verifiers_(std::move(verifiers)) {}

  const VerifierMap& verifiers() const { return verifiers_; }

  // INVALID_ARGUMENT for what no response could be scored with: an unknown
  // verifier or component, a weight that is not a number. Without components
  // it is accuracy with weight 1. Borrows from this object only.
  absl::StatusOr<ScoringPlan> Plan(const Problem& problem) const;

  // The scores out of `outcomes`, one for each of the plan's verifiers. If a
  // component with a weight is unscorable, there is no reward. An answer that
  // was cut off at the token limit is wrong. `seconds` is left to the caller.
  static ScoredResponse Combine(const ScoringPlan& plan,
                                const ResponseToScore& response,
                                absl::Span<const Outcome> outcomes);

  // Plan, the verifiers one after the other, Combine. Blocks; `cancel` may be
  // null. The errors of Plan() and of Verifier::Score(), of which none is ever
  // a score.
  absl::StatusOr<ScoredResponse> Score(const Problem& problem,
                                       const ResponseToScore& response,
                                       const CancelToken* cancel) const;

 private:
  const VerifierMap verifiers_;
};

}  // namespace ponder

#endif  // PONDER_REWARD_SCORER_H_
