#include "rl/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "boost/process.hpp"
#include "boost/process/extend.hpp"

namespace ponder {
namespace {

namespace bp = boost::process;

constexpr int kLineDescriptor = 3;
constexpr size_t kLogTailLines = 6;

// Runs in the child between fork and exec.
struct BeforeExec : bp::extend::handler {
  int write_fd;
  explicit BeforeExec(int fd) : write_fd(fd) {}
  template <typename Executor>
  void on_exec_setup(Executor&) const {
    dup2(write_fd, kLineDescriptor);  // Inherited: no close-on-exec.
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
};

}  // namespace

struct ChildProcess::Process {
  bp::child child;
  int read_fd = -1;
  std::string buffer;

  ~Process() {
    if (read_fd >= 0) close(read_fd);
  }
};

ChildProcess::ChildProcess(const Options& options)
    : options_(options), process_(std::make_unique<Process>()) {}

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    const Options& options) {
  PONDER_ASSIGN_OR_RETURN(const std::string program, ProgramPath());
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) {
    return ErrnoStatus("cannot make a pipe", options.name);
  }
  auto child = std::unique_ptr<ChildProcess>(new ChildProcess(options));
  child->process_->read_fd = fds[0];
  FILE* log = std::fopen(options.log_path.c_str(), "ae");
  if (log == nullptr) {
    close(fds[1]);
    return ErrnoStatus("cannot open", options.log_path);
  }
  std::error_code error;
  child->process_->child =
      bp::child(bp::exe = program, bp::args = options.arguments,
                bp::std_in<bp::null, bp::std_out> log, bp::std_err > log,
                BeforeExec(fds[1]), error);
  std::fclose(log);
  close(fds[1]);
  if (error) {
    return absl::UnavailableError(absl::StrCat(
        "the ", options.name, " cannot be started: ", error.message()));
  }
  return child;
}

ChildProcess::~ChildProcess() {
  std::error_code error;
  if (!process_->child.running(error)) return;
  kill(process_->child.id(), SIGTERM);
  if (!process_->child.wait_for(std::chrono::seconds(2), error)) {
    // Not terminate(), which leaves a zombie.
    kill(process_->child.id(), SIGKILL);
    process_->child.wait(error);
  }
}

absl::StatusOr<std::string> ChildProcess::ReadLine(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    const size_t end = process_->buffer.find('\n');
    if (end != std::string::npos) {
      std::string line = process_->buffer.substr(0, end);
      process_->buffer.erase(0, end + 1);
      return line;
    }
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    pollfd wait = {process_->read_fd, POLLIN, 0};
    const int ready =
        poll(&wait, 1, static_cast<int>(std::max<int64_t>(0, left)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return absl::DeadlineExceededError(absl::StrCat(
          "the ", options_.name, " did not say its port within ",
          absl::FormatDuration(timeout), "; its log is ", options_.log_path));
    }
    char chunk[256];
    const ssize_t got = read(process_->read_fd, chunk, sizeof(chunk));
    if (got <= 0) {
      std::error_code error;
      process_->child.wait(error);
      return absl::UnavailableError(Obituary());
    }
    process_->buffer.append(chunk, static_cast<size_t>(got));
  }
}

bool ChildProcess::Running() {
  std::error_code error;
  return process_->child.running(error);
}

std::string ChildProcess::Obituary() {
  const int status = process_->child.native_exit_code();
  std::string how = absl::StrCat("the ", options_.name, " ");
  if (WIFSIGNALED(status)) {
    absl::StrAppend(&how, "was ended by signal ", WTERMSIG(status), " (",
                    strsignal(WTERMSIG(status)), ")");
  } else {
    absl::StrAppend(&how, "ended with exit code ", WEXITSTATUS(status));
  }
  const std::string log = ReadFile(options_.log_path).value_or("");
  std::vector<std::string> lines =
      absl::StrSplit(log, '\n', absl::SkipWhitespace());
  if (lines.size() > kLogTailLines) {
    lines.erase(lines.begin(), lines.end() - kLogTailLines);
  }
  if (!lines.empty()) {
    absl::StrAppend(&how, "; its last lines (", options_.log_path, "):\n  ",
                    absl::StrJoin(lines, "\n  "));
  }
  return how;
}

int ChildProcess::pid() const { return process_->child.id(); }

}  // namespace ponder
