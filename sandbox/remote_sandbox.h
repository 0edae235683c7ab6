// A sandbox server as a sandbox.

#ifndef PONDER_SANDBOX_REMOTE_SANDBOX_H_
#define PONDER_SANDBOX_REMOTE_SANDBOX_H_

#include <memory>
#include <string>

#include "proto/sandbox.grpc.pb.h"
#include "sandbox/sandbox.h"

namespace ponder {

// Thread-safe. All calls share one connection, hence one place in the server's
// turns.
class RemoteSandbox final : public Sandbox {
 public:
  // Asks the server what it can do. UNAVAILABLE if none answers in `timeout`.
  static absl::StatusOr<std::unique_ptr<RemoteSandbox>> Connect(
      const std::string& address, absl::Duration timeout = absl::Seconds(10));

  absl::StatusOr<JudgeReport> Judge(const Program& program,
                                    const TestSuite& suite,
                                    const RunLimits& limits,
                                    const JudgeOptions& options,
                                    const CancelToken* cancel) override;
  absl::StatusOr<RunReport> Run(const Program& program,
                                absl::string_view standard_input,
                                const RunLimits& limits,
                                const CancelToken* cancel) override;
  int num_slots() const override { return num_slots_; }

 private:
  RemoteSandbox() = default;

  absl::StatusOr<SandboxResult> Execute(const SandboxJob& job,
                                        const CancelToken* cancel);

  std::string address_;
  std::unique_ptr<SandboxService::Stub> stub_;
  int num_slots_ = 0;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_REMOTE_SANDBOX_H_
