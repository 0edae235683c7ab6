#include "sandbox/remote_sandbox.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"
#include "grpcpp/grpcpp.h"
#include "sandbox/sandbox_codec.h"
#include "sandbox/sandbox_service.h"
#include "sandbox/unique_fd.h"

namespace ponder {
namespace {

// Of waiting for a turn and compiling, beside the tests' own limit.
constexpr absl::Duration kQueueTime = absl::Seconds(120);
// The server's deadline comes this much before the call's.
constexpr absl::Duration kAnswerTime = absl::Seconds(5);

// One job on a stream of its own.
class ExecuteCall final
    : public grpc::ClientBidiReactor<SandboxJob, SandboxResult> {
 public:
  ExecuteCall(SandboxService::Stub* stub, const SandboxJob& job,
              absl::Time deadline)
      : done_(eventfd(0, EFD_CLOEXEC)) {
    context_.set_deadline(absl::ToChronoTime(deadline));
    stub->async()->Execute(&context_, this);
    StartWriteLast(&job, grpc::WriteOptions());
    StartRead(&result_);
    StartCall();
  }

  // Waits; stops early if cancelled. Call once.
  absl::StatusOr<SandboxResult> Await(const CancelToken* cancel) {
    pollfd polled[2] = {{done_.get(), POLLIN, 0},
                        {cancel == nullptr ? -1 : cancel->fd(), POLLIN, 0}};
    while (poll(polled, 2, /*forever*/ -1) < 0) {
    }
    if (polled[0].revents == 0) {
      context_.TryCancel();
      polled[1].fd = -1;
      while (poll(polled, 2, -1) < 0) {
      }
      return absl::CancelledError("cancelled");
    }
    PONDER_RETURN_IF_ERROR(FromGrpcStatus(status_));
    if (!received_) {
      return absl::UnavailableError("the sandbox server sent no result");
    }
    return std::move(result_);
  }

  void OnReadDone(bool ok) override { received_ = ok; }
  void OnDone(const grpc::Status& status) override {
    status_ = status;
    const uint64_t one = 1;
    (void)!write(done_.get(), &one, sizeof(one));
  }

 private:
  const UniqueFd done_;
  grpc::ClientContext context_;
  SandboxResult result_;
  grpc::Status status_;
  bool received_ = false;
};

SandboxJob MakeJob(const Program& program, const RunLimits& limits) {
  SandboxJob job;
  job.set_source(program.source);
  job.set_language(program.language);
  *job.mutable_limits() = RunLimitsToConfig(limits);
  return job;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RemoteSandbox>> RemoteSandbox::Connect(
    const std::string& address, absl::Duration timeout) {
  auto remote = absl::WrapUnique(new RemoteSandbox);
  remote->address_ = address;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(SandboxServiceImpl::kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(SandboxServiceImpl::kMaxMessageBytes);
  remote->stub_ = SandboxService::NewStub(grpc::CreateCustomChannel(
      address, grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  context.set_wait_for_ready(true);
  SandboxDescription description;
  const grpc::Status status =
      remote->stub_->Describe(&context, DescribeSandboxRequest(), &description);
  if (!status.ok()) {
    return absl::UnavailableError(absl::StrCat(
        "no sandbox server answers at ", address, ": ", status.error_message(),
        "; start one with: ponder sandbox-server --listen ", address));
  }
  remote->num_slots_ = std::max(1, description.slots());
  return remote;
}

absl::StatusOr<SandboxResult> RemoteSandbox::Execute(
    const SandboxJob& job, const CancelToken* cancel) {
  const absl::Duration timeout =
      absl::Seconds(job.timeout_seconds()) + kAnswerTime;
  ExecuteCall call(stub_.get(), job, absl::Now() + timeout);
  absl::StatusOr<SandboxResult> result = call.Await(cancel);
  // To the caller these are more ways in which a sandbox is lost.
  if (absl::IsCancelled(result.status()) &&
      (cancel == nullptr || !cancel->cancelled())) {
    return absl::UnavailableError(
        absl::StrCat("the sandbox server at ", address_, " ended"));
  }
  if (absl::IsDeadlineExceeded(result.status())) {
    return absl::UnavailableError(absl::StrCat("the sandbox server at ",
                                               address_, " did not answer in ",
                                               absl::FormatDuration(timeout)));
  }
  return result;
}

absl::StatusOr<JudgeReport> RemoteSandbox::Judge(const Program& program,
                                                 const TestSuite& suite,
                                                 const RunLimits& limits,
                                                 const JudgeOptions& options,
                                                 const CancelToken* cancel) {
  SandboxJob job = MakeJob(program, limits);
  *job.mutable_tests() = suite;
  job.set_run_all_tests(!options.stop_at_first_failure);
  job.set_shuffle_seed(options.shuffle_seed);
  job.set_timeout_seconds(
      absl::ToDoubleSeconds(limits.suite_wall + kQueueTime));
  PONDER_ASSIGN_OR_RETURN(const SandboxResult result, Execute(job, cancel));
  return JudgeReportFrom(result);
}

absl::StatusOr<RunReport> RemoteSandbox::Run(const Program& program,
                                             absl::string_view standard_input,
                                             const RunLimits& limits,
                                             const CancelToken* cancel) {
  SandboxJob job = MakeJob(program, limits);
  job.set_stdin(std::string(standard_input));
  job.set_timeout_seconds(
      absl::ToDoubleSeconds(limits.suite_wall + kQueueTime));
  PONDER_ASSIGN_OR_RETURN(const SandboxResult result, Execute(job, cancel));
  return RunReportFrom(result);
}

}  // namespace ponder
