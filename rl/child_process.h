// A program of ours that the trainer starts on this machine.

#ifndef PONDER_RL_CHILD_PROCESS_H_
#define PONDER_RL_CHILD_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ponder {

// Runs this very program with other arguments. Its standard output and error go
// to a log file. It dies with this process, and a Ctrl-C on the terminal
// reaches only the trainer. Start children on the main thread: Linux ends them
// with the thread that started them. Not thread-safe.
class ChildProcess {
 public:
  struct Options {
    std::string name;  // For messages: "reward server", "worker 1".
    std::vector<std::string> arguments;
    std::string log_path;  // Appended to.
  };

  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(
      const Options& options);

  // Ends it: SIGTERM, and SIGKILL after two seconds.
  ~ChildProcess();

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The line that the child writes to its descriptor 3, without the newline:
  // the port that it serves on. UNAVAILABLE with the end of its log if it ends
  // first, DEADLINE_EXCEEDED after `timeout`.
  absl::StatusOr<std::string> ReadLine(absl::Duration timeout);

  // Whether it still runs.
  bool Running();

  // How it ended and the last lines of its log, as one text.
  std::string Obituary();

  int pid() const;
  const std::string& name() const { return options_.name; }

 private:
  struct Process;

  explicit ChildProcess(const Options& options);

  const Options options_;
  std::unique_ptr<Process> process_;
};

}  // namespace ponder

#endif  // PONDER_RL_CHILD_PROCESS_H_
