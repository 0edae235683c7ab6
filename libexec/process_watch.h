// Counts what the processes of a run use together, where no cgroup does.

#ifndef PONDER_LIBEXEC_PROCESS_WATCH_H_
#define PONDER_LIBEXEC_PROCESS_WATCH_H_

#include <sys/types.h>

#include <cstdint>

namespace ponder {

class ProcessWatch {
 public:
  enum class Finding { kNothing, kOverMemory, kOverCpu };

  // Looks at all processes that this one can see but itself. 0: no limit.
  // `is_runner`: what the init and its children waited for is not counted, as
  // those are tests that are over.
  // Memory is what processes have for themselves (shared pages count once,
  // each with its share) and the files under /proc/INIT/root/work.
  Finding Look(pid_t init, int64_t memory_bytes, int64_t cpu_micros,
               bool is_runner);

  // Since Reset().
  int64_t peak_bytes() const { return peak_bytes_; }
  void Reset() { peak_bytes_ = 0; }

 private:
  bool OpenProc();

  int proc_ = -1;  // A /proc of this process's own that no run can see.
  int64_t peak_bytes_ = 0;
};

}  // namespace ponder

#endif  // PONDER_LIBEXEC_PROCESS_WATCH_H_
