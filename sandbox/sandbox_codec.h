// Jobs and results of the sandbox as messages of proto/sandbox.proto.

#ifndef PONDER_SANDBOX_SANDBOX_CODEC_H_
#define PONDER_SANDBOX_SANDBOX_CODEC_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/sandbox.pb.h"
#include "sandbox/verdict.h"

namespace ponder {

void FillResult(const absl::Status& status, SandboxResult* result);
void FillResult(const JudgeReport& report, SandboxResult* result);
void FillResult(const RunReport& report, SandboxResult* result);

// The status of a result that is none; INTERNAL for a verdict that is none.
absl::StatusOr<JudgeReport> JudgeReportFrom(const SandboxResult& result);
absl::StatusOr<RunReport> RunReportFrom(const SandboxResult& result);

}  // namespace ponder

#endif  // PONDER_SANDBOX_SANDBOX_CODEC_H_
