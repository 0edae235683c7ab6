// Where groups of samples come from.

#ifndef PONDER_RL_GROUP_SAMPLER_H_
#define PONDER_RL_GROUP_SAMPLER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/coordinator.pb.h"

namespace ponder {

// A group that came back.
struct FinishedGroup {
  Lease lease;
  std::vector<Sample> samples;  // In the order of the lease.
  GroupTiming timing;
};

// Used by one thread.
class GroupSampler {
 public:
  virtual ~GroupSampler() = default;

  // Gives leases out, in their order, and returns. Their group ids are new.
  virtual void Enqueue(std::vector<Lease> leases) = 0;

  // The next group that came back and that is `wanted`; others are kept for
  // later calls. Blocks. CANCELLED when a stop was requested; the error of who
  // does not answer.
  virtual absl::StatusOr<FinishedGroup> Wait(
      const std::function<bool(const std::string& group_id)>& wanted) = 0;

  // Nobody waits for these groups any more.
  virtual void Cancel(const std::vector<std::string>& group_ids) = 0;
};

}  // namespace ponder

#endif  // PONDER_RL_GROUP_SAMPLER_H_
