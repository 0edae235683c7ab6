#include "base/stop_signal.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace ponder {
namespace {

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void OnStopSignal(int signal) {
  if (stop_requested.exchange(true) && signal == SIGINT) _exit(130);
}

}  // namespace

void CatchStopSignals() {
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool StopRequested() { return stop_requested.load(); }

}  // namespace ponder
