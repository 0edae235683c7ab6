#include "bench/leak_check.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sandbox/host_traces.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSlots = 4;
constexpr int64_t kMaxGrowthKib = 16 << 10;

const std::vector<Program>& Programs() {
  static const auto* const programs = new std::vector<Program>{
      {"print(input())"},
      {"import os\nfor _ in range(5): os.fork()\nprint(1)"},
      {"open('/tmp/x', 'w').write('x' * 100000); open('/dev/shm/y', 'w')"},
      {"raise ValueError"},
      {"import os\nif os.fork() == 0:\n  os.setsid()\n  while True: pass\n"},
      {"import os; os.kill(os.getpid(), 9)"},
      {"#include <cstdio>\nint main() { std::puts(\"x\"); }", "cpp"},
      {"#include <stdlib.h>\nint main(void) { abort(); }", "c"},
      {"echo x; sleep 1000 & exit 3", "bash"}};
  return *programs;
}

}  // namespace

absl::StatusOr<Json> CheckLeaks(int num_runs) {
  Json json;
  // What is made once in the life of a process.
  PONDER_RETURN_IF_ERROR(SandboxPool::Create(kSlots).status());
  const std::map<std::string, int64_t> before = CountHostTraces();
  std::atomic<int64_t> warm_kib = 0;
  {
    PONDER_ASSIGN_OR_RETURN(const auto pool, SandboxPool::Create(kSlots));
    std::atomic<int> next = 0;
    std::atomic<int> lost = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < kSlots; ++i) {
      threads.emplace_back([&] {
        for (int run; (run = next++) < num_runs;) {
          const Program& program =
              Programs()[static_cast<size_t>(run) % Programs().size()];
          lost += !pool->Run(program, "in\n", RunLimits(), nullptr).ok();
          if (run == num_runs / 10) warm_kib = ResidentKib();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    json["runs"] = num_runs;
    json["lost"] = lost.load();
    json["resident_kib_at_a_tenth"] = warm_kib.load();
    json["resident_kib_at_the_end"] = ResidentKib();
  }
  const std::map<std::string, int64_t> after = CountHostTraces();
  json["before"] = before;
  json["after"] = after;
  const int64_t growth =
      json["resident_kib_at_the_end"].get<int64_t>() - warm_kib;
  if (before != after || json["lost"] != 0 || growth > kMaxGrowthKib) {
    return absl::InternalError(
        absl::StrCat("something is left: ", json.dump()));
  }
  return json;
}

}  // namespace ponder
