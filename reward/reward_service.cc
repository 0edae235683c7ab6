#include "reward/reward_service.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"
#include "sandbox/cancel_token.h"

namespace ponder {
namespace {

// A problem of a stream. Its message stays as long as it is needed.
struct PlannedProblem {
  std::shared_ptr<const ScoreRequest> message;
  const Problem* problem = nullptr;
  ScoringPlan plan;
};

// A response that is being scored.
struct UnderWay {
  const ResponseToScore* response = nullptr;
  std::shared_ptr<const PlannedProblem> problem;
  absl::Time read;
  std::vector<Outcome> outcomes;  // By the plan's verifiers.
  size_t missing = 0;             // Verifiers that have not answered.
};

// The responses of one message.
struct Batch {
  std::shared_ptr<const ScoreRequest> message;
  std::vector<UnderWay> responses;
};

// One call of one verifier for one response.
struct Job {
  std::shared_ptr<Batch> batch;
  size_t response = 0;  // In the batch.
  size_t verifier = 0;  // In the plan.

  UnderWay& under_way() const { return batch->responses[response]; }
  Verifier* callee() const {
    return under_way().problem->plan.verifiers[verifier];
  }
  SampleToScore sample() const {
    return {under_way().problem->problem, under_way().response};
  }
};

// One Score() stream.
//
//   read a message ──> jobs wait in their lanes ──> a lane's thread takes some
//   of this stream's ──> the last outcome of a response makes its score ──>
//   what is ready is written
//
// The stream is finished once nothing is being read, scored or written any
// more, so no thread ever sees a reactor that is gone. Reactions only move
// state along; they never block.
class ScoreReactor final
    : public grpc::ServerBidiReactor<ScoreRequest, ScoreReply> {
 public:
  using Lanes = std::map<const Verifier*, ScoringLane*>;

  ScoreReactor(const Scorer* scorer, const Lanes* lane_of)
      : scorer_(scorer), lane_of_(lane_of) {
    StartRead(request_.get());
  }

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    Change([this, ok]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      reading_ = false;
      if (!ok) {
        read_all_ = true;
      } else if (status_.ok()) {
        const absl::Status accepted = Accept();
        if (!accepted.ok()) Fail(accepted);
      }
    });
  }

  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    Change([this, ok]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      written_.clear_scores();
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
  // Takes the message that was read: its problems, then its responses.
  absl::Status Accept() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const std::shared_ptr<const ScoreRequest> message = std::move(request_);
    request_ = std::make_shared<ScoreRequest>();
    PONDER_RETURN_IF_ERROR(CheckSize("problems", message->problems_size(),
                                     RewardServiceImpl::kMaxProblems));
    PONDER_RETURN_IF_ERROR(CheckSize("responses", message->responses_size(),
                                     RewardServiceImpl::kMaxResponses));
    for (const Problem& problem : message->problems()) {
      PONDER_RETURN_IF_ERROR(CheckSlot(problem.slot()));
      PONDER_ASSIGN_OR_RETURN(ScoringPlan plan, scorer_->Plan(problem));
      slots_[problem.slot()] = std::make_shared<const PlannedProblem>(
          PlannedProblem{message, &problem, std::move(plan)});
    }
    const auto batch = std::make_shared<Batch>();
    batch->message = message;
    for (const ResponseToScore& response : message->responses()) {
      PONDER_RETURN_IF_ERROR(CheckSlot(response.slot()));
      const auto& problem = slots_[response.slot()];
      if (problem == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(
            "response ", response.index(), ": slot ", response.slot(),
            " has no problem; wanted the problem in this message "
            "or an earlier one"));
      }
      const size_t num_verifiers = problem->plan.verifiers.size();
      batch->responses.push_back({&response, problem, absl::Now(),
                                  std::vector<Outcome>(num_verifiers),
                                  num_verifiers});
    }
    Distribute(batch);
    return absl::OkStatus();
  }

  static absl::Status CheckSize(absl::string_view what, int size, int most) {
    if (size <= most) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("a message has ", size, " ", what, ", wanted at most ",
                     most, "; send more messages"));
  }

  static absl::Status CheckSlot(int slot) {
    if (slot >= 0 && slot < RewardServiceImpl::kNumSlots) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("slot: got ", slot, ", wanted 0 to ",
                     RewardServiceImpl::kNumSlots - 1));
  }

  // Puts the batch's jobs into their lanes, and tells enough threads of each
  // that there is something: whatever a thread leaves behind, another comes
  // for.
  void Distribute(const std::shared_ptr<Batch>& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::map<ScoringLane*, int> added;
    for (size_t r = 0; r < batch->responses.size(); ++r) {
      const ScoringPlan& plan = batch->responses[r].problem->plan;
      ++in_flight_;
      for (size_t v = 0; v < plan.verifiers.size(); ++v) {
        ScoringLane* const lane = lane_of_->at(plan.verifiers[v]);
        waiting_[lane].push_back({batch, r, v});
        ++added[lane];
      }
    }
    for (const auto& [lane, num_jobs] : added) {
      const int num_calls =
          (num_jobs + lane->max_samples - 1) / lane->max_samples;
      for (int i = 0; i < num_calls; ++i) {
        ++calls_;
        lane->threads->Submit([this, lane = lane] { Work(lane); });
      }
    }
  }

  // On a thread of the lane: takes jobs and does them.
  void Work(ScoringLane* lane) ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<Job> jobs;
    {
      absl::MutexLock lock(&mu_);
      std::deque<Job>& waiting = waiting_[lane];
      while (!waiting.empty() &&
             static_cast<int>(jobs.size()) < lane->max_samples) {
        jobs.push_back(std::move(waiting.front()));
        waiting.pop_front();
      }
      if (!status_.ok()) jobs.clear();  // Nobody waits for them any more.
    }
    const size_t at_a_time = lane->own == nullptr ? 1 : jobs.size();
    absl::Status status;
    for (size_t i = 0; status.ok() && i < jobs.size(); i += at_a_time) {
      status = Call(absl::MakeConstSpan(jobs).subspan(i, at_a_time));
    }
    // The thread's last act on this stream.
    Change([this, &status]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      --calls_;
      if (!status.ok()) Fail(status);
    });
  }

  // Does jobs of one verifier in one call.
  absl::Status Call(absl::Span<const Job> jobs) ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<SampleToScore> samples;
    for (const Job& job : jobs) samples.push_back(job.sample());
    const absl::Time start = absl::Now();
    PONDER_ASSIGN_OR_RETURN(std::vector<VerifierScore> scores,
                            jobs[0].callee()->Score(samples, &cancel_));
    if (scores.size() != jobs.size()) {
      return absl::InternalError(absl::StrCat("a verifier gave ", scores.size(),
                                              " scores for ", jobs.size(),
                                              " responses"));
    }
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    for (size_t i = 0; i < jobs.size(); ++i) {
      Deliver(jobs[i], {std::move(scores[i]), seconds});
    }
    return absl::OkStatus();
  }

  // Takes one outcome; the response's last one makes its score.
  void Deliver(const Job& job, Outcome outcome) ABSL_LOCKS_EXCLUDED(mu_) {
    UnderWay& response = job.under_way();
    {
      absl::MutexLock lock(&mu_);
      response.outcomes[job.verifier] = std::move(outcome);
      if (--response.missing > 0) return;
    }
    // No other thread looks at this response any more.
    ScoredResponse scored = Scorer::Combine(
        response.problem->plan, *response.response, response.outcomes);
    scored.set_seconds(absl::ToDoubleSeconds(absl::Now() - response.read));
    Change([this, &scored]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      --in_flight_;
      if (status_.ok()) *ready_.add_scores() = std::move(scored);
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
    if (status_.ok() && written_.scores().empty() && !ready_.scores().empty()) {
      written_.Swap(&ready_);
      StartWrite(&written_);
    }
    if (status_.ok() && !reading_ && !read_all_ &&
        in_flight_ + ready_.scores_size() + written_.scores_size() <
            RewardServiceImpl::kMaxInFlight) {
      reading_ = true;
      StartRead(request_.get());
    }
    const bool idle = calls_ == 0 && written_.scores().empty();
    const bool complete = read_all_ && ready_.scores().empty();
    if (!idle || (!complete && status_.ok())) return false;
    finished_ = true;
    return true;
  }

  const Scorer* const scorer_;
  const Lanes* const lane_of_;
  CancelToken cancel_;

  absl::Mutex mu_;
  std::shared_ptr<ScoreRequest> request_ ABSL_GUARDED_BY(mu_) =
      std::make_shared<ScoreRequest>();  // The read that is under way.
  std::array<std::shared_ptr<const PlannedProblem>,
             RewardServiceImpl::kNumSlots>
      slots_ ABSL_GUARDED_BY(mu_);
  std::map<ScoringLane*, std::deque<Job>> waiting_ ABSL_GUARDED_BY(mu_);
  ScoreReply ready_ ABSL_GUARDED_BY(mu_);
  ScoreReply written_ ABSL_GUARDED_BY(mu_);  // Not empty: a write is under way.
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  int in_flight_ ABSL_GUARDED_BY(mu_) = 0;  // Responses read and not scored.
  int calls_ ABSL_GUARDED_BY(mu_) = 0;      // Of Work(), to come or under way.
  bool reading_ ABSL_GUARDED_BY(mu_) = true;
  bool read_all_ ABSL_GUARDED_BY(mu_) = false;  // The client half-closed.
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

RewardServiceImpl::RewardServiceImpl(const Scorer* scorer,
                                     int num_shared_threads)
    : scorer_(scorer) {
  ScoringLane& shared = lanes_.emplace_back();
  shared.max_samples = kMaxResponses;
  shared.threads = std::make_unique<WorkerPool>(num_shared_threads);
  for (const auto& [name, verifier] : scorer->verifiers()) {
    if (verifier->num_threads() == 0) {
      lane_of_[verifier.get()] = &shared;
      continue;
    }
    ScoringLane& lane = lanes_.emplace_back();
    lane.own = verifier.get();
    lane.max_samples = std::max(1, verifier->max_samples());
    lane.threads = std::make_unique<WorkerPool>(verifier->num_threads());
    lane_of_[verifier.get()] = &lane;
  }
}

grpc::ServerBidiReactor<ScoreRequest, ScoreReply>* RewardServiceImpl::Score(
    grpc::CallbackServerContext* /*context*/) {
  return new ScoreReactor(scorer_, &lane_of_);
}

}  // namespace ponder
