// The gRPC service of a sandbox; see proto/sandbox.proto.

#ifndef PONDER_SANDBOX_SANDBOX_SERVICE_H_
#define PONDER_SANDBOX_SANDBOX_SERVICE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/server.h"
#include "proto/sandbox.grpc.pb.h"
#include "sandbox/fair_queue.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {

// Thread-safe.
class SandboxServiceImpl final : public SandboxService::CallbackService {
 public:
  static constexpr int kMaxMessageBytes = 64 << 20;
  static constexpr size_t kMaxUnanswered = 16;  // Programs of a stream.
  static constexpr int kMaxStreams = 512;       // Of a connection.

  // `pool` is not owned and outlives the server.
  explicit SandboxServiceImpl(SandboxPool* pool)
      : pool_(pool), queue_(pool->num_slots()) {}

  grpc::ServerBidiReactor<SandboxJob, SandboxResult>* Execute(
      grpc::CallbackServerContext* context) override;

  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const DescribeSandboxRequest* request,
                                     SandboxDescription* response) override;

 private:
  SandboxPool* const pool_;
  FairQueue queue_;
};

// A process's sandbox server. Serves from Start() until the destructor.
class SandboxServer {
 public:
  struct Options {
    std::string address = "127.0.0.1:0";  // Port 0: any free port.
    SandboxPool::Options pool;
  };

  // UNAVAILABLE if the address cannot be listened on; the errors of
  // SandboxPool::Create().
  static absl::StatusOr<std::unique_ptr<SandboxServer>> Start(Options options);

  SandboxServer(const SandboxServer&) = delete;
  SandboxServer& operator=(const SandboxServer&) = delete;
  ~SandboxServer();  // Stop() without grace.

  // Refuses new streams, gives those under way `grace` to end, then cancels
  // them, and waits.
  void Stop(absl::Duration grace);

  int port() const { return port_; }
  const SandboxPool& pool() const { return *pool_; }

 private:
  SandboxServer() = default;

  // In the order in which they need one another.
  std::unique_ptr<SandboxPool> pool_;
  std::unique_ptr<SandboxServiceImpl> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_SANDBOX_SERVICE_H_
