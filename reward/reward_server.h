// A process's reward server: sandbox, scorer, service and gRPC server.

#ifndef PONDER_REWARD_REWARD_SERVER_H_
#define PONDER_REWARD_REWARD_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/server.h"
#include "reward/code_verifier.h"
#include "reward/reward_service.h"
#include "reward/scorer.h"
#include "reward/verifier.h"
#include "sandbox/sandbox.h"

namespace ponder {

// Serves from Start() until the destructor. Thread-safe.
class RewardServer {
 public:
  struct Options {
    std::string address = "127.0.0.1:0";  // Port 0: any free port.
    int sandbox_slots = 0;                // Programs at a time. 0: one a core.
    std::string sandbox_address;          // Of a sandbox server; "": none.
    // Runs programs without isolation where there is no other way.
    bool unsafe_no_sandbox = false;
    CodeVerifier::Options code;
    // Beside the built-in ones, whose names they may not have.
    VerifierMap plugins;
  };

  // UNAVAILABLE if the address cannot be listened on, INVALID_ARGUMENT for
  // limits that no program could run with and a plug-in's name that is taken.
  // Where nothing can be isolated, or the sandbox server does not answer, this
  // one still starts and refuses problems with code; see sandbox_status().
  static absl::StatusOr<std::unique_ptr<RewardServer>> Start(Options options);

  RewardServer(const RewardServer&) = delete;
  RewardServer& operator=(const RewardServer&) = delete;

  // Refuses new streams, gives those under way `grace` to end, then cancels
  // them, and waits.
  void Stop(absl::Duration grace);

  ~RewardServer();  // Stop() without grace.

  int port() const { return port_; }

  // OK, or why problems with code are refused.
  const absl::Status& sandbox_status() const { return sandbox_status_; }

 private:
  RewardServer() = default;

  // In the order in which they need one another.
  absl::Status sandbox_status_;
  std::unique_ptr<Sandbox> sandbox_;
  std::unique_ptr<Scorer> scorer_;
  std::unique_ptr<RewardServiceImpl> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace ponder

#endif  // PONDER_REWARD_REWARD_SERVER_H_
