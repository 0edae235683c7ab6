#include "monitor/cost.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/file.h"

namespace ponder {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_usec) * 1e-6;
}

double UsageSeconds(int who) {
  rusage usage = {};
  getrusage(who, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

struct ProcessTime {
  int64_t parent = 0;
  double seconds = 0;  // Of the process and of its children that ended.
};

// The running processes by id, out of /proc/ID/stat (see proc(5)): behind the
// program's name, which is in parentheses and may hold anything, stand state,
// parent (field 4) ... utime, stime, cutime, cstime (fields 14 to 17).
std::map<int64_t, ProcessTime> RunningProcesses() {
  std::map<int64_t, ProcessTime> processes;
  const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc", error)) {
    int64_t id;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &id)) continue;
    const auto stat = ReadFile(entry.path().string() + "/stat");
    if (!stat.ok()) continue;  // It has ended.
    const size_t name_end = stat->rfind(") ");
    if (name_end == std::string::npos) continue;
    const std::vector<std::string> fields =
        absl::StrSplit(stat->substr(name_end + 2), ' ');
    ProcessTime process;
    if (fields.size() < 15 || !absl::SimpleAtoi(fields[1], &process.parent)) {
      continue;
    }
    for (int field = 11; field < 15; ++field) {
      int64_t ticks = 0;
      if (absl::SimpleAtoi(fields[field], &ticks)) {
        process.seconds += static_cast<double>(ticks) * tick;
      }
    }
    processes[id] = process;
  }
  return processes;
}

bool DescendsFrom(int64_t id, int64_t ancestor,
                  const std::map<int64_t, ProcessTime>& processes) {
  // The bound only matters if /proc changed while it was read.
  for (size_t depth = 0; depth < processes.size(); ++depth) {
    const auto process = processes.find(id);
    if (process == processes.end()) return false;
    id = process->second.parent;
    if (id == ancestor) return true;
  }
  return false;
}

}  // namespace

double CoreSecondsOfEndedChildren() { return UsageSeconds(RUSAGE_CHILDREN); }

double CoreSecondsOfProcessTree() {
  double seconds = UsageSeconds(RUSAGE_SELF) + CoreSecondsOfEndedChildren();
  const std::map<int64_t, ProcessTime> processes = RunningProcesses();
  for (const auto& [id, process] : processes) {
    if (DescendsFrom(id, getpid(), processes)) seconds += process.seconds;
  }
  return seconds;
}

std::vector<double> CoreSecondsOfProcesses(const std::vector<int64_t>& pids) {
  const std::map<int64_t, ProcessTime> processes = RunningProcesses();
  std::vector<double> seconds(pids.size());
  for (const auto& [id, process] : processes) {
    for (size_t i = 0; i < pids.size(); ++i) {
      if (id == pids[i] || DescendsFrom(id, pids[i], processes)) {
        seconds[i] += process.seconds;
      }
    }
  }
  return seconds;
}

Cost CostOf(const CostConfig& config, double core_seconds, double gpu_seconds) {
  Cost cost;
  cost.core_seconds = core_seconds;
  cost.gpu_seconds = gpu_seconds;
  cost.money = core_seconds / 3600 * config.core_hour() +
               gpu_seconds / 3600 * config.gpu_hour();
  cost.currency = config.currency();
  return cost;
}

std::string CostText(const Cost& cost) {
  std::string text = absl::StrFormat("%.0f core-seconds, ", cost.core_seconds);
  if (cost.gpu_seconds > 0) {
    absl::StrAppendFormat(&text, "%.0f GPU-seconds, ", cost.gpu_seconds);
  }
  absl::StrAppendFormat(&text, "%.2g %s", cost.money, cost.currency);
  return text;
}

void ChargePhases(const RoleSeconds& before, const RoleSeconds& now,
                  bool evaluating, PhaseSeconds* phases) {
  const double workers = std::max(0.0, now.workers - before.workers);
  const double rewards = std::max(0.0, now.rewards - before.rewards);
  const double all = std::max(workers + rewards, now.all - before.all);
  if (evaluating) {
    phases->evaluation += all;
    return;
  }
  phases->generation += workers;
  phases->reward += rewards;
  phases->learning += all - workers - rewards;
}

}  // namespace ponder
