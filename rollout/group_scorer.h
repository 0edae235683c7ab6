// Scores the samples of one group while the others are still being sampled.

#ifndef PONDER_ROLLOUT_GROUP_SCORER_H_
#define PONDER_ROLLOUT_GROUP_SCORER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "proto/reward.grpc.pb.h"

namespace ponder {

// One Score stream. Samples are sent as they come; when all `num_samples` are
// answered, or all have come and scoring failed, `done` is called once, on a
// thread of this object. A broken stream is repeated once as a whole, as soon
// as the server is there again. Thread-safe.
class GroupScorer {
 public:
  using Done = std::function<void(absl::Status, std::vector<ScoredResponse>)>;

  // `stub` is not owned and outlives this object. `timeout` counts from the
  // last sample on.
  GroupScorer(RewardService::Stub* stub, Problem problem, int num_samples,
              absl::Duration timeout, Done done);
  // Waits for `done`.
  ~GroupScorer();

  GroupScorer(const GroupScorer&) = delete;
  GroupScorer& operator=(const GroupScorer&) = delete;

  void Send(ResponseToScore response) ABSL_LOCKS_EXCLUDED(mu_);

  // No sample will come any more; `done` gets CANCELLED.
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  // One try: sends what is there and what comes, reads all answers.
  absl::Status Try(std::map<int, ScoredResponse>* scored)
      ABSL_LOCKS_EXCLUDED(mu_);

  RewardService::Stub* const stub_;
  const Problem problem_;
  const size_t num_samples_;
  const absl::Duration timeout_;
  const Done done_;

  absl::Mutex mu_;
  std::vector<ResponseToScore> responses_ ABSL_GUARDED_BY(mu_);
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;  // Of Try().
  std::thread thread_;
};

}  // namespace ponder

#endif  // PONDER_ROLLOUT_GROUP_SCORER_H_
