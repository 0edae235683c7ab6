#include "base/process_memory.h"

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace ponder {

int64_t PeakRssBytes(int pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  std::string name;
  while (status >> name) {
    if (name == "VmHWM:") {
      int64_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
    std::getline(status, name);
  }
  return 0;
}

}  // namespace ponder
