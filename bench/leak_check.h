// What thousands of runs leave behind.

#ifndef PONDER_BENCH_LEAK_CHECK_H_
#define PONDER_BENCH_LEAK_CHECK_H_

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace ponder {

// Runs `num_runs` programs, good and bad, in 4 slots and counts processes,
// mounts, cgroups, files, descriptors and resident memory before, while warm
// and afterwards. INTERNAL if anything is left, or resident memory grew by more
// than 16 MiB between the first tenth and the end.
absl::StatusOr<nlohmann::ordered_json> CheckLeaks(int num_runs);

}  // namespace ponder

#endif  // PONDER_BENCH_LEAK_CHECK_H_
