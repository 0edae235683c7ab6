#include "sandbox/run_limits.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ponder {

RunLimits RunLimitsFromConfig(const SandboxLimits& config) {
  RunLimits limits;
  limits.cpu = absl::Seconds(config.cpu_seconds());
  limits.wall = absl::Seconds(config.wall_seconds());
  limits.suite_wall =
      std::max(absl::Seconds(config.suite_wall_seconds()), limits.wall);
  limits.memory_bytes = config.memory_bytes();
  limits.processes = config.processes();
  limits.output_bytes = config.output_bytes();
  limits.file_bytes = config.file_bytes();
  limits.disk_bytes = config.disk_bytes();
  limits.inodes = config.inodes();
  limits.open_files = config.open_files();
  limits.stack_bytes = config.stack_bytes();
  return limits;
}

SandboxLimits RunLimitsToConfig(const RunLimits& limits) {
  SandboxLimits config;
  config.set_cpu_seconds(absl::ToDoubleSeconds(limits.cpu));
  config.set_wall_seconds(absl::ToDoubleSeconds(limits.wall));
  config.set_suite_wall_seconds(absl::ToDoubleSeconds(limits.suite_wall));
  config.set_memory_bytes(limits.memory_bytes);
  config.set_processes(limits.processes);
  config.set_output_bytes(limits.output_bytes);
  config.set_file_bytes(limits.file_bytes);
  config.set_disk_bytes(limits.disk_bytes);
  config.set_inodes(limits.inodes);
  config.set_open_files(limits.open_files);
  config.set_stack_bytes(limits.stack_bytes);
  return config;
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
  if (limits.inodes < 16) return too_small("inodes", "16");
  if (limits.open_files < 16) return too_small("open_files", "16");
  if (limits.stack_bytes < 65536) return too_small("stack_bytes", "65536");
  return absl::OkStatus();
}

}  // namespace ponder
