// Process 1 of a run: starts the program, reaps orphans, says how the program
// ended and ends with it. When it ends, the kernel kills every process of its
// process namespace.
//
// The kernel lets no process of the namespace stop or kill it, and because it
// is not dumpable its /proc entry belongs to nobody inside.

#ifndef PONDER_LIBEXEC_RUN_INIT_H_
#define PONDER_LIBEXEC_RUN_INIT_H_

#include <sys/types.h>

#include "libexec/agent_io.h"

namespace ponder {

// Starts the program of `received` as a child. Only in the init.
pid_t StartProgram(int socket, ReceivedCommand* received);

// In the child that becomes the program or the runner: standard streams and
// channels in their places, nothing else open, /work as the folder.
const char* EnterRun(ReceivedCommand* received);

// Waits for `main_process`. Does not return.
[[noreturn]] void ServeAsInit(int socket, pid_t main_process,
                              ReceivedCommand* received);

}  // namespace ponder

#endif  // PONDER_LIBEXEC_RUN_INIT_H_
