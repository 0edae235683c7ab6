#include "rollout/group_scorer.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

constexpr int kTries = 2;
// Of one message: what the service takes, and well below its 16 MiB.
constexpr int kMaxResponses = 16;
constexpr size_t kMaxBytes = size_t{4} << 20;

}  // namespace

GroupScorer::GroupScorer(RewardService::Stub* stub, Problem problem,
                         int num_samples, absl::Duration timeout, Done done)
    : stub_(stub),
      problem_(std::move(problem)),
      num_samples_(static_cast<size_t>(num_samples)),
      timeout_(timeout),
      done_(std::move(done)),
      thread_([this] { Run(); }) {}

GroupScorer::~GroupScorer() { thread_.join(); }

void GroupScorer::Send(ResponseToScore response) {
  absl::MutexLock lock(&mu_);
  responses_.push_back(std::move(response));
}

void GroupScorer::Cancel() {
  absl::MutexLock lock(&mu_);
  cancelled_ = true;
  if (context_ != nullptr) context_->TryCancel();
}

absl::Status GroupScorer::Try(std::map<int, ScoredResponse>* scored) {
  grpc::ClientContext context;
  // A server that was started again answers within seconds.
  context.set_wait_for_ready(true);
  {
    absl::MutexLock lock(&mu_);
    if (cancelled_) return absl::CancelledError("scoring was given up");
    context_ = &context;
  }
  const auto stream = stub_->Score(&context);
  // Reads on a thread of its own: an answer may come before the last sample.
  std::thread reader([&] {
    ScoreReply reply;
    while (stream->Read(&reply)) {
      for (ScoredResponse& score : *reply.mutable_scores()) {
        (*scored)[score.index()] = std::move(score);
      }
    }
  });

  // The service's time counts while it is to take a message, and from the last
  // message on; not while samples are being drawn.
  absl::Mutex clock_mu;
  bool finished = false;
  absl::Time deadline = absl::InfiniteFuture();
  std::thread watchdog([&] {
    absl::MutexLock lock(&clock_mu);
    while (!finished) {
      const absl::Time until = deadline;
      const auto changed = [&] { return finished || deadline != until; };
      if (!clock_mu.AwaitWithDeadline(absl::Condition(&changed), until)) {
        context.TryCancel();
        return;
      }
    }
  });
  const auto set_deadline = [&](absl::Time time) {
    absl::MutexLock lock(&clock_mu);
    deadline = time;
  };
  const auto write = [&](const ScoreRequest& request) {
    set_deadline(absl::Now() + timeout_);
    const bool open = stream->Write(request);
    set_deadline(absl::InfiniteFuture());
    return open;
  };

  ScoreRequest request;
  *request.add_problems() = problem_;
  bool open = write(request);
  for (size_t next = 0; open && next < num_samples_;) {
    request.Clear();
    {
      absl::MutexLock lock(&mu_);
      const auto ready = [this, next]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
        return cancelled_ || responses_.size() > next;
      };
      mu_.Await(absl::Condition(&ready));
      if (cancelled_) break;
      size_t bytes = 0;
      while (next < responses_.size() && bytes < kMaxBytes &&
             request.responses_size() < kMaxResponses) {
        bytes += responses_[next].ByteSizeLong();
        *request.add_responses() = responses_[next++];
      }
    }
    open = write(request);
  }
  set_deadline(absl::Now() + timeout_);
  stream->WritesDone();
  reader.join();
  const absl::Status status = FromGrpcStatus(stream->Finish());
  {
    absl::MutexLock lock(&clock_mu);
    finished = true;
  }
  watchdog.join();
  {
    absl::MutexLock lock(&mu_);
    context_ = nullptr;
    if (cancelled_) return absl::CancelledError("scoring was given up");
  }
  if (absl::IsCancelled(status)) {
    return absl::DeadlineExceededError(absl::StrCat(
        "the reward server did not score all samples of prompt ", problem_.id(),
        " within ", absl::FormatDuration(timeout_)));
  }
  PONDER_RETURN_IF_ERROR(status);
  if (scored->size() != num_samples_) {
    return absl::UnavailableError(
        absl::StrCat("the reward server scored ", scored->size(), " of ",
                     num_samples_, " samples of prompt ", problem_.id()));
  }
  return absl::OkStatus();
}

void GroupScorer::Run() {
  absl::Status status;
  std::vector<ScoredResponse> answers;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    std::map<int, ScoredResponse> scored;
    status = Try(&scored);
    if (absl::IsCancelled(status) || absl::IsDeadlineExceeded(status)) break;
    if (!status.ok()) continue;
    for (auto& [index, answer] : scored) answers.push_back(std::move(answer));
    break;
  }
  if (!status.ok()) {
    // Who is told of the failure may have the group sampled again: not while
    // this one is still being sampled.
    absl::MutexLock lock(&mu_);
    const auto all_here = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return cancelled_ || responses_.size() >= num_samples_;
    };
    mu_.Await(absl::Condition(&all_here));
  }
  done_(status, std::move(answers));
}

}  // namespace ponder
