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

double CoreSecondsOfProcessTree() {
  double seconds = UsageSeconds(RUSAGE_SELF) + UsageSeconds(RUSAGE_CHILDREN);
  const std::map<int64_t, ProcessTime> processes = RunningProcesses();
  for (const auto& [id, process] : processes) {
    if (DescendsFrom(id, getpid(), processes)) seconds += process.seconds;
  }
  return seconds;
}

std::string CostText(const Cost& cost) {
  return absl::StrFormat("%.0f core-seconds, %.2g %s", cost.core_seconds,
                         cost.money, cost.currency);
}

CostMeter::CostMeter(const CostConfig& config)
    : config_(config), start_(CoreSecondsOfProcessTree()) {}

void CostMeter::AddCoreSeconds(double core_seconds) {
  absl::MutexLock lock(&mu_);
  elsewhere_ += core_seconds;
}

double CostMeter::CoreSeconds() const {
  return CoreSecondsOfProcessTree() - start_ + elsewhere_;
}

Cost CostMeter::Of(double core_seconds) const {
  Cost cost;
  // A child that dies unwaited takes its time with it; time never goes back.
  cost.core_seconds = std::max(0.0, core_seconds);
  cost.money = cost.core_seconds / 3600 * config_.core_hour();
  cost.currency = config_.currency();
  return cost;
}

Cost CostMeter::Total() const {
  absl::MutexLock lock(&mu_);
  return Of(CoreSeconds());
}

Cost CostMeter::Lap() {
  absl::MutexLock lock(&mu_);
  const double now = CoreSeconds();
  const double lap = now - lap_start_;
  lap_start_ = now;
  return Of(lap);
}

}  // namespace ponder
