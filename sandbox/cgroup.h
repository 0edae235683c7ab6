// Control groups of one sandbox cell, where this process may make them.

#ifndef PONDER_SANDBOX_CGROUP_H_
#define PONDER_SANDBOX_CGROUP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "sandbox/unique_fd.h"

namespace ponder {

// One group in each hierarchy that matters: memory, pids and CPU accounting in
// version 1, or one group of version 2. They are made under this process's own
// groups, reused from run to run, and removed by the destructor. Not
// thread-safe.
class Cgroup {
 public:
  // What could be made. A cell without any is possible: see limits_memory().
  static std::unique_ptr<Cgroup> Create(absl::string_view name);

  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  ~Cgroup();

  bool limits_memory() const { return !memory_.empty(); }
  bool limits_processes() const { return !pids_.empty(); }
  bool counts_cpu() const { return !cpu_file_.empty(); }

  // Before a run. False if a limit could not be set.
  bool Prepare(int64_t memory_bytes, int64_t processes);

  // Files that a process joins by writing "0", joined with ':'.
  std::string ProcsFiles() const;

  // Since the group was made.
  std::optional<int64_t> CpuMicros() const;
  int64_t OomKills() const;
  // Since Prepare().
  std::optional<int64_t> PeakMemoryBytes() const;

  // True if no process is left.
  bool IsEmpty() const;

 private:
  Cgroup() = default;

  bool MakeVersion1(absl::string_view controller, absl::string_view name,
                    std::string* folder);
  void MakeVersion2(absl::string_view name);
  void OpenReaders();

  // Kept open, because they are read in every run.
  UniqueFd cpu_reader_;
  UniqueFd oom_reader_;
  UniqueFd peak_reader_;  // Written to, to start anew.

  std::vector<std::string> folders_;  // Removed at the end.
  std::string memory_;                // Folder with the memory controller.
  std::string pids_;                  // Folder with the pids controller.
  std::string cpu_file_;              // What counts CPU time.
  bool version2_ = false;             // Of memory_, pids_ and cpu_file_.
  int64_t memory_limit_ = 0;          // As last set; 0: not yet.
  int64_t processes_limit_ = 0;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_CGROUP_H_
