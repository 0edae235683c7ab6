#include "sandbox/sandbox_cell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "sandbox/spawn_plan.h"

namespace ponder {
namespace {

// From the start of a launcher to its agent's first word; 60 ms for a Python on
// an idle machine.
constexpr absl::Duration kStartTimeout = absl::Seconds(30);
// From the end of the socket to the end of the launcher.
constexpr absl::Duration kEndTimeout = absl::Seconds(10);

absl::Status AgentGone() {
  return absl::UnavailableError("the sandbox's agent has ended");
}

}  // namespace

absl::string_view BackendName(Backend backend) {
  switch (backend) {
    case Backend::kRoot:
      return "root";
    case Backend::kUserNamespace:
      return "user";
    case Backend::kBubblewrap:
      return "bubblewrap";
    case Backend::kNone:
      break;
  }
  return "none";
}

absl::StatusOr<std::unique_ptr<SandboxCell>> SandboxCell::Start(
    const SandboxTools& tools, const CellKind& kind, absl::string_view name,
    int64_t uid) {
  auto cell = absl::WrapUnique(new SandboxCell);
  cell->backend_ = tools.backend;
  cell->has_zygote_ =
      kind.is_python && (tools.backend == Backend::kRoot ||
                         tools.backend == Backend::kUserNamespace);
  cell->cgroup_ = Cgroup::Create(name);
  PONDER_RETURN_IF_ERROR(cell->Spawn(tools, kind, uid));
  AgentEvent event;
  PONDER_RETURN_IF_ERROR(cell->Await(&event, absl::Now() + kStartTimeout));
  if (event.kind != AgentEvent::kReady) {
    return absl::UnavailableError(
        absl::StrCat("the sandbox's launcher could not ", event.text, ": ",
                     std::strerror(event.error)));
  }
  return cell;
}

absl::Status SandboxCell::Spawn(const SandboxTools& tools, const CellKind& kind,
                                int64_t uid) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::ResourceExhaustedError(
        ErrnoStatus("make a socket pair", "sandbox").message());
  }
  socket_ = UniqueFd(ends[0]);
  const UniqueFd inside(ends[1]);
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.is_open()) return ErrnoStatus("open", "/dev/null");
  SpawnPlan plan;
  for (int fd = 0; fd <= 2; ++fd) {
    PONDER_RETURN_IF_ERROR(plan.Give(null.get(), fd));
  }
  PONDER_RETURN_IF_ERROR(plan.Give(inside.get(), kAgentSocket));
  PONDER_RETURN_IF_ERROR(plan.Give(tools.seccomp_filter.get(), kAgentFilter));
  // Each reader has its own place in the file.
  const UniqueFd runner(
      open(absl::StrCat("/proc/self/fd/", tools.runner.get()).c_str(),
           O_RDONLY | O_CLOEXEC));
  PONDER_RETURN_IF_ERROR(plan.Give(runner.get(), kAgentRunner));
  PONDER_RETURN_IF_ERROR(plan.Give(tools.zygote.get(), kAgentZygote));
  std::vector<std::string> arguments = {
      tools.launcher,
      std::string(BackendName(tools.backend)),
      absl::StrCat(uid),
      cgroup_->ProcsFiles(),
      has_zygote_ ? tools.python : "",
      tools.backend == Backend::kBubblewrap ? tools.bubblewrap : "",
      "--"};
  arguments.insert(arguments.end(), kind.paths.begin(), kind.paths.end());
  PONDER_ASSIGN_OR_RETURN(launcher_, plan.Spawn(std::move(arguments)));
  return absl::OkStatus();
}

SandboxCell::~SandboxCell() {
  socket_.reset();  // The agent ends, and with it everything in the cell.
  if (launcher_ < 0) return;
  const UniqueFd launcher(
      static_cast<int>(syscall(SYS_pidfd_open, launcher_, 0)));
  pollfd polled = {launcher.get(), POLLIN, 0};
  if (!launcher.is_open() ||
      poll(&polled, 1,
           static_cast<int>(absl::ToInt64Milliseconds(kEndTimeout))) <= 0) {
    kill(launcher_, SIGKILL);
  }
  while (waitpid(launcher_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

absl::Status SandboxCell::Send(const AgentCommand& command,
                               absl::Span<const int> fds) {
  iovec part = {const_cast<AgentCommand*>(&command), sizeof(command)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kNumRunFds)] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  while (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return AgentGone();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> SandboxCell::Receive(AgentEvent* event) {
  while (true) {
    const ssize_t size =
        recv(socket_.get(), event, sizeof(*event), MSG_DONTWAIT);
    if (size == static_cast<ssize_t>(sizeof(*event))) return true;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return false;
    return AgentGone();
  }
}

absl::Status SandboxCell::Await(AgentEvent* event, absl::Time deadline) {
  while (true) {
    PONDER_ASSIGN_OR_RETURN(const bool received, Receive(event));
    if (received) return absl::OkStatus();
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          "the sandbox's agent did not answer in time");
    }
    pollfd polled = {socket_.get(), POLLIN, 0};
    poll(&polled, 1,
         static_cast<int>(absl::ToInt64Milliseconds(
             absl::Ceil(left, absl::Milliseconds(1)))));
  }
}

}  // namespace ponder
