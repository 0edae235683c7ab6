#include "rollout/policy_client.h"

#include <chrono>
#include <cstring>

#include "ATen/ops/empty.h"
#include "absl/strings/str_cat.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"
#include "policy/checkpoint.h"

namespace ponder {
namespace {

constexpr std::chrono::minutes kPullDeadline(10);

absl::Status AddChunk(const TensorChunk& chunk, TensorMap* weights) {
  const at::ScalarType type = ScalarTypeOf(chunk.dtype());
  if (type == at::ScalarType::Undefined) {
    return absl::DataLossError(absl::StrCat("tensor ", chunk.name(),
                                            " came with the unknown dtype \"",
                                            chunk.dtype(), "\""));
  }
  at::Tensor& tensor = (*weights)[chunk.name()];
  if (!tensor.defined()) {
    const std::vector<int64_t> shape(chunk.shape().begin(),
                                     chunk.shape().end());
    tensor = at::empty(shape, type);
  }
  const int64_t size = static_cast<int64_t>(chunk.content().size());
  if (chunk.offset() < 0 ||
      chunk.offset() + size > static_cast<int64_t>(tensor.nbytes())) {
    return absl::DataLossError(
        absl::StrCat("a chunk of tensor ", chunk.name(), " lies outside it"));
  }
  std::memcpy(static_cast<char*>(tensor.mutable_data_ptr()) + chunk.offset(),
              chunk.content().data(), chunk.content().size());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PulledPolicy> PullPolicy(Coordinator::Stub* stub,
                                        const std::string& worker_id,
                                        int64_t version) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPullDeadline);
  PullPolicyRequest request;
  request.set_worker_id(worker_id);
  request.set_version(version);
  const auto stream = stub->PullPolicy(&context, request);

  PulledPolicy policy;
  PolicyHeader header;
  absl::Status broken;
  PolicyChunk chunk;
  while (stream->Read(&chunk)) {
    if (!broken.ok()) continue;
    if (chunk.has_header()) {
      header = chunk.header();
    } else {
      broken = AddChunk(chunk.tensor(), &policy.weights);
      if (!broken.ok()) context.TryCancel();
    }
  }
  const absl::Status status = FromGrpcStatus(stream->Finish());
  PONDER_RETURN_IF_ERROR(broken);
  PONDER_RETURN_IF_ERROR(status);
  policy.version = header.version();
  policy.checksum = WeightsChecksum(policy.weights);
  if (policy.checksum != header.checksum()) {
    return absl::DataLossError(absl::StrCat(
        "policy version ", header.version(), " arrived with checksum ",
        policy.checksum, ", the trainer sent ", header.checksum()));
  }
  return policy;
}

}  // namespace ponder
