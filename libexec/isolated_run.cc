#include "libexec/isolated_run.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libexec/cell_agent.h"

namespace ponder {
namespace {

// The init and, if there is one, the runner; and the launcher and the agent,
// where they are the same user.
int OwnProcesses(const AgentRights& rights) { return rights.uid < 0 ? 4 : 2; }

const char* SetUp(const AgentRights& rights, const ReceivedCommand& received) {
  if (setsid() < 0) return "make a session";
  if ((received.command.options & kRunServesMany) == 0) StayOnThisProcessor();
  const AgentCommand& command = received.command;
  const char* failure = MountRunFiles(command, rights.uid);
  if (failure == nullptr) failure = PlaceSource(received);
  if (failure == nullptr) failure = SetRunLimits(command, OwnProcesses(rights));
  if (failure == nullptr) failure = GiveUpRights(rights);
  return failure;
}

}  // namespace

pid_t SpawnIsolated(void* context, int socket, ReceivedCommand* received) {
  const auto& rights = *static_cast<const AgentRights*>(context);
  constexpr unsigned long kFlags =
      CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | SIGCHLD;
  const auto init = static_cast<pid_t>(
      syscall(SYS_clone, kFlags, nullptr, nullptr, nullptr, nullptr));
  if (init != 0) return init;
  const char* failure = SetUp(rights, *received);
  if (failure != nullptr) {
    SendFailure(socket, AgentEvent::kRunFailed, received->command.run, failure);
    _exit(126);
  }
  return 0;
}

}  // namespace ponder
