#include "bench/leak_check.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kSlots = 4;
constexpr int64_t kMaxGrowthKib = 16 << 10;

int CountEntries(const std::string& folder) {
  std::error_code error;
  int count = 0;
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    ++count;
  }
  return count;
}

// Files of the users that programs run as; others use these folders too.
int CountFilesOfPrograms(const std::string& folder) {
  std::error_code error;
  int count = 0;
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    struct stat status;
    count += lstat(it->path().c_str(), &status) == 0 &&
             status.st_uid >= 61000 && status.st_uid < 65534;
  }
  return count;
}

// Groups with our prefix below /sys/fs/cgroup.
int CountCgroups() {
  std::error_code error;
  int count = 0;
  for (fs::recursive_directory_iterator
           it("/sys/fs/cgroup", fs::directory_options::skip_permission_denied,
              error),
       end;
       !error && it != end; it.increment(error)) {
    count += absl::StartsWith(it->path().filename().string(),
                              absl::StrCat("ponder-sandbox-", getpid()));
  }
  return count;
}

// Descendants of this process.
int CountChildren() {
  const auto text =
      ReadFile(absl::StrCat("/proc/self/task/", getpid(), "/children"));
  return text.ok()
             ? static_cast<int>(std::count(text->begin(), text->end(), ' '))
             : 0;
}

int64_t ResidentKib() {
  const auto text = ReadFile("/proc/self/statm");
  long long size = 0;
  long long resident = 0;
  if (text.ok()) std::sscanf(text->c_str(), "%lld %lld", &size, &resident);
  return resident * sysconf(_SC_PAGESIZE) / 1024;
}

Json Count() {
  const auto mounts = ReadFile("/proc/self/mountinfo");
  Json json;
  json["children"] = CountChildren();
  json["mounts"] =
      mounts.ok() ? std::count(mounts->begin(), mounts->end(), '\n') : 0;
  json["cgroups"] = CountCgroups();
  json["files_in_tmp"] = CountFilesOfPrograms("/tmp");
  json["files_in_shm"] = CountFilesOfPrograms("/dev/shm");
  json["descriptors"] = CountEntries("/proc/self/fd");
  return json;
}

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
  const Json before = Count();
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
  const Json after = Count();
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
