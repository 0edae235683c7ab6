// What a plug-in's process prints goes to this process's standard error, each
// line with the plug-in's name.

#ifndef PONDER_REWARD_PLUGIN_STDERR_LOG_H_
#define PONDER_REWARD_PLUGIN_STDERR_LOG_H_

#include <deque>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "sandbox/unique_fd.h"

namespace ponder {

// Reads all the time, so that a process that prints much is never held up.
// Thread-safe, but for Finish().
class StderrLog {
 public:
  // `name` stands before each line: "[name] ...". Takes the reading end of the
  // pipe that the process writes to.
  StderrLog(std::string name, UniqueFd pipe);

  StderrLog(const StderrLog&) = delete;
  StderrLog& operator=(const StderrLog&) = delete;

  ~StderrLog();  // Finish().

  // Takes what is in the pipe and stops reading. Does not wait for the pipe's
  // end: a process that escaped may hold it open.
  void Finish();

  // The last lines so far, joined by " | "; empty if there are none.
  std::string LastLines() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  // Reads once. False at the end of the pipe, or if there is nothing in it.
  bool ReadSome();
  void Print(absl::string_view line) ABSL_LOCKS_EXCLUDED(mu_);

  const std::string name_;
  const UniqueFd pipe_;
  UniqueFd stop_;        // An eventfd; readable: stop.
  std::string partial_;  // Of the reading thread: a line not yet complete.

  mutable absl::Mutex mu_;
  std::deque<std::string> last_lines_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;  // Last: it uses the others.
};

}  // namespace ponder

#endif  // PONDER_REWARD_PLUGIN_STDERR_LOG_H_
