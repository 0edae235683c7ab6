// What runs could leave behind on the machine. For tests and benchmarks.

#ifndef PONDER_SANDBOX_HOST_TRACES_H_
#define PONDER_SANDBOX_HOST_TRACES_H_

#include <cstdint>
#include <map>
#include <string>

namespace ponder {

// Counts, by name: processes below this one, mounts, cgroups, open descriptors,
// System V objects, keys, and files of programs' users in shared folders.
// Others on this machine hardly change them. Equal before and after means that
// nothing is left.
std::map<std::string, int64_t> CountHostTraces();

// Resident memory of this process, in KiB.
int64_t ResidentKib();

}  // namespace ponder

#endif  // PONDER_SANDBOX_HOST_TRACES_H_
