// What stands between a program and the machine once it has namespaces of its
// own: file systems, limits, user, capabilities, the system-call filter.

#ifndef PONDER_LIBEXEC_RUN_SETUP_H_
#define PONDER_LIBEXEC_RUN_SETUP_H_

#include "libexec/agent_io.h"

namespace ponder {

// What is the same for all runs of an agent.
struct AgentRights {
  // The program's user. -1: it stays the one of the agent.
  long uid = -1;
  // BPF, or empty where something else installs it.
  unsigned char filter[32 << 10];
  unsigned filter_bytes = 0;
};

// Where a program starts and may write; a run without a mount namespace has
// another one.
extern const char* work_folder;

// Reads the filter; false if there is none.
bool ReadFilter(int file, AgentRights* rights);

// In a fresh mount namespace: /work (with /tmp and /dev/shm in it), /proc.
// Null, or what failed, with errno.
const char* MountRunFiles(const AgentCommand& command, long uid);

// Resource limits of a run; `extra` processes are ours.
// This process and what it forks stay on the processor where it is: a fork that
// moves to another one leaves the caches behind, which takes as long as the
// fork itself.
void StayOnThisProcessor();

const char* SetRunLimits(const AgentCommand& command, int extra);

// Becomes a user without any group. -1: nothing to do.
bool BecomeUser(long uid);

// Gives up user, groups, capabilities and the right to gain any, and installs
// the filter. There is no way back.
const char* GiveUpRights(const AgentRights& rights);

// Drops all capabilities from the bounding set, so that no program of the file
// system can give one back. Once an agent has executed what it will.
const char* EmptyBoundingSet();

// The program's source, copied to its folder; null, or what failed.
const char* PlaceSource(const ReceivedCommand& received);

}  // namespace ponder

#endif  // PONDER_LIBEXEC_RUN_SETUP_H_
