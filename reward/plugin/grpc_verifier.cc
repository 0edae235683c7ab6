#include "reward/plugin/grpc_verifier.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/grpcpp.h"
#include "sandbox/unique_fd.h"

namespace ponder {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(20);
constexpr int kMaxReconnectMs = 1000;

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcVerifier>> GrpcVerifier::Connect(
    const Options& options) {
  auto verifier = absl::WrapUnique(new GrpcVerifier(options));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // A service that is started again is found soon; gRPC's default is minutes.
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMs);
  const auto channel = grpc::CreateCustomChannel(
      options.address, grpc::InsecureChannelCredentials(), arguments);
  if (!channel->WaitForConnected(
          absl::ToChronoTime(absl::Now() + kConnectTimeout))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "verifier ", options.name, ": no service answers at ", options.address,
        " within ", absl::FormatDuration(kConnectTimeout),
        "; start it before the run, or correct its address"));
  }
  verifier->stub_ = VerifierService::NewStub(channel);
  return verifier;
}

absl::StatusOr<std::vector<VerifierScore>> GrpcVerifier::Score(
    absl::Span<const SampleToScore> samples, const CancelToken* cancel) {
  if (samples.empty()) return std::vector<VerifierScore>();
  VerifyReply reply;
  const absl::Time start = absl::Now();
  absl::Status status = patience_.MayAsk(start);
  if (status.ok()) {
    status = Call(samples, cancel, &reply);
    if (cancel != nullptr && cancel->cancelled()) {
      return absl::CancelledError("nobody waits for the score any more");
    }
    patience_.OnOver(!status.ok(), start, absl::Now());
  }
  if (!status.ok()) {
    std::fprintf(stderr, "[%s] ponder: unscorable, %zu responses: %s\n",
                 options_.name.c_str(), samples.size(),
                 std::string(status.message()).c_str());
    VerifierScore failed = UnscorableByPlugin(options_.name, status.message());
    failed.timed_out = absl::IsDeadlineExceeded(status);
    return std::vector<VerifierScore>(samples.size(), failed);
  }
  std::vector<VerifierScore> scores;
  for (const SampleScore& score : reply.scores()) {
    PluginAnswer answer;
    if (score.has_score()) answer.score = score.score();
    answer.reason = score.reason();
    scores.push_back(
        ScoreOfAnswer(options_.name, options_.correct_from, answer));
  }
  return scores;
}

absl::Status GrpcVerifier::Call(absl::Span<const SampleToScore> samples,
                                const CancelToken* cancel,
                                VerifyReply* reply) const {
  const UniqueFd done(eventfd(0, EFD_CLOEXEC));
  if (!done.is_open()) {
    return absl::UnavailableError("no file descriptors are left");
  }
  VerifyRequest request;
  for (const SampleToScore& sample : samples) {
    FillSampleToVerify(sample, request.add_samples());
  }
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
  context.set_wait_for_ready(true);
  grpc::Status status;
  stub_->async()->Verify(&context, &request, reply,
                         [&](const grpc::Status& result) {
                           status = result;
                           const uint64_t one = 1;
                           (void)!write(done.get(), &one, sizeof(one));
                         });
  pollfd polled[2] = {{done.get(), POLLIN, 0},
                      {cancel == nullptr ? -1 : cancel->fd(), POLLIN, 0}};
  while (polled[0].revents == 0) {
    poll(polled, 2, -1);
    if (polled[1].revents != 0) {
      context.TryCancel();  // And then it is done.
      polled[1] = {-1, 0, 0};
    }
  }
  // Only then is what the callback wrote seen here.
  uint64_t count;
  (void)!read(done.get(), &count, sizeof(count));
  const std::string service = absl::StrCat("its service at ", options_.address);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::DeadlineExceededError(
        absl::StrCat(service, " did not answer within ",
                     absl::FormatDuration(options_.timeout)));
  }
  if (!status.ok()) {
    return absl::UnavailableError(
        absl::StrCat(service, " failed: ", status.error_message()));
  }
  if (reply->scores_size() != static_cast<int>(samples.size())) {
    return absl::UnavailableError(
        absl::StrCat(service, " answered ", reply->scores_size(),
                     " scores for ", samples.size(), " samples"));
  }
  return absl::OkStatus();
}

}  // namespace ponder
