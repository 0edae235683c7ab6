#include "libexec/cell_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ponder {
namespace {

constexpr int kWatchMilliseconds = 5;

// Ends what a run without a process namespace left to this process. Elsewhere
// there is nothing.
void EndOrphans() {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
  while (waitpid(-1, nullptr, WNOHANG) >= 0) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    char text[4096];
    const ssize_t size = file < 0 ? 0 : read(file, text, sizeof(text) - 1);
    if (file >= 0) close(file);
    if (size <= 0) continue;
    text[size] = '\0';
    char* save = nullptr;
    for (char* pid = strtok_r(text, " ", &save); pid != nullptr;
         pid = strtok_r(nullptr, " ", &save)) {
      kill(atoi(pid), SIGKILL);
    }
    waitpid(-1, nullptr, 0);
  }
}

}  // namespace

CellAgent::CellAgent(int socket, Spawn spawn, CleanUp clean_up, void* context)
    : socket_(fcntl(socket, F_DUPFD_CLOEXEC, 64)),
      spawn_(spawn),
      clean_up_(clean_up),
      context_(context) {
  close(socket);
}

bool CellAgent::StartRun() {
  run_ = received_.command.run;
  watch_.Reset();
  const pid_t init = spawn_(context_, socket_, &received_);
  if (init == 0) return true;
  if (init < 0) {
    SendFailure(socket_, AgentEvent::kRunFailed, run_, "start a process");
    if (clean_up_ != nullptr) clean_up_(context_);
    AgentEvent gone = {};
    gone.kind = AgentEvent::kRunGone;
    gone.run = run_;
    SendEvent(socket_, gone);
  } else {
    init_ = init;
    init_fd_ = static_cast<int>(syscall(SYS_pidfd_open, init, 0));
  }
  CloseFds(&received_);
  return false;
}

void CellAgent::EndRun() {
  int status = 0;
  struct rusage usage;
  while (wait4(init_, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  EndOrphans();
  if (clean_up_ != nullptr) clean_up_(context_);
  AgentEvent event = {};
  event.kind = AgentEvent::kRunGone;
  event.run = run_;
  event.wait_status = status;
  event.cpu_micros =
      (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
      usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  event.max_rss_kib = usage.ru_maxrss;
  event.peak_bytes = watch_.peak_bytes();
  close(init_fd_);
  init_fd_ = -1;
  init_ = -1;
  SendEvent(socket_, event);
}

void CellAgent::WatchRun() {
  const AgentCommand& command = received_.command;
  const uint32_t options = command.options;
  const auto found = watch_.Look(
      init_, (options & kRunWatchesMemory) != 0 ? command.memory_bytes : 0,
      (options & kRunWatchesCpu) != 0 ? command.cpu_micros : 0,
      (options & kRunIsRunner) != 0);
  if (found == ProcessWatch::Finding::kNothing) return;
  AgentEvent event = {};
  event.kind = found == ProcessWatch::Finding::kOverMemory
                   ? AgentEvent::kOverMemory
                   : AgentEvent::kOverCpu;
  event.run = run_;
  SendEvent(socket_, event);
  kill(init_, SIGKILL);
}

ReceivedCommand* CellAgent::Serve() {
  AgentEvent ready = {};
  ready.kind = AgentEvent::kReady;
  SendEvent(socket_, ready);
  while (true) {
    const bool watched = init_ > 0 && (received_.command.options &
                                       (kRunWatchesMemory | kRunWatchesCpu));
    pollfd polled[2] = {{socket_, POLLIN, 0}, {init_fd_, POLLIN, 0}};
    const int ready_fds =
        poll(polled, 2, watched ? kWatchMilliseconds : /*forever*/ -1);
    if (ready_fds < 0) continue;
    if (polled[1].revents != 0) EndRun();
    if (init_ > 0 && watched) WatchRun();
    if (polled[0].revents == 0) continue;
    ReceivedCommand next;
    if (!ReceiveCommand(socket_, &next)) {
      if (init_ > 0) {
        kill(init_, SIGKILL);
        EndRun();
      }
      _exit(0);
    }
    if (next.command.kind == AgentCommand::kKill) {
      CloseFds(&next);
      // One that has already ended is meant, or this one.
      if (init_ > 0 && next.command.run == run_) kill(init_, SIGKILL);
    } else if (init_ < 0) {
      received_ = next;
      if (StartRun()) return &received_;
    } else {
      CloseFds(&next);
    }
  }
}

}  // namespace ponder
