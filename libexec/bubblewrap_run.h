// The other ways to start a run, where the own one is not possible: under
// bubblewrap, or without any isolation.

#ifndef PONDER_LIBEXEC_BUBBLEWRAP_RUN_H_
#define PONDER_LIBEXEC_BUBBLEWRAP_RUN_H_

#include <sys/types.h>

#include "libexec/agent_io.h"
#include "libexec/cell_root.h"

namespace ponder {

// File descriptors of an init that another program was between.
inline constexpr int kInitSocket = 6;
inline constexpr int kInitFilter = 7;
inline constexpr int kInitCommand = 8;
inline constexpr int kInitProgram = 9;

struct ForeignRuns {
  long uid = -1;  // The program's user. -1: this process's own.
  CellRoot root;  // Of bubblewrap.
  const char* bubblewrap = nullptr;  // Null: without isolation.
  int filter = -1;                   // A file with the seccomp filter.
  int self = -1;                     // This program, open.
  char folder[32] = "";              // Of the run under way, without isolation.
};

// A CellAgent::Spawn with ForeignRuns as context. The init is another program,
// so this never returns 0.
pid_t SpawnForeign(void* runs, int socket, ReceivedCommand* received);

// A CellAgent::CleanUp: bubblewrap leaves nothing, but without isolation a
// run's folder is the host's.
void RemoveFolderOfRun(void* runs);

// What the init does: `sandbox-launcher init FOLDER`.
int MainOfInit(const char* folder);

}  // namespace ponder

#endif  // PONDER_LIBEXEC_BUBBLEWRAP_RUN_H_
