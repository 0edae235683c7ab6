#include "sandbox/host_traces.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;

int64_t CountEntries(const std::string& folder) {
  std::error_code error;
  int64_t count = 0;
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    ++count;
  }
  return count;
}

// Files of the users that programs run as; others use these folders too, among
// them runs without isolation, whose folders are known by their name.
int64_t CountFilesOfPrograms(const std::string& folder) {
  std::error_code error;
  int64_t count = 0;
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (absl::StartsWith(it->path().filename().string(), "ponder-unsafe-")) {
      continue;
    }
    struct stat status;
    count += lstat(it->path().c_str(), &status) == 0 &&
             status.st_uid >= 61000 && status.st_uid < 65534;
  }
  return count;
}

// Groups of this process below /sys/fs/cgroup.
int64_t CountCgroups() {
  std::error_code error;
  int64_t count = 0;
  for (fs::recursive_directory_iterator
           it("/sys/fs/cgroup", fs::directory_options::skip_permission_denied,
              error),
       end;
       !error && it != end; it.increment(error)) {
    count += absl::StartsWith(it->path().filename().string(),
                              absl::StrCat("ponder-sandbox-", getpid(), "-"));
  }
  return count;
}

// Processes that `parent` started, and those that these started.
int64_t CountDescendants(int64_t parent) {
  std::error_code error;
  int64_t count = 0;
  for (fs::directory_iterator
           it(absl::StrCat("/proc/", parent, "/task"), error),
       end;
       !error && it != end; it.increment(error)) {
    const auto text = ReadFile(it->path().string() + "/children");
    if (!text.ok()) continue;
    for (const absl::string_view word :
         absl::StrSplit(*text, ' ', absl::SkipWhitespace())) {
      int64_t child;
      if (absl::SimpleAtoi(word, &child)) count += 1 + CountDescendants(child);
    }
  }
  return count;
}

int64_t CountLines(const std::string& path) {
  const auto text = ReadFile(path);
  return text.ok() ? std::count(text->begin(), text->end(), '\n') : 0;
}

}  // namespace

std::map<std::string, int64_t> CountHostTraces() {
  return {{"processes", CountDescendants(getpid())},
          {"mounts", CountLines("/proc/self/mountinfo")},
          {"cgroups", CountCgroups()},
          {"descriptors", CountEntries("/proc/self/fd")},
          {"shared memory segments", CountLines("/proc/sysvipc/shm")},
          {"semaphores", CountLines("/proc/sysvipc/sem")},
          {"message queues", CountLines("/proc/sysvipc/msg")},
          {"keys", CountLines("/proc/keys")},
          {"files in /tmp", CountFilesOfPrograms("/tmp")},
          {"files in /dev/shm", CountFilesOfPrograms("/dev/shm")},
          {"files in /var/tmp", CountFilesOfPrograms("/var/tmp")},
          {"entries of /", CountEntries("/")},
          {"entries of /etc", CountEntries("/etc")},
          {"entries of /usr", CountEntries("/usr")},
          {"entries of /usr/lib", CountEntries("/usr/lib")}};
}

int64_t ResidentKib() {
  const auto text = ReadFile("/proc/self/statm");
  long long size = 0;
  long long resident = 0;
  if (text.ok()) std::sscanf(text->c_str(), "%lld %lld", &size, &resident);
  return resident * sysconf(_SC_PAGESIZE) / 1024;
}

}  // namespace ponder
