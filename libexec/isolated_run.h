// The own way to start a run: clone() with namespaces, inside a cell.

#ifndef PONDER_LIBEXEC_ISOLATED_RUN_H_
#define PONDER_LIBEXEC_ISOLATED_RUN_H_

#include <sys/types.h>

#include "libexec/agent_io.h"
#include "libexec/run_setup.h"

namespace ponder {

// A CellAgent::Spawn with an AgentRights as context. Returns in the init when
// the run is set up, without any rights left.
pid_t SpawnIsolated(void* rights, int socket, ReceivedCommand* received);

}  // namespace ponder

#endif  // PONDER_LIBEXEC_ISOLATED_RUN_H_
