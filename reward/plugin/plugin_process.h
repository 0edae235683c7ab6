// A process that scores responses: JSON lines in, JSON lines out.
//
//   its standard input   one request a line
//   its standard output  one line once it is ready, then one a request
//   its standard error   whatever it prints; goes to ours
//
// docs/verifiers.md says what stands in the lines.

#ifndef PONDER_REWARD_PLUGIN_PLUGIN_PROCESS_H_
#define PONDER_REWARD_PLUGIN_PLUGIN_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "reward/plugin/stderr_log.h"
#include "sandbox/unique_fd.h"

namespace ponder {

// Leads a process group of its own, which dies with it. Linux ends the process
// together with the thread that started it, so that thread keeps it. Not
// thread-safe.
class PluginProcess {
 public:
  struct Options {
    std::string name;                  // For what it prints.
    std::vector<std::string> command;  // Program, by path, and arguments.
    // Readable once nobody wants an answer any more. Not owned.
    int stop_fd = -1;
  };

  // Takes one line. True if it was the last one that is waited for; a further
  // one may still come, if it was written already.
  using TakeLine = std::function<absl::StatusOr<bool>(absl::string_view)>;

  // Blocks SIGPIPE on the calling thread. UNAVAILABLE if the program cannot be
  // started.
  static absl::StatusOr<std::unique_ptr<PluginProcess>> Start(
      const Options& options);

  // Closes its input and gives it a second to end, then kills its group. At
  // once if an exchange has failed.
  ~PluginProcess();

  PluginProcess(const PluginProcess&) = delete;
  PluginProcess& operator=(const PluginProcess&) = delete;

  // Writes `request`, which may be empty, and hands on each line that comes.
  // DEADLINE_EXCEEDED after `timeout`; UNAVAILABLE with how it ended and its
  // last lines, if it ended; CANCELLED; or the error of `take`. After an error
  // the process must not be used again.
  absl::Status Exchange(absl::string_view request, absl::Duration timeout,
                        const TakeLine& take);

  // Whether it still runs and has written nothing that no exchange took: only
  // then can the next answer be told from the last.
  bool InStep();

  // What it has said lately on standard error.
  std::string LastLines() const { return log_->LastLines(); }

 private:
  PluginProcess() = default;

  absl::Status WriteSome(absl::string_view* rest);
  // Reads what there is. True once there is nothing more to come.
  bool ReadAvailable();
  // Hands on the whole lines. True if `take` wants no more.
  absl::StatusOr<bool> TakeLines(const TakeLine& take);
  // False if it has not ended within a second.
  bool WaitForEnd() const;
  // Of a process that has ended: how, and its last lines.
  std::string Obituary();
  void KillGroup();

  int stop_fd_ = -1;
  pid_t pid_ = -1;  // -1 once it was waited for.
  int wait_status_ = 0;
  bool failed_ = false;
  UniqueFd pidfd_;  // Readable once it has ended.
  UniqueFd input_;
  UniqueFd output_;
  std::string received_;  // Bytes of a line that is not complete.
  std::unique_ptr<StderrLog> log_;
};

}  // namespace ponder

#endif  // PONDER_REWARD_PLUGIN_PLUGIN_PROCESS_H_
