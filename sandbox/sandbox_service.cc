#include "sandbox/sandbox_service.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "sandbox/sandbox_codec.h"

namespace ponder {
namespace {

// Runs one job. Blocks.
SandboxResult RunJob(SandboxPool* pool, const SandboxJob& job,
                     absl::Time deadline, const CancelToken* cancel) {
  SandboxResult result;
  result.set_id(job.id());
  RunLimits limits = RunLimitsFromConfig(job.limits());
  const absl::Duration left = deadline - absl::Now();
  // A program that the client's own deadline cuts short is no slow program.
  const bool cut = left < limits.suite_wall;
  if (left <= absl::ZeroDuration()) {
    FillResult(absl::DeadlineExceededError("the program waited too long"),
               &result);
    return result;
  }
  limits.suite_wall = std::min(limits.suite_wall, left);
  const Program program = {job.source(),
                           job.language().empty() ? "python" : job.language()};
  const auto fill = [&](const auto& report) {
    if (!report.ok()) {
      FillResult(report.status(), &result);
    } else if (cut && report->verdict == RunVerdict::kTimeLimit &&
               absl::Now() >= deadline) {
      FillResult(absl::DeadlineExceededError("the program was cut short"),
                 &result);
    } else {
      FillResult(*report, &result);
    }
  };
  if (job.work_case() == SandboxJob::kTests) {
    JudgeOptions options;
    options.stop_at_first_failure = !job.run_all_tests();
    options.shuffle_seed = job.shuffle_seed();
    fill(pool->Judge(program, job.tests(), limits, options, cancel));
  } else {
    fill(pool->Run(program, job.stdin(), limits, cancel));
  }
  return result;
}

// One Execute() stream. Reactions only move state along; they never block. It
// finishes once nothing is being read, run or written any more, so no thread
// ever sees a reactor that is gone.
class ExecuteReactor final
    : public grpc::ServerBidiReactor<SandboxJob, SandboxResult> {
 public:
  ExecuteReactor(SandboxPool* pool, FairQueue* queue, std::string client)
      : pool_(pool), queue_(queue), client_(std::move(client)) {
    absl::MutexLock lock(&mu_);
    Read();
  }

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    Change([this, ok]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      reading_ = false;
      if (!ok) {
        read_all_ = true;
      } else if (!cancel_.cancelled()) {
        ++running_;
        queue_->Push(client_, [this, job = std::move(job_),
                               read = absl::Now()] { Run(job, read); });
        job_ = nullptr;
      }
    });
  }

  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    Change([this, ok]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      writing_ = false;
      if (!ok) cancel_.Cancel();
    });
  }

  void OnCancel() override ABSL_LOCKS_EXCLUDED(mu_) {
    // Ends what runs; what waits ends when it is its turn.
    Change([this]() { cancel_.Cancel(); });
  }

  void OnDone() override { delete this; }  // Always the last reaction.

 private:
  void Run(const std::shared_ptr<SandboxJob>& job, absl::Time read)
      ABSL_LOCKS_EXCLUDED(mu_) {
    const absl::Time deadline =
        job->timeout_seconds() > 0
            ? read + absl::Seconds(job->timeout_seconds())
            : absl::InfiniteFuture();
    SandboxResult result;
    if (!cancel_.cancelled()) result = RunJob(pool_, *job, deadline, &cancel_);
    Change([this, &result]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      --running_;
      results_.push_back(std::move(result));
    });
  }

  // Changes the state and starts what can be started then. The stream is
  // finished without the lock, because another thread may then delete this.
  template <typename Function>
  void Change(const Function& change) ABSL_LOCKS_EXCLUDED(mu_) {
    bool finish = false;
    {
      absl::MutexLock lock(&mu_);
      change();
      finish = Proceed();
    }
    if (finish) {
      Finish(cancel_.cancelled() ? grpc::Status::CANCELLED : grpc::Status::OK);
    }
  }

  void Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    reading_ = true;
    job_ = std::make_shared<SandboxJob>();
    StartRead(job_.get());
  }

  // True if nothing is left to do, once.
  bool Proceed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (finished_) return false;
    const bool cancelled = cancel_.cancelled();
    if (cancelled) results_.clear();
    if (!writing_ && !results_.empty()) {
      written_ = std::move(results_.front());
      results_.pop_front();
      writing_ = true;
      StartWrite(&written_);
    }
    // Also what a client does not read waits here.
    const size_t unanswered = running_ + results_.size() + (writing_ ? 1 : 0);
    if (!reading_ && !read_all_ && !cancelled &&
        unanswered < SandboxServiceImpl::kMaxUnanswered) {
      Read();
    }
    finished_ = !reading_ && !writing_ && running_ == 0 && results_.empty() &&
                (read_all_ || cancelled);
    return finished_;
  }

  SandboxPool* const pool_;  // Not owned; these two outlive the server.
  FairQueue* const queue_;
  const std::string client_;
  CancelToken cancel_;

  absl::Mutex mu_;
  std::shared_ptr<SandboxJob> job_ ABSL_GUARDED_BY(mu_);  // Being read.
  std::deque<SandboxResult> results_ ABSL_GUARDED_BY(mu_);
  SandboxResult written_ ABSL_GUARDED_BY(mu_);
  size_t running_ ABSL_GUARDED_BY(mu_) = 0;  // Or waiting for a slot.
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool read_all_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

grpc::ServerBidiReactor<SandboxJob, SandboxResult>* SandboxServiceImpl::Execute(
    grpc::CallbackServerContext* context) {
  return new ExecuteReactor(pool_, &queue_, context->peer());
}

grpc::ServerUnaryReactor* SandboxServiceImpl::Describe(
    grpc::CallbackServerContext* context,
    const DescribeSandboxRequest* /*request*/, SandboxDescription* response) {
  response->set_slots(pool_->num_slots());
  response->set_backend(std::string(BackendName(pool_->backend())));
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

absl::StatusOr<std::unique_ptr<SandboxServer>> SandboxServer::Start(
    Options options) {
  auto server = absl::WrapUnique(new SandboxServer);
  PONDER_ASSIGN_OR_RETURN(server->pool_,
                          SandboxPool::Create(std::move(options.pool)));
  server->service_ = std::make_unique<SandboxServiceImpl>(server->pool_.get());
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(),
                           &server->port_);
  // Otherwise a second server on one port gets half of the first one's calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Each costs a descriptor; further ones of a connection wait.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             SandboxServiceImpl::kMaxStreams);
  builder.SetMaxReceiveMessageSize(SandboxServiceImpl::kMaxMessageBytes);
  builder.SetMaxSendMessageSize(SandboxServiceImpl::kMaxMessageBytes);
  builder.RegisterService(server->service_.get());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || server->port_ == 0) {
    return absl::UnavailableError(
        absl::StrCat("the sandbox server cannot listen on ", options.address,
                     ": the port is in use, or the address is not this "
                     "machine's"));
  }
  return server;
}

void SandboxServer::Stop(absl::Duration grace) {
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
}

SandboxServer::~SandboxServer() {
  if (server_ != nullptr) Stop(absl::ZeroDuration());
}

}  // namespace ponder
