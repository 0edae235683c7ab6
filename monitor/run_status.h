// What a run is doing, as RUN/status.json: written by the trainer, read from
// another terminal.

#ifndef PONDER_MONITOR_RUN_STATUS_H_
#define PONDER_MONITOR_RUN_STATUS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace ponder {

struct RunProcess {
  std::string name;  // trainer, reward server, worker 1, ...
  int64_t pid = 0;
  // When it started, in clock ticks since boot (field 22 of /proc/PID/stat):
  // tells it from a later process with the same id.
  int64_t start_ticks = 0;
};

// The running process `pid`; start_ticks is 0 if there is none.
RunProcess ProcessOf(const std::string& name, int64_t pid);
// Whether this very process runs, on this machine.
bool IsAlive(const RunProcess& process);

struct RunStatus {
  enum class State { kRunning, kDone, kStopped, kFailed };
  State state = State::kRunning;
  std::string error;  // Of kFailed: the sentence that it ended with.
  std::string stage;
  int64_t stage_number = 0;  // From 1.
  int64_t stages = 0;
  int64_t step = 0;  // Updates of the whole run.
  // What is counted at the moment: the stage itself, or an evaluation.
  std::string doing;
  int64_t done = 0;
  int64_t total = 0;  // 0: not known.
  std::optional<absl::Duration> left;
  std::string note;                   // The health line of the step.
  std::vector<std::string> warnings;  // Of the health rules that act.
  std::vector<RunProcess> processes;  // The trainer first.
  absl::Time updated;

  nlohmann::ordered_json ToJson() const;
  static absl::StatusOr<RunStatus> FromJson(const nlohmann::ordered_json& json);
};

// Replaces RUN/status.json in one go, without waiting for the disk.
absl::Status WriteRunStatus(const std::string& run_folder,
                            const RunStatus& status);

// What RUN/status.json and the last lines of RUN/metrics.jsonl say.
struct RunReport {
  RunStatus status;
  // The run was killed: it says that it runs, and its trainer is gone.
  bool is_lost = false;
  std::vector<bool> alive;  // For each of status.processes.
  // The newest step's line, and the newest with held-out accuracy; null if
  // there is none yet.
  nlohmann::ordered_json last_step;
  nlohmann::ordered_json last_evaluation;
};

// NOT_FOUND if the folder is no run, or of a version that wrote no status.
absl::StatusOr<RunReport> ReadRunReport(const std::string& run_folder);

// For a script, and for a person: a few lines.
nlohmann::ordered_json RunReportJson(const RunReport& report);
std::string RunReportText(const std::string& run_folder,
                          const RunReport& report, absl::Time now);

}  // namespace ponder

#endif  // PONDER_MONITOR_RUN_STATUS_H_
