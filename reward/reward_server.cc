#include "reward/reward_server.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "reward/builtin_verifiers.h"
#include "sandbox/remote_sandbox.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

// Verifiers whose work is bounded share this many threads: one a core.
int NumSharedThreads() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

absl::StatusOr<std::unique_ptr<Sandbox>> MakeSandbox(
    const RewardServer::Options& options) {
  if (!options.sandbox_address.empty()) {
    return RemoteSandbox::Connect(options.sandbox_address);
  }
  SandboxPool::Options pool;
  pool.num_slots = options.sandbox_slots;
  pool.allow_unsafe = options.unsafe_no_sandbox;
  return SandboxPool::Create(std::move(pool));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RewardServer>> RewardServer::Start(
    Options options) {
  PONDER_RETURN_IF_ERROR(ValidateRunLimits(options.code.limits));
  auto server = absl::WrapUnique(new RewardServer);
  absl::StatusOr<std::unique_ptr<Sandbox>> sandbox = MakeSandbox(options);
  if (sandbox.ok()) {
    server->sandbox_ = *std::move(sandbox);
  } else if (absl::IsInvalidArgument(sandbox.status())) {
    return sandbox.status();
  } else {
    server->sandbox_status_ = sandbox.status();
  }
  VerifierMap verifiers =
      BuiltInVerifiers(server->sandbox_.get(), options.code,
                       std::string(server->sandbox_status_.message()));
  for (auto& [name, verifier] : options.plugins) {
    if (!verifiers.emplace(name, std::move(verifier)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("reward.verifier: \"", name,
                       "\" is the name of a built-in verifier; wanted another "
                       "one"));
    }
  }
  server->scorer_ = std::make_unique<Scorer>(std::move(verifiers));
  server->service_ = std::make_unique<RewardServiceImpl>(server->scorer_.get(),
                                                         NumSharedThreads());

  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(),
                           &server->port_);
  // Otherwise a second server on one port gets half of the first one's calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(RewardServiceImpl::kMaxMessageBytes);
  builder.SetMaxSendMessageSize(RewardServiceImpl::kMaxMessageBytes);
  builder.RegisterService(server->service_.get());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || server->port_ == 0) {
    return absl::UnavailableError(
        absl::StrCat("the reward server cannot listen on ", options.address,
                     ": the port is in use, or the address is not this "
                     "machine's"));
  }
  return server;
}

void RewardServer::Stop(absl::Duration grace) {
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
}

RewardServer::~RewardServer() {
  if (server_ != nullptr) Stop(absl::ZeroDuration());
}

}  // namespace ponder
