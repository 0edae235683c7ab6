// What scores responses: the built-in verifiers, the components of a reward
// and the plug-ins of users all implement this.

#ifndef PONDER_REWARD_VERIFIER_H_
#define PONDER_REWARD_VERIFIER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/reward.pb.h"
#include "sandbox/cancel_token.h"

namespace ponder {

// One response and the problem that it answers. Both are borrowed for one call
// of Verifier::Score().
struct SampleToScore {
  const Problem* problem = nullptr;
  const ResponseToScore* response = nullptr;
};

// What a verifier found out about one response.
struct VerifierScore {
  // UNSCORABLE: the problem is at fault (a bad gold answer, tests that judge
  // nothing), what was asked cannot be decided, or a plug-in gave no usable
  // answer. It is then left out of the reward, never counted as 0.
  Verdict verdict = UNSCORABLE;
  // What the component is worth: for verdicts alone 1 if correct, 0 if wrong.
  // A verifier of real values says itself from which value on it calls a
  // response correct. Finite; not read if unscorable.
  double value = 0;
  std::string extracted;          // The answer as it was found; may be empty.
  std::string reason;             // One sentence for a person. Any bytes.
  bool flexible_correct = false;  // Correct if the answer's form is ignored.
  bool timed_out = false;         // A program or plug-in ran out of time.
  bool beyond_limits = false;     // The answer is too long, deep or large.
};

// Thread-safe: Score() is called from many threads at once, and blocks its
// caller.
class Verifier {
 public:
  Verifier() = default;
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;
  virtual ~Verifier() = default;

  // One score for each sample, in their order; samples may be of different
  // problems. A response that hit the token limit comes like any other (see
  // ResponseToScore.truncated); that its accuracy is wrong then is the
  // Scorer's business. `cancel` says that nobody waits for the result any more
  // and may be null; a verifier that can take more than milliseconds looks at
  // it and returns CANCELLED.
  //
  // A status, which fails all of `samples`, means that infrastructure was lost
  // and that the same call may succeed elsewhere: UNAVAILABLE, or
  // FAILED_PRECONDITION where this machine can never do it. What a plug-in does
  // wrong is no status but UNSCORABLE.
  virtual absl::StatusOr<std::vector<VerifierScore>> Score(
      absl::Span<const SampleToScore> samples, const CancelToken* cancel) = 0;

  // Threads of its own that call Score() at the same time, so that it delays
  // no other verifier. 0: its work is bounded, linear in the response and never
  // waits; it shares the threads of all verifiers like it.
  virtual int num_threads() const { return 0; }

  // The most samples of one call, at least 1. Not read where num_threads() is
  // 0. Whatever waits for a free thread is handed over together up to here.
  virtual int max_samples() const { return 1; }
};

// By the name that rows and components use. The names of plug-ins come from
// the configuration.
using VerifierMap = std::map<std::string, std::unique_ptr<Verifier>>;

}  // namespace ponder

#endif  // PONDER_REWARD_VERIFIER_H_
