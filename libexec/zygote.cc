// Loaded by the Python of a cell, which becomes the cell's agent: interpreter
// and standard library are loaded once, and each run is a fork of it.
//
//   serve()      returns in the init of each run, which has no rights any more
//   enter()      in the init's child, which becomes the runner
//   init(child)  in the init, for ever

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "libexec/cell_agent.h"
#include "libexec/cell_root.h"
#include "libexec/isolated_run.h"
#include "libexec/run_init.h"
#include "libexec/run_setup.h"

namespace {

ponder::AgentRights rights;
int agent_socket = -1;
ponder::ReceivedCommand* received = nullptr;

void Fail(const char* what) {
  ponder::SendFailure(ponder::kAgentSocket, ponder::AgentEvent::kFailed, 0,
                      what);
  _exit(126);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int ponder_zygote_serve(long uid) {
  rights.uid = uid;
  if (!ponder::ReadFilter(ponder::kAgentFilter, &rights)) {
    Fail("read the system-call filter");
  }
  const char* failure = ponder::SealRoot();
  if (failure == nullptr) failure = ponder::EmptyBoundingSet();
  if (failure != nullptr) Fail(failure);
  close(ponder::kAgentFilter);
  close(ponder::kAgentRunner);
  static ponder::CellAgent agent(ponder::kAgentSocket, ponder::SpawnIsolated,
                                 &rights);
  agent_socket = agent.socket();
  received = agent.Serve();
  return 0;
}

__attribute__((visibility("default"))) int ponder_zygote_enter() {
  const char* failure = ponder::EnterRun(received);
  // What is left open is the agent's.
  if (failure == nullptr && !ponder::CloseFrom(ponder::kRunControl + 1)) {
    failure = "close file descriptors";
  }
  if (failure == nullptr) return 0;
  ponder::SendFailure(agent_socket, ponder::AgentEvent::kRunFailed,
                      received->command.run, failure);
  return -1;
}

__attribute__((visibility("default"))) void ponder_zygote_init(int child) {
  ponder::ServeAsInit(agent_socket, child, received);
}

}  // extern "C"
