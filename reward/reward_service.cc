#include "reward/reward_service.h"

#include <deque>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/grpc_status.h"
#include "sandbox/cancel_token.h"

namespace ponder {
namespace {

// One Score() stream.
//
//   read a request ──> worker scores it ──> queue of answers ──> write one
//
// The stream is finished once nothing is being read, scored or written any
// more, so no worker ever sees a reactor that is gone. Reactions only move
// state along; they never block.
class ScoreReactor final
    : public grpc::ServerBidiReactor<ScoreRequest, ScoredResponse> {
 public:
  ScoreReactor(Scorer* scorer, WorkerPool* text_workers,
               WorkerPool* code_workers)
      : scorer_(scorer),
        text_workers_(text_workers),
        code_workers_(code_workers) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    Change([this, ok]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      reading_ = false;
      if (!ok) {
        read_all_ = true;
      } else if (status_.ok()) {
        Accept();
      }
    });
  }

  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    Change([this, ok]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      writing_ = false;
      answers_.pop_front();
      if (!ok) Fail(absl::CancelledError("the client is gone"));
    });
  }

  void OnCancel() override ABSL_LOCKS_EXCLUDED(mu_) {
    Change([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      Fail(absl::CancelledError("cancelled, or the deadline has passed"));
    });
  }

  void OnDone() override { delete this; }  // Always the last reaction.

 private:
  // Takes what was read: first the problem, then responses.
  void Accept() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (request_.has_problem()) {
      if (problem_ != nullptr) {
        Fail(absl::InvalidArgumentError("a stream has one problem only"));
        return;
      }
      const absl::Status status = ValidateProblem(request_.problem());
      if (!status.ok()) {
        Fail(status);
        return;
      }
      problem_ = std::make_unique<const Problem>(
          std::move(*request_.mutable_problem()));
      return;
    }
    if (!request_.has_response() || problem_ == nullptr) {
      Fail(absl::InvalidArgumentError(
          "the first message must be the problem, the others responses"));
      return;
    }
    ++in_flight_;
    auto response = std::make_shared<const ResponseToScore>(
        std::move(*request_.mutable_response()));
    WorkerPool* const workers =
        problem_->verifier() == "code" ? code_workers_ : text_workers_;
    // The problem stays where it is until the reactor is gone.
    workers->Submit([this, problem = problem_.get(), response] {
      Done(scorer_->Score(*problem, *response, &cancel_));
    });
  }

  // A worker's last act on this stream.
  void Done(absl::StatusOr<ScoredResponse> scored) ABSL_LOCKS_EXCLUDED(mu_) {
    Change([this, &scored]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      --in_flight_;
      if (!scored.ok()) {
        Fail(scored.status());
      } else if (status_.ok()) {
        answers_.push_back(*std::move(scored));
      }
    });
  }

  // Makes one change of state and starts what can be started then. The stream
  // is finished outside of the lock, because this object, and the lock in it,
  // may be gone before Finish() returns.
  template <typename Function>
  void Change(Function change) ABSL_LOCKS_EXCLUDED(mu_) {
    grpc::Status status;
    {
      absl::MutexLock lock(&mu_);
      change();
      if (!Advance()) return;
      status = ToGrpcStatus(status_);
    }
    Finish(status);
  }

  // The first failure is the stream's status; it stops all work.
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!status_.ok()) return;
    status_ = status;
    cancel_.Cancel();
  }

  // Starts what can be started now. True once, when the stream is over.
  bool Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (finished_) return false;
    if (status_.ok() && !writing_ && !answers_.empty()) {
      writing_ = true;
      StartWrite(&answers_.front());
    }
    if (status_.ok() && !reading_ && !read_all_ &&
        in_flight_ + static_cast<int>(answers_.size()) <
            RewardServiceImpl::kMaxInFlight) {
      reading_ = true;
      StartRead(&request_);
    }
    const bool idle = in_flight_ == 0 && !writing_;
    const bool complete = read_all_ && answers_.empty();
    if (!idle || (!complete && status_.ok())) return false;
    if (status_.ok() && problem_ == nullptr) {
      status_ = absl::InvalidArgumentError("the stream has no problem");
    }
    finished_ = true;
    return true;
  }

  Scorer* const scorer_;
  WorkerPool* const text_workers_;
  WorkerPool* const code_workers_;
  CancelToken cancel_;

  absl::Mutex mu_;
  ScoreRequest request_ ABSL_GUARDED_BY(mu_);  // The read that is under way.
  std::unique_ptr<const Problem> problem_ ABSL_GUARDED_BY(mu_);
  std::deque<ScoredResponse> answers_ ABSL_GUARDED_BY(mu_);  // Front: written.
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  int in_flight_ ABSL_GUARDED_BY(mu_) = 0;  // Responses with a worker.
  bool reading_ ABSL_GUARDED_BY(mu_) = true;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool read_all_ ABSL_GUARDED_BY(mu_) = false;  // The client half-closed.
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

RewardServiceImpl::RewardServiceImpl(Scorer* scorer, int num_text_threads,
                                     int num_code_threads)
    : scorer_(scorer),
      text_workers_(num_text_threads),
      code_workers_(num_code_threads) {}

grpc::ServerBidiReactor<ScoreRequest, ScoredResponse>* RewardServiceImpl::Score(
    grpc::CallbackServerContext* /*context*/) {
  return new ScoreReactor(scorer_, &text_workers_, &code_workers_);
}

}  // namespace ponder
