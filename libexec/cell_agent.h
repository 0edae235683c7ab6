// The loop of an agent: hears commands, starts one run at a time, reports its
// end. See launch_protocol.h.

#ifndef PONDER_LIBEXEC_CELL_AGENT_H_
#define PONDER_LIBEXEC_CELL_AGENT_H_

#include <sys/types.h>

#include "libexec/agent_io.h"
#include "libexec/process_watch.h"

namespace ponder {

class CellAgent {
 public:
  // Starts a run: returns the number of its init, or -1 with errno; in the
  // init itself it returns 0.
  using Spawn = pid_t (*)(void* context, int socket, ReceivedCommand* received);

  // Removes what a run leaves once all its processes are gone.
  using CleanUp = void (*)(void* context);

  // The socket is moved out of the way of the numbers that programs see.
  // `clean_up` may be null: nothing is left.
  CellAgent(int socket, Spawn spawn, CleanUp clean_up, void* context);

  int socket() const { return socket_; }

  // Serves until the socket closes and then exits. Returns in each init, with
  // the command that it was made for.
  ReceivedCommand* Serve();

 private:
  // True in the init.
  bool StartRun();
  void EndRun();
  void WatchRun();

  int socket_;
  const Spawn spawn_;
  const CleanUp clean_up_;
  void* const context_;
  ProcessWatch watch_;
  ReceivedCommand received_;
  uint32_t run_ = 0;  // Number of the run under way.
  pid_t init_ = -1;   // Its init; -1: none.
  int init_fd_ = -1;  // The same as a descriptor that can be waited for.
};

}  // namespace ponder

#endif  // PONDER_LIBEXEC_CELL_AGENT_H_
