// absl::Status to and from grpc::Status; their codes have the same numbers.

#ifndef PONDER_BASE_GRPC_STATUS_H_
#define PONDER_BASE_GRPC_STATUS_H_

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace ponder {

grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace ponder

#endif  // PONDER_BASE_GRPC_STATUS_H_
