// One run in a cell, from its start to the end of its last process.
//
// A run is a program, or Python's runner, which gets requests and gives answers
// over a channel of its own. Standard output and error have a pipe each, which
// are always drained.

#ifndef PONDER_SANDBOX_SANDBOX_RUN_H_
#define PONDER_SANDBOX_SANDBOX_RUN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "sandbox/cancel_token.h"
#include "sandbox/run_limits.h"
#include "sandbox/sandbox_cell.h"
#include "sandbox/unique_fd.h"

namespace ponder {

// What is run. The descriptors are borrowed until Start() returns.
struct RunSpec {
  bool is_runner = false;              // Python's; then nothing else counts.
  std::vector<std::string> arguments;  // The first is a path in the cell,
  int program = -1;                    // unless this file is executed.
  std::string source_name;             // Where `source` is put, in /work.
  int source = -1;                     // Not together with `program`.
  std::string collect_name;            // A file that the program leaves there,
  int collect = -1;                    // and where to copy it to.
  int64_t collect_bytes = 0;           // Largest such file.
  int standard_input = -1;             // -1: /dev/null.
  bool with_proc = true;               // Whether there is a /proc.
  // Of a runner: it serves the tests of many programs, so that its own
  // processor time is not theirs.
  bool serves_many = false;
};

// A message of the runner.
struct RunnerMessage {
  char kind = 0;
  std::string body;
};

struct CapturedOutput {
  std::string stdout_bytes;
  std::string stderr_bytes;
  bool stdout_truncated = false;
  bool stderr_truncated = false;
};

// How a run ended.
struct RunEnd {
  bool by_itself = false;  // Else it was killed, and the next two say nothing.
  int wait_status = 0;     // As waitpid() gives it.
  absl::Duration program_cpu;     // Of the program and what it waited for.
  absl::Duration cpu;             // Of the whole run and its set-up.
  int64_t peak_memory_bytes = 0;  // 0: not known.
  bool out_of_memory = false;     // The limit was hit and something killed.
  int64_t collected_bytes = -1;   // -1: there was no such file.
};

// Not thread-safe. The destructor kills what is left.
class SandboxRun {
 public:
  enum class Event {
    kMessage,      // The runner says something.
    kEnded,        // No process of the run is left.
    kOutputLimit,  // A stream or a message is larger than allowed.
    kWallLimit,
    kCpuLimit,
    kCancelled,
    kLost,  // The agent is gone, or could not start the run: see lost().
  };

  // Starts a run in `cell`, which it uses until it ends. All but `spec`
  // outlives it; `cancel` may be null. RESOURCE_EXHAUSTED, UNAVAILABLE or
  // INTERNAL if the system refuses.
  static absl::StatusOr<std::unique_ptr<SandboxRun>> Start(
      const SandboxTools& tools, SandboxCell& cell, const RunSpec& spec,
      const RunLimits& limits, const CancelToken* cancel);

  SandboxRun(const SandboxRun&) = delete;
  SandboxRun& operator=(const SandboxRun&) = delete;
  ~SandboxRun();

  // Another one waits for it from now on; null: nobody.
  void set_cancel(const CancelToken* cancel) { cancel_ = cancel; }

  // Queues a request, behind `token`; Next() writes it.
  void Send(char kind, absl::string_view body, absl::string_view token = "");

  // Starts the clocks of one test. It may take `wall`, but not past
  // `last_moment`.
  void StartClock(absl::Duration wall, absl::Time last_moment);

  // Waits for what happens next. With kMessage and kEnded, all output that was
  // written before is captured.
  Event Next(RunnerMessage* message);

  // What was captured since the last call.
  CapturedOutput TakeOutput();

  // Whether something was killed for want of memory since StartClock().
  bool OutOfMemory() const;

  // CPU time since StartClock(), if the cell counts it.
  absl::Duration CpuSinceClock() const;

  // Of kLost.
  const absl::Status& lost() const { return lost_; }

  // Kills what is left and waits until no process is. DEADLINE_EXCEEDED or
  // UNAVAILABLE if that fails; the cell must then not be used again. Call once.
  absl::StatusOr<RunEnd> End();

 private:
  SandboxRun(SandboxCell& cell, const RunLimits& limits,
             const CancelToken* cancel);

  absl::Status Launch(const SandboxTools& tools, const RunSpec& spec);
  void FillLimits(const RunSpec& spec, AgentCommand* command) const;
  // What the agent says; false if it is gone.
  bool ReadEvents();
  bool TakeMessage(RunnerMessage* message);
  void ReadControl();
  void ReadStream(int index);
  bool OverOutputLimit() const;
  bool OverCpuLimit();
  void WritePending();
  void Wait(absl::Duration longest);

  SandboxCell& cell_;
  const RunLimits limits_;
  const CancelToken* cancel_;  // May be null.
  const uint32_t number_;      // In the cell.

  UniqueFd control_;
  UniqueFd streams_[2];  // Standard output and error.

  std::string pending_;         // Requests not yet written.
  size_t pending_done_ = 0;     // Bytes of it that are.
  std::string received_;        // Bytes of messages not yet complete.
  bool control_ended_ = false;  // Nobody is left to write any.
  std::string captured_[2];     // At most limits_.output_bytes + 1.
  bool too_large_ = false;      // A message beyond kMaxMessageBytes.
  bool gone_ = false;           // The agent says that no process is left.
  bool killed_ = false;         // By End().
  bool over_memory_ = false;    // The agent's watcher says so.
  bool over_cpu_ = false;
  RunEnd end_;
  absl::Status lost_;

  absl::Time deadline_ = absl::InfiniteFuture();  // Of the running test.
  absl::Time last_cpu_check_;  // When the group's CPU time was last read.
  int64_t cpu_start_ = 0;      // Microseconds of the group at StartClock().
  int64_t cpu_first_ = 0;      // And at the start.
  int64_t oom_start_ = 0;      // Kills in the group until StartClock().
};

// Largest answer of a runner that is read.
inline constexpr size_t kMaxMessageBytes = size_t{8} << 20;

}  // namespace ponder

#endif  // PONDER_SANDBOX_SANDBOX_RUN_H_
