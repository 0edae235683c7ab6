#include "sandbox/run_limits.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ponder {

RunLimits RunLimitsFromConfig(const SandboxLimits& config) {
  RunLimits limits;
  limits.cpu = absl::Seconds(config.cpu_seconds());
  limits.wall = absl::Seconds(config.wall_seconds());
  limits.suite_wall = std::max(limits.suite_wall, limits.wall);
  limits.memory_bytes = config.memory_bytes();
  limits.processes = config.processes();
  limits.output_bytes = config.output_bytes();
  limits.file_bytes = config.file_bytes();
  limits.disk_bytes = config.disk_bytes();
  return limits;
}

absl::Status ValidateRunLimits(const RunLimits& limits) {
  const auto too_small = [](absl::string_view field, absl::string_view least) {
    return absl::InvalidArgumentError(
        absl::StrCat("sandbox limits: ", field, " must be at least ", least));
  };
  if (limits.cpu < absl::Milliseconds(10)) {
    return too_small("cpu_seconds", "0.01");
  }
  if (limits.wall < absl::Milliseconds(10)) {
    return too_small("wall_seconds", "0.01");
  }
  // The interpreter alone takes 10 MiB.
  if (limits.memory_bytes < int64_t{32} << 20) {
    return too_small("memory_bytes", "33554432 (32 MiB)");
  }
  if (limits.processes < 1) return too_small("processes", "1");
  if (limits.output_bytes < 1) return too_small("output_bytes", "1");
  if (limits.file_bytes < 4096) return too_small("file_bytes", "4096");
  if (limits.disk_bytes < int64_t{1} << 20) {
    return too_small("disk_bytes", "1048576 (1 MiB)");
  }
  return absl::OkStatus();
}

}  // namespace ponder
