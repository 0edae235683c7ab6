// SIGINT and SIGTERM as a question that loops ask.

#ifndef PONDER_BASE_STOP_SIGNAL_H_
#define PONDER_BASE_STOP_SIGNAL_H_

namespace ponder {

// From now on the first SIGINT or SIGTERM makes StopRequested() true, and the
// second SIGINT ends the process at once with exit code 130. Call once, first,
// where something asks; elsewhere a signal shall end the process.
void CatchStopSignals();

// Thread-safe.
bool StopRequested();

}  // namespace ponder

#endif  // PONDER_BASE_STOP_SIGNAL_H_
