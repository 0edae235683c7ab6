// Memory of a process, as the kernel counts it.

#ifndef PONDER_BASE_PROCESS_MEMORY_H_
#define PONDER_BASE_PROCESS_MEMORY_H_

#include <cstdint>

namespace ponder {

// Highest resident set of the process so far; 0 if it is gone.
int64_t PeakRssBytes(int pid);

}  // namespace ponder

#endif  // PONDER_BASE_PROCESS_MEMORY_H_
