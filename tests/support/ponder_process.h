// The real `ponder`, started as a process of its own, and the processes that it
// starts.

#ifndef PONDER_TESTS_SUPPORT_PONDER_PROCESS_H_
#define PONDER_TESTS_SUPPORT_PONDER_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace ponder {

// Long enough for a machine that is busy with other things.
inline constexpr absl::Duration kPatience = absl::Minutes(4);

// A new folder, removed with all that is in it.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();

  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  // Writes the file and returns its path.
  std::string Write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

// True as soon as `condition` is; false after `timeout`.
bool WaitUntil(const std::function<bool()>& condition,
               absl::Duration timeout = kPatience);

// Not thread-safe.
class PonderProcess {
 public:
  struct Child {
    pid_t pid;
    std::string command_line;  // Arguments joined by spaces.
  };

  // Starts `ponder ARGUMENTS` with its output caught.
  explicit PonderProcess(const std::vector<std::string>& arguments);
  // Kills it if it still runs, and what it has started.
  ~PonderProcess();

  PonderProcess(const PonderProcess&) = delete;
  PonderProcess& operator=(const PonderProcess&) = delete;

  // Waits for its end. Returns the exit code, 128 + the signal that ended it,
  // or -1 after `timeout`.
  int Wait(absl::Duration timeout = kPatience);
  bool Running();
  void Signal(int signal) const;

  // What it has written so far.
  std::string StandardOutput() const;
  std::string StandardError() const;

  pid_t pid() const { return pid_; }
  // Its children whose command line has `part`.
  std::vector<Child> Children(const std::string& part) const;
  // Command lines of all processes, itself excepted, that it or its children
  // have started and that still run. Waits a moment for those that are about
  // to end.
  std::vector<std::string> Leftovers() const;

 private:
  std::vector<pid_t> Marked() const;

  TestFolder folder_;
  std::string mark_;  // In the environment of the process and its children.
  pid_t pid_ = -1;
  int exit_code_ = -1;
  bool ended_ = false;
};

struct PonderResult {
  int exit_code;
  std::string out;
  std::string err;
};

// Runs `ponder ARGUMENTS` to its end.
PonderResult RunPonder(const std::vector<std::string>& arguments,
                       absl::Duration timeout = kPatience);

}  // namespace ponder

#endif  // PONDER_TESTS_SUPPORT_PONDER_PROCESS_H_
