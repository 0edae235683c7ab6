// What one program may use, and how it ended.

#ifndef PONDER_SANDBOX_RUN_LIMITS_H_
#define PONDER_SANDBOX_RUN_LIMITS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/config.pb.h"

namespace ponder {

// The defaults are those of SandboxLimits in proto/config.proto.
struct RunLimits {
  absl::Duration cpu = absl::Seconds(2);   // Each test; rounded up to seconds.
  absl::Duration wall = absl::Seconds(5);  // Each test.
  // All tests of one program together.
  absl::Duration suite_wall = absl::Seconds(60);
  // All processes and files together where a memory cgroup can be made,
  // otherwise each process alone.
  int64_t memory_bytes = int64_t{256} << 20;
  int32_t processes = 64;                   // And threads.
  int64_t output_bytes = int64_t{1} << 20;  // Each stream, each test.
  int64_t file_bytes = int64_t{16} << 20;   // Largest file.
  int64_t disk_bytes = int64_t{64} << 20;   // All files together.
  int64_t inodes = 4096;                    // Files, folders, links.
  int32_t open_files = 256;                 // Of a process.
  int64_t stack_bytes = int64_t{64} << 20;  // Of a process's first thread.
};

RunLimits RunLimitsFromConfig(const SandboxLimits& config);
SandboxLimits RunLimitsToConfig(const RunLimits& limits);

// INVALID_ARGUMENT names the field that no program could run with.
absl::Status ValidateRunLimits(const RunLimits& limits);

}  // namespace ponder

#endif  // PONDER_SANDBOX_RUN_LIMITS_H_
