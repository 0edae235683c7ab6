// A verifier that users serve themselves, over gRPC: proto/verifier.proto.

#ifndef PONDER_REWARD_PLUGIN_GRPC_VERIFIER_H_
#define PONDER_REWARD_PLUGIN_GRPC_VERIFIER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/verifier.grpc.pb.h"
#include "reward/plugin/patience.h"
#include "reward/plugin/plugin_codec.h"
#include "reward/verifier.h"

namespace ponder {

// A call that fails or takes too long makes its samples unscorable. A service
// that went away is waited for within the timeout. Thread-safe.
class GrpcVerifier final : public Verifier {
 public:
  struct Options {
    std::string name;
    std::string address;     // HOST:PORT.
    absl::Duration timeout;  // Of one call.
    int workers = 1;         // Calls at the same time.
    double correct_from = 1;
  };

  // Waits until the service can be reached. INVALID_ARGUMENT if it cannot.
  static absl::StatusOr<std::unique_ptr<GrpcVerifier>> Connect(
      const Options& options);

  absl::StatusOr<std::vector<VerifierScore>> Score(
      absl::Span<const SampleToScore> samples,
      const CancelToken* cancel) override;

  int num_threads() const override { return options_.workers; }
  int max_samples() const override { return kMaxPluginBatch; }

 private:
  explicit GrpcVerifier(const Options& options)
      : options_(options), patience_(options.timeout) {}

  // One call. OK if there is a score for each of `samples`.
  absl::Status Call(absl::Span<const SampleToScore> samples,
                    const CancelToken* cancel, VerifyReply* reply) const;

  const Options options_;
  Patience patience_;
  std::unique_ptr<VerifierService::Stub> stub_;
};

}  // namespace ponder

#endif  // PONDER_REWARD_PLUGIN_GRPC_VERIFIER_H_
