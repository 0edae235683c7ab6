// Pulls the policy from the trainer.

#ifndef PONDER_ROLLOUT_POLICY_CLIENT_H_
#define PONDER_ROLLOUT_POLICY_CLIENT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "policy/decoder.h"
#include "proto/coordinator.grpc.pb.h"

namespace ponder {

struct PulledPolicy {
  int64_t version = 0;
  uint32_t checksum = 0;  // Of the tensors as they lie here after the pull.
  TensorMap weights;
};

// Blocks until the whole policy is here. DATA_LOSS if what arrived is not what
// the header promised.
absl::StatusOr<PulledPolicy> PullPolicy(Coordinator::Stub* stub,
                                        const std::string& worker_id,
                                        int64_t version);

}  // namespace ponder

#endif  // PONDER_ROLLOUT_POLICY_CLIENT_H_
