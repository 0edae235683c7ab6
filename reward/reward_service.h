// The RewardService of proto/reward.proto.

#ifndef PONDER_REWARD_REWARD_SERVICE_H_
#define PONDER_REWARD_REWARD_SERVICE_H_

#include "proto/reward.grpc.pb.h"
#include "proto/reward.pb.h"
#include "reward/scorer.h"
#include "reward/worker_pool.h"

namespace ponder {

// Thread-safe. Programs and the rest are scored by threads of their own, so
// that a slow program does not delay a maths answer.
class RewardServiceImpl final : public RewardService::CallbackService {
 public:
  // Responses of one stream that are read and not yet answered. More stay in
  // the client's window: a stream cannot fill the server's memory.
  static constexpr int kMaxInFlight = 64;

  // `scorer` is not owned and outlives the service.
  RewardServiceImpl(Scorer* scorer, int num_text_threads, int num_code_threads);

  grpc::ServerBidiReactor<ScoreRequest, ScoredResponse>* Score(
      grpc::CallbackServerContext* context) override;

 private:
  Scorer* const scorer_;
  WorkerPool text_workers_;
  WorkerPool code_workers_;
};

}  // namespace ponder

#endif  // PONDER_REWARD_REWARD_SERVICE_H_
