#include "sandbox/run_limits.h"

#include <algorithm>
#include <utility>

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
  const auto out_of_bounds = [](absl::string_view field,
                                absl::string_view least,
                                absl::string_view most) {
    return absl::InvalidArgumentError(absl::StrCat(
        "sandbox limits: ", field, " must be from ", least, " to ", most));
  };
  // Not a number is out of bounds too.
  for (const auto& [field, time] :
       {std::pair<const char*, absl::Duration>{"cpu_seconds", limits.cpu},
        {"wall_seconds", limits.wall},
        {"suite_wall_seconds", limits.suite_wall}}) {
    if (!(time >= absl::Milliseconds(10) && time <= absl::Hours(24))) {
      return out_of_bounds(field, "0.01", "86400");
    }
  }
  struct Bound {
    const char* field;
    int64_t value;
    int64_t least;
    int64_t most;
  };
  constexpr int64_t kTiB = int64_t{1} << 40;
  for (const Bound& bound :
       {// The interpreter alone takes 10 MiB.
        Bound{"memory_bytes", limits.memory_bytes, int64_t{32} << 20, kTiB},
        Bound{"processes", limits.processes, 1, 1 << 16},
        // Two streams and all verdicts have to fit one message.
        Bound{"output_bytes", limits.output_bytes, 1, 16 << 20},
        Bound{"file_bytes", limits.file_bytes, 4096, kTiB},
        Bound{"disk_bytes", limits.disk_bytes, 1 << 20, kTiB},
        Bound{"inodes", limits.inodes, 16, 1 << 30},
        // Ours are among them while a run is set up.
        Bound{"open_files", limits.open_files, 64, 1 << 20},
        Bound{"stack_bytes", limits.stack_bytes, 65536, kTiB}}) {
    if (bound.value < bound.least || bound.value > bound.most) {
      return out_of_bounds(bound.field, absl::StrCat(bound.least),
                           absl::StrCat(bound.most));
    }
  }
  return absl::OkStatus();
}

}  // namespace ponder
