// The RewardService of proto/reward.proto.

#ifndef PONDER_REWARD_REWARD_SERVICE_H_
#define PONDER_REWARD_REWARD_SERVICE_H_

#include <deque>
#include <map>
#include <memory>

#include "proto/reward.grpc.pb.h"
#include "proto/reward.pb.h"
#include "reward/scorer.h"
#include "reward/verifier.h"
#include "reward/worker_pool.h"

namespace ponder {

// Threads that call one verifier, or all those that need none of their own.
struct ScoringLane {
  Verifier* own = nullptr;  // Null: the lane of all that share it.
  int max_samples = 1;      // Taken by a thread at a time.
  std::unique_ptr<WorkerPool> threads;
};

// Thread-safe. A verifier that asks for threads has them to itself, so that a
// slow program or plug-in does not delay a maths answer.
class RewardServiceImpl final : public RewardService::CallbackService {
 public:
  // The limits of proto/reward.proto.
  static constexpr int kMaxMessageBytes = 16 << 20;
  static constexpr int kMaxProblems = 16;   // A message.
  static constexpr int kMaxResponses = 16;  // A message.
  static constexpr int kNumSlots = 64;
  // Responses of one stream that are read and not yet answered, from which on
  // nothing more is read. The rest stays in the client's window: a stream
  // cannot fill the server's memory.
  static constexpr int kMaxInFlight = 64;

  // `scorer` is not owned and outlives the service. `num_shared_threads`: for
  // the verifiers without threads of their own.
  RewardServiceImpl(const Scorer* scorer, int num_shared_threads);

  grpc::ServerBidiReactor<ScoreRequest, ScoreReply>* Score(
      grpc::CallbackServerContext* context) override;

 private:
  const Scorer* const scorer_;
  std::deque<ScoringLane> lanes_;
  std::map<const Verifier*, ScoringLane*> lane_of_;  // Each of the scorer's.
};

}  // namespace ponder

#endif  // PONDER_REWARD_REWARD_SERVICE_H_
