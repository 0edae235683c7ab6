#include "tests/support/ponder_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kPollPeriod = absl::Milliseconds(3);
constexpr absl::Duration kEndOfLeftovers = absl::Seconds(10);

std::string ReadProc(pid_t pid, const std::string& file) {
  // Empty where the process has just gone.
  return ReadFile(absl::StrCat("/proc/", pid, "/", file)).value_or("");
}

std::string CommandLine(pid_t pid) {
  std::string text = ReadProc(pid, "cmdline");
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

std::vector<pid_t> AllPids() {
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    pid_t pid;
    if (absl::SimpleAtoi(entry.path().filename().string(), &pid)) {
      pids.push_back(pid);
    }
  }
  return pids;
}

// Third and fourth field of /proc/PID/stat, behind the name in parentheses.
bool ReadStat(pid_t pid, char* state, pid_t* parent) {
  const std::string stat = ReadProc(pid, "stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return false;
  const std::vector<std::string> fields =
      absl::StrSplit(stat.substr(name_end + 1), ' ', absl::SkipEmpty());
  if (fields.size() < 2 || fields[0].empty()) return false;
  *state = fields[0][0];
  return absl::SimpleAtoi(fields[1], parent);
}

}  // namespace

TestFolder::TestFolder() {
  std::string pattern = absl::StrCat(testing::TempDir(), "ponder-XXXXXX");
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TestFolder::~TestFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

std::string TestFolder::Write(const std::string& name,
                              const std::string& content) const {
  std::ofstream(File(name), std::ios::binary) << content;
  return File(name);
}

bool WaitUntil(const std::function<bool()>& condition, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(kPollPeriod);
  }
  return true;
}

PonderProcess::PonderProcess(const std::vector<std::string>& arguments)
    : mark_(absl::StrCat("PONDER_TEST_PROCESS=", folder_.path())) {
  std::vector<std::string> words = {PONDER_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<char*> environment;
  for (char** e = environ; *e != nullptr; ++e) environment.push_back(*e);
  environment.push_back(mark_.data());
  environment.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const std::string out = folder_.File("out"), err = folder_.File("err");
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_CREAT | O_WRONLY,
                                   0600);
  posix_spawn_file_actions_addopen(&files, 2, err.c_str(), O_CREAT | O_WRONLY,
                                   0600);
  if (posix_spawn(&pid_, PONDER_BINARY, &files, nullptr, argv.data(),
                  environment.data()) != 0) {
    ADD_FAILURE() << "cannot start " << PONDER_BINARY;
    ended_ = true;
  }
  posix_spawn_file_actions_destroy(&files);
}

PonderProcess::~PonderProcess() {
  if (Running()) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  for (const pid_t pid : Marked()) kill(pid, SIGKILL);
}

bool PonderProcess::Running() {
  if (ended_) return false;
  int status;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  ended_ = true;
  exit_code_ =
      WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return false;
}

int PonderProcess::Wait(absl::Duration timeout) {
  if (!WaitUntil([this] { return !Running(); }, timeout)) return -1;
  return exit_code_;
}

void PonderProcess::Signal(int signal) const {
  if (!ended_) kill(pid_, signal);
}

std::string PonderProcess::StandardOutput() const {
  return ReadFile(folder_.File("out")).value_or("");
}

std::string PonderProcess::StandardError() const {
  return ReadFile(folder_.File("err")).value_or("");
}

std::vector<PonderProcess::Child> PonderProcess::Children(
    const std::string& part) const {
  std::vector<Child> children;
  for (const pid_t pid : AllPids()) {
    char state;
    pid_t parent;
    if (!ReadStat(pid, &state, &parent) || parent != pid_ || state == 'Z') {
      continue;
    }
    const std::string line = CommandLine(pid);
    if (absl::StrContains(line, part)) children.push_back({pid, line});
  }
  return children;
}

std::vector<pid_t> PonderProcess::Marked() const {
  std::vector<pid_t> marked;
  for (const pid_t pid : AllPids()) {
    if (pid == pid_) continue;
    const std::string environment = ReadProc(pid, "environ");
    const std::vector<absl::string_view> entries =
        absl::StrSplit(environment, '\0');
    if (std::find(entries.begin(), entries.end(), mark_) == entries.end()) {
      continue;
    }
    char state;
    pid_t parent;
    if (ReadStat(pid, &state, &parent) && state != 'Z') marked.push_back(pid);
  }
  return marked;
}

std::vector<std::string> PonderProcess::Leftovers() const {
  WaitUntil([this] { return Marked().empty(); }, kEndOfLeftovers);
  std::vector<std::string> lines;
  for (const pid_t pid : Marked()) {
    lines.push_back(absl::StrCat(pid, " ", CommandLine(pid)));
  }
  return lines;
}

PonderResult RunPonder(const std::vector<std::string>& arguments,
                       absl::Duration timeout) {
  PonderProcess process(arguments);
  const int code = process.Wait(timeout);
  return {code, process.StandardOutput(), process.StandardError()};
}

}  // namespace ponder
