// What the sandbox library says to the agent of a cell, and back. Plain structs
// and numbers: the programs of libexec/ use no library.
//
// A cell is a place for one run at a time. Its agent is a small process that
// lives inside the cell's file system, hears commands on a SOCK_SEQPACKET
// socket, starts runs and says how they ended. When the socket closes, the
// agent ends, and with it everything in the cell.
//
//   sandbox library ──socket──> agent (process 1 of the cell)
//                                 └─ init (process 1 of a run)
//                                      └─ the program, or Python's runner

#ifndef PONDER_LIBEXEC_LAUNCH_PROTOCOL_H_
#define PONDER_LIBEXEC_LAUNCH_PROTOCOL_H_

#include <cstdint>

namespace ponder {

// File descriptors that a launcher is started with.
inline constexpr int kAgentSocket = 3;
inline constexpr int kAgentFilter = 4;  // A file with the seccomp filter.
inline constexpr int kAgentRunner = 5;  // A file with the runner's source.
inline constexpr int kAgentZygote = 6;  // The library that a zygote loads.
inline constexpr int kNumAgentFds = 7;

// File descriptors of a run. They travel with the command, those that are
// there in this order, and have these numbers in the program.
enum RunFd : int {
  kRunStdin = 0,
  kRunStdout = 1,
  kRunStderr = 2,
  kRunControl = 3,  // Requests to Python's runner, and its answers.
  // Not seen by the program:
  kRunProgram = 4,  // Executed if the command says so; else its source.
  kRunCollect = 5,  // Where a file that the program leaves is copied to.
  kNumRunFds = 6,
};

enum RunOption : uint32_t {
  kRunWithProc = 1,        // Mounts /proc.
  kRunExecutesFile = 2,    // kRunProgram is what is executed.
  kRunExecutesPath = 4,    // The first argument is.
  kRunGivesFile = 8,       // kRunProgram stays open in the program.
  kRunWatchesMemory = 16,  // There is no cgroup that limits these two.
  kRunWatchesCpu = 32,
  kRunIsRunner = 64,  // Python's, whose forks are tests of their own.
  // It outlives a program's tests. The others stay on the processor that they
  // begin on, which the kernel has just chosen as one that has time.
  kRunServesMany = 128,
};

struct AgentCommand {
  enum Kind : int32_t { kRun = 1, kKill = 2 };

  int32_t kind;
  uint32_t run;      // Number of the run; comes back in its events.
  uint32_t fds;      // Bits of RunFd.
  uint32_t options;  // Of RunOption.
  // Limits of the run. 0: none.
  int64_t cpu_seconds;     // Of a process.
  int64_t cpu_micros;      // Of all together, if watched.
  int64_t memory_bytes;    // The same.
  int64_t file_bytes;      // Of a file.
  int64_t data_bytes;      // Of a process.
  int64_t stack_bytes;     // Of a process's first thread.
  int64_t disk_bytes;      // Of all files.
  int64_t inodes;          // Files, folders and links together.
  int64_t open_files;      // Of a process.
  int64_t processes;       // And threads.
  int64_t collect_bytes;   // Largest file that is copied to kRunCollect.
  uint32_t num_arguments;  // Texts after the first two.
  // Texts with a NUL behind each: name of the source file in /work ("": none),
  // name of the file to collect ("": none), arguments.
  char text[2048];
};

struct AgentEvent {
  enum Kind : int32_t {
    kReady = 1,       // The agent takes commands.
    kFailed = 2,      // It could not start; `text` says why.
    kRunFailed = 3,   // The run could not be set up.
    kMainEnded = 4,   // The program has ended by itself; wait_status, cpu.
    kRunGone = 5,     // No process of the run is left; the only last event.
    kOverMemory = 6,  // The watcher has ended the run.
    kOverCpu = 7,
  };

  int32_t kind;
  uint32_t run;
  int32_t wait_status;  // As waitpid() gives it.
  int32_t error;        // errno, or 0.
  int64_t cpu_micros;   // kMainEnded: of the program and what it waited for.
                        // kRunGone: of the whole run.
  int64_t max_rss_kib;  // Largest of one process.
  int64_t peak_bytes;   // kRunGone: most that the watcher saw; 0: unknown.
  int64_t collected;    // kMainEnded: bytes copied to kRunCollect; -1: none.
  char text[128];
};

}  // namespace ponder

#endif  // PONDER_LIBEXEC_LAUNCH_PROTOCOL_H_
