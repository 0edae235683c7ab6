#include "sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sandbox/unique_fd.h"

namespace ponder {
namespace {

constexpr absl::string_view kRoot = "/sys/fs/cgroup";
constexpr absl::string_view kPrefix = "ponder-sandbox-";

bool WriteKnob(const std::string& path, absl::string_view text) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.is_open() && write(file.get(), text.data(), text.size()) ==
                               static_cast<ssize_t>(text.size());
}

std::string ReadKnob(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096];
  const ssize_t size =
      file.is_open() ? read(file.get(), text, sizeof(text)) : 0;
  return std::string(text, size > 0 ? static_cast<size_t>(size) : 0);
}

// The number behind `key` in lines of "key number".
std::optional<int64_t> Field(const std::string& text, absl::string_view key) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    int64_t value;
    if (parts.first == key && absl::SimpleAtoi(parts.second, &value)) {
      return value;
    }
  }
  return std::nullopt;
}

// The whole of a small file that stays open.
std::string ReadAgain(const UniqueFd& file) {
  char text[4096];
  const ssize_t size =
      file.is_open() ? pread(file.get(), text, sizeof(text), 0) : 0;
  return std::string(text, size > 0 ? static_cast<size_t>(size) : 0);
}

std::optional<int64_t> Number(const UniqueFd& file) {
  int64_t value;
  if (absl::SimpleAtoi(ReadAgain(file), &value)) return value;
  return std::nullopt;
}

// This process's folder in the hierarchy of `controller`; "" is version 2.
std::optional<std::string> OwnFolder(absl::string_view controller) {
  const std::string groups = ReadKnob("/proc/self/cgroup");
  for (const absl::string_view line : absl::StrSplit(groups, '\n')) {
    const std::vector<absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const std::string path(parts[2] == "/" ? "" : parts[2]);
    if (controller.empty() && parts[1].empty()) {
      // On its own, or beside version 1.
      for (const absl::string_view mount : {"", "/unified"}) {
        const std::string folder = absl::StrCat(kRoot, mount, path);
        if (access(absl::StrCat(folder, "/cgroup.controllers").c_str(), R_OK) ==
            0) {
          return folder;
        }
      }
    }
    for (const absl::string_view name : absl::StrSplit(parts[1], ',')) {
      if (!controller.empty() && name == controller) {
        return absl::StrCat(kRoot, "/", parts[1], path);
      }
    }
  }
  return std::nullopt;
}

// Removes groups of processes that were killed before they could: their name
// holds the process's number.
void RemoveStale(const std::string& parent) {
  DIR* folder = opendir(parent.c_str());
  if (folder == nullptr) return;
  while (const dirent* entry = readdir(folder)) {
    absl::string_view name = entry->d_name;
    if (!absl::ConsumePrefix(&name, kPrefix)) continue;
    int64_t pid;
    if (absl::SimpleAtoi(name.substr(0, name.find('-')), &pid) &&
        kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) {
      rmdir(absl::StrCat(parent, "/", entry->d_name).c_str());
    }
  }
  closedir(folder);
}

std::optional<std::string> MakeGroup(const std::string& parent,
                                     absl::string_view name) {
  RemoveStale(parent);
  std::string folder = absl::StrCat(parent, "/", kPrefix, getpid(), "-", name);
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return std::nullopt;
  if (access(absl::StrCat(folder, "/cgroup.procs").c_str(), W_OK) != 0) {
    rmdir(folder.c_str());
    return std::nullopt;
  }
  return folder;
}

}  // namespace

std::unique_ptr<Cgroup> Cgroup::Create(absl::string_view name) {
  auto group = absl::WrapUnique(new Cgroup);
  // A process of another user cannot be moved by one without root's rights.
  if (geteuid() != 0) return group;
  std::string cpu;
  if (group->MakeVersion1("memory", name, &group->memory_)) {
    group->MakeVersion1("pids", name, &group->pids_);
    if (group->MakeVersion1("cpuacct", name, &cpu)) {
      group->cpu_file_ = absl::StrCat(cpu, "/cpuacct.usage");
    }
    // An equal share for each cell, however many processes it has.
    group->MakeVersion1("cpu", name, &cpu);
  } else {
    group->MakeVersion2(name);
  }
  group->OpenReaders();
  return group;
}

void Cgroup::OpenReaders() {
  const auto open_file = [](const std::string& path, int flags) {
    return UniqueFd(open(path.c_str(), flags | O_CLOEXEC));
  };
  if (counts_cpu()) cpu_reader_ = open_file(cpu_file_, O_RDONLY);
  if (!limits_memory()) return;
  oom_reader_ =
      open_file(absl::StrCat(memory_, version2_ ? "/memory.events"
                                                : "/memory.oom_control"),
                O_RDONLY);
  // Version 2's cannot be written before Linux 6.12: what is read would be the
  // peak of earlier runs too.
  peak_reader_ =
      open_file(absl::StrCat(memory_, version2_ ? "/memory.peak"
                                                : "/memory.max_usage_in_bytes"),
                O_RDWR);
}

bool Cgroup::MakeVersion1(absl::string_view controller, absl::string_view name,
                          std::string* folder) {
  const std::optional<std::string> parent = OwnFolder(controller);
  if (!parent.has_value()) return false;
  std::optional<std::string> group = MakeGroup(*parent, name);
  if (!group.has_value()) return false;
  *folder = *std::move(group);
  // Controllers that are mounted together share one folder.
  for (const std::string& made : folders_) {
    if (made == *folder) return true;
  }
  folders_.push_back(*folder);
  return true;
}

void Cgroup::MakeVersion2(absl::string_view name) {
  const std::optional<std::string> parent = OwnFolder("");
  if (!parent.has_value()) return;
  // Fails where this process's own group holds processes and is not the root.
  WriteKnob(absl::StrCat(*parent, "/cgroup.subtree_control"), "+memory +pids");
  // An equal share for each cell. By itself, as it may be refused alone.
  WriteKnob(absl::StrCat(*parent, "/cgroup.subtree_control"), "+cpu");
  std::optional<std::string> group = MakeGroup(*parent, name);
  if (!group.has_value()) return;
  folders_.push_back(*group);
  version2_ = true;
  if (access(absl::StrCat(*group, "/memory.max").c_str(), W_OK) == 0) {
    memory_ = *group;
  }
  if (access(absl::StrCat(*group, "/pids.max").c_str(), W_OK) == 0) {
    pids_ = *group;
  }
  cpu_file_ = absl::StrCat(*group, "/cpu.stat");
}

Cgroup::~Cgroup() {
  for (const std::string& folder : folders_) rmdir(folder.c_str());
}

bool Cgroup::Prepare(int64_t memory_bytes, int64_t processes) {
  if (limits_memory()) {
    const std::string text = absl::StrCat(memory_bytes);
    const std::string limit = absl::StrCat(
        memory_, version2_ ? "/memory.max" : "/memory.limit_in_bytes");
    const std::string with_swap =
        absl::StrCat(memory_, version2_ ? "/memory.swap.max"
                                        : "/memory.memsw.limit_in_bytes");
    if (memory_limit_ != memory_bytes) {
      // Memory with swap may never be below memory: when the limit grows, that
      // one has to go first. Swap accounting may be absent.
      if (version2_) {
        WriteKnob(with_swap, "0");
      } else if (memory_bytes > memory_limit_) {
        WriteKnob(with_swap, text);
      }
      if (!WriteKnob(limit, text)) return false;
      if (!version2_) WriteKnob(with_swap, text);
      memory_limit_ = memory_bytes;
    }
    if (peak_reader_.is_open()) (void)!pwrite(peak_reader_.get(), "0", 1, 0);
  }
  if (limits_processes() && processes_limit_ != processes) {
    if (!WriteKnob(absl::StrCat(pids_, "/pids.max"), absl::StrCat(processes))) {
      return false;
    }
    processes_limit_ = processes;
  }
  return true;
}

std::string Cgroup::ProcsFiles() const {
  std::string files;
  for (const std::string& folder : folders_) {
    absl::StrAppend(&files, files.empty() ? "" : ":", folder, "/cgroup.procs");
  }
  return files;
}

std::optional<int64_t> Cgroup::CpuMicros() const {
  if (!counts_cpu()) return std::nullopt;
  if (version2_) return Field(ReadAgain(cpu_reader_), "usage_usec");
  const std::optional<int64_t> nanos = Number(cpu_reader_);
  if (!nanos.has_value()) return std::nullopt;
  return *nanos / 1000;
}

int64_t Cgroup::OomKills() const {
  if (!limits_memory()) return 0;
  return Field(ReadAgain(oom_reader_), "oom_kill").value_or(0);
}

std::optional<int64_t> Cgroup::PeakMemoryBytes() const {
  return peak_reader_.is_open() ? Number(peak_reader_) : std::nullopt;
}

bool Cgroup::IsEmpty() const {
  for (const std::string& folder : folders_) {
    if (!ReadKnob(absl::StrCat(folder, "/cgroup.procs")).empty()) return false;
  }
  return true;
}

}  // namespace ponder
