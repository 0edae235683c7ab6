#include "reward/plugin/plugin_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

#include "absl/base/const_init.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "boost/process.hpp"
#include "boost/process/extend.hpp"

namespace ponder {
namespace {

namespace bp = boost::process;

constexpr absl::Duration kEndGrace = absl::Seconds(1);
constexpr size_t kMaxLineBytes = size_t{1} << 20;
constexpr size_t kReadBytes = 64 << 10;

// Boost opens a pipe and marks it close-on-exec a moment later. A process that
// another thread starts in between would hold it open, and Boost would wait for
// that process's end.
ABSL_CONST_INIT absl::Mutex start_mu(absl::kConstInit);

// Runs in the child between fork and exec: system calls only.
struct BeforeExec : bp::extend::handler {
  int descriptors[3];  // Become its standard input, output and error.

  template <typename Executor>
  void on_exec_setup(Executor&) const {
    for (int i = 0; i < 3; ++i) dup2(descriptors[i], i);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
  }
};

void BlockSigpipe() {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
}

int PollTimeout(absl::Time deadline) {
  const absl::Duration left =
      std::max(deadline - absl::Now(), absl::ZeroDuration());
  // poll()'s limit is far beyond any deadline that is waited for in one go.
  return static_cast<int>(std::min<int64_t>(
      absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))),
      1 << 30));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PluginProcess>> PluginProcess::Start(
    const Options& options) {
  BlockSigpipe();
  Pipe input, output, error;
  for (Pipe* pipe : {&input, &output, &error}) {
    PONDER_RETURN_IF_ERROR(pipe->Open());
  }
  BeforeExec before_exec;
  before_exec.descriptors[0] = input.read.get();
  before_exec.descriptors[1] = output.write.get();
  before_exec.descriptors[2] = error.write.get();
  const std::vector<std::string> arguments(options.command.begin() + 1,
                                           options.command.end());
  auto process = absl::WrapUnique(new PluginProcess);
  std::error_code code;
  {
    absl::MutexLock lock(&start_mu);
    bp::child child(bp::exe = options.command[0], bp::args = arguments,
                    before_exec, code);
    process->pid_ = child.id();
    child.detach();  // Waited for here, where its group is killed first.
  }
  if (code) {
    process->pid_ = -1;
    return absl::UnavailableError(absl::StrCat(
        "cannot start ", options.command[0], ": ", code.message()));
  }
  process->stop_fd_ = options.stop_fd;
  process->input_ = std::move(input.write);
  process->output_ = std::move(output.read);
  fcntl(process->input_.get(), F_SETFL, O_NONBLOCK);
  fcntl(process->output_.get(), F_SETFL, O_NONBLOCK);
  process->log_ =
      std::make_unique<StderrLog>(options.name, std::move(error.read));
  process->pidfd_ =
      UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, process->pid_, 0)));
  if (!process->pidfd_.is_open()) {
    process->failed_ = true;
    return ErrnoStatus("pidfd_open", options.name);
  }
  return process;
}

PluginProcess::~PluginProcess() {
  if (pid_ < 0) return;
  input_.reset();
  if (!failed_) WaitForEnd();
  KillGroup();
}

bool PluginProcess::WaitForEnd() const {
  const absl::Time deadline = absl::Now() + kEndGrace;
  pollfd ended = {pidfd_.get(), POLLIN, 0};
  int ready;
  do {
    ready = poll(&ended, 1, PollTimeout(deadline));
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

void PluginProcess::KillGroup() {
  // Before it is waited for: until then nothing else can have its number.
  kill(-pid_, SIGKILL);
  while (waitpid(pid_, &wait_status_, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  log_->Finish();
}

std::string PluginProcess::Obituary() {
  KillGroup();
  std::string how;
  if (WIFSIGNALED(wait_status_)) {
    const int signal = WTERMSIG(wait_status_);
    how = absl::StrCat("its process was ended by signal ", signal, " (",
                       strsignal(signal), ")");
  } else {
    how = absl::StrCat("its process ended with exit code ",
                       WEXITSTATUS(wait_status_));
  }
  const std::string lines = LastLines();
  if (!lines.empty()) absl::StrAppend(&how, "; its last lines: ", lines);
  return how;
}

absl::Status PluginProcess::Exchange(absl::string_view request,
                                     absl::Duration timeout,
                                     const TakeLine& take) {
  const absl::Time deadline = absl::Now() + timeout;
  failed_ = true;  // Until it is known to be in step again.
  while (true) {
    pollfd polled[4] = {{output_.get(), POLLIN, 0},
                        {request.empty() ? -1 : input_.get(), POLLOUT, 0},
                        {pidfd_.get(), POLLIN, 0},
                        {stop_fd_, POLLIN, 0}};
    const int ready = poll(polled, 4, PollTimeout(deadline));
    if (ready < 0 && errno != EINTR) return ErrnoStatus("poll", "plug-in");
    if (polled[3].revents != 0) return absl::CancelledError("stopped");
    if (ready <= 0) {
      if (absl::Now() < deadline) continue;
      return absl::DeadlineExceededError(
          absl::StrCat("it did not answer within ",
                       absl::FormatDuration(timeout), " and was ended"));
    }
    if (polled[1].revents != 0) PONDER_RETURN_IF_ERROR(WriteSome(&request));
    const bool ended = ReadAvailable();
    PONDER_ASSIGN_OR_RETURN(const bool done, TakeLines(take));
    if (done) {
      failed_ = false;
      return absl::OkStatus();
    }
    if (received_.size() > kMaxLineBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("it wrote a line of more than ", kMaxLineBytes,
                       " bytes to its standard output"));
    }
    // All that it wrote before its end was read above, if `polled` knew of it.
    if (polled[2].revents != 0) return absl::UnavailableError(Obituary());
    if (ended) {
      // Its end itself is seen a moment after that of its output.
      if (WaitForEnd()) return absl::UnavailableError(Obituary());
      return absl::InvalidArgumentError("it closed its standard output");
    }
  }
}

absl::Status PluginProcess::WriteSome(absl::string_view* rest) {
  while (!rest->empty()) {
    const ssize_t size = write(input_.get(), rest->data(), rest->size());
    if (size >= 0) {
      rest->remove_prefix(static_cast<size_t>(size));
    } else if (errno == EAGAIN) {
      break;
    } else if (errno == EPIPE) {
      // It may have answered all the same, or its end is about to be seen.
      *rest = "";
    } else if (errno != EINTR) {
      return ErrnoStatus("write", "plug-in");
    }
  }
  return absl::OkStatus();
}

bool PluginProcess::ReadAvailable() {
  char buffer[kReadBytes];
  while (received_.size() <= kMaxLineBytes) {
    const ssize_t size = read(output_.get(), buffer, sizeof(buffer));
    if (size > 0) {
      received_.append(buffer, static_cast<size_t>(size));
    } else if (size == 0) {
      return true;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return false;
}

absl::StatusOr<bool> PluginProcess::TakeLines(const TakeLine& take) {
  size_t start = 0;
  bool done = false;
  while (true) {
    const size_t end = received_.find('\n', start);
    if (end == std::string::npos) break;
    PONDER_ASSIGN_OR_RETURN(
        done, take(absl::string_view(received_).substr(start, end - start)));
    start = end + 1;
  }
  received_.erase(0, start);
  return done;
}

bool PluginProcess::InStep() {
  pollfd polled[2] = {{output_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}};
  return !failed_ && received_.empty() && poll(polled, 2, 0) == 0;
}

}  // namespace ponder
