#include "libexec/bubblewrap_run.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libexec/run_init.h"
#include "libexec/run_setup.h"

namespace ponder {
namespace {

// A command line that grows. Texts are not copied.
class CommandLine {
 public:
  void Add(const char* text) {
    if (count_ < kMost) texts_[count_++] = const_cast<char*>(text);
    texts_[count_] = nullptr;
  }
  template <typename... Texts>
  void AddAll(const Texts*... texts) {
    (Add(texts), ...);
  }
  char* const* texts() const { return texts_; }

 private:
  static constexpr int kMost = 400;
  char* texts_[kMost + 1] = {};
  int count_ = 0;
};

char bind_texts[2][64][512];

// A path of the host as it is: a link stays one, a folder is bound.
void AddPath(const char* text, int index, CommandLine* line) {
  char* source = bind_texts[0][index];
  snprintf(source, sizeof(bind_texts[0][0]), "%s", text);
  char* equal = strchr(source, '=');
  if (equal != nullptr) *equal = '\0';
  const char* target = equal != nullptr ? equal + 1 : source;
  struct stat status;
  if (lstat(source, &status) != 0) return;
  if (S_ISLNK(status.st_mode)) {
    char* link = bind_texts[1][index];
    const ssize_t size = readlink(source, link, sizeof(bind_texts[1][0]) - 1);
    if (size < 0) return;
    link[size] = '\0';
    line->AddAll("--symlink", link, target);
  } else {
    line->AddAll("--ro-bind", source, target);
  }
}

void BuildCommandLine(const ForeignRuns& runs, const AgentCommand& command,
                      CommandLine* line) {
  static char disk[32];
  static char filter[16];
  static char program[32];
  snprintf(disk, sizeof(disk), "%lld",
           static_cast<long long>(command.disk_bytes));
  snprintf(filter, sizeof(filter), "%d", kInitFilter);
  snprintf(program, sizeof(program), "/proc/self/fd/%d", kInitProgram);
  line->AddAll(
      runs.bubblewrap, "--unshare-user", "--unshare-ipc", "--unshare-pid",
      "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
      // Another number than any user of the host, and never 0.
      "--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--as-pid-1",
      "--die-with-parent", "--new-session", "--cap-drop", "ALL");
  for (int i = 0; i < runs.root.num_paths && i < 64; ++i) {
    AddPath(runs.root.paths[i], i, line);
  }
  // The init is executed by its descriptor, so /proc is always there.
  line->AddAll("--proc", "/proc");
  constexpr const char* kDevices[] = {"/dev/null", "/dev/zero", "/dev/urandom"};
  for (const char* device : kDevices) {
    line->AddAll("--dev-bind", device, device, "--remount-ro", device);
  }
  line->AddAll("--symlink", "urandom", "/dev/random", "--symlink",
               "/proc/self/fd", "/dev/fd", "--symlink", "/proc/self/fd/0",
               "/dev/stdin", "--symlink", "/proc/self/fd/1", "/dev/stdout",
               "--symlink", "/proc/self/fd/2", "/dev/stderr", "--symlink",
               "/work/.shm", "/dev/shm", "--size", disk, "--tmpfs", "/work",
               "--dir", "/work/.shm", "--dir", "/work/.tmp", "--symlink",
               "/work/.tmp", "/tmp", "--remount-ro", "/", "--chdir", "/work",
               "--seccomp", filter, "--", program, "init", "/work");
}

// The command as a file that the init reads.
int CommandFile(const AgentCommand& command) {
  const int file = memfd_create("command", MFD_CLOEXEC);
  if (file < 0 || write(file, &command, sizeof(command)) !=
                      static_cast<ssize_t>(sizeof(command))) {
    return -1;
  }
  return file;
}

// Everything that the init needs, at its number and not closed by execution.
bool GiveFds(const ForeignRuns& runs, int socket, ReceivedCommand* received) {
  const int sources[] = {
      received->fds[0], received->fds[1], received->fds[2],
      received->fds[3], received->fds[4], received->fds[5],
      socket,           runs.filter,      CommandFile(received->command),
      runs.self};
  int high[kInitProgram + 1];
  for (int i = 0; i <= kInitProgram; ++i) {
    high[i] = sources[i] < 0 ? -1 : fcntl(sources[i], F_DUPFD_CLOEXEC, 128);
    if (sources[i] >= 0 && high[i] < 0) return false;
  }
  for (int i = 0; i <= kInitProgram; ++i) {
    close(i);
    if (high[i] >= 0 && dup2(high[i], i) < 0) return false;
  }
  // The filter is read from its beginning, also the second time.
  return lseek(kInitFilter, 0, SEEK_SET) == 0 && CloseFrom(kInitProgram + 1);
}

// The program's, so that it can write there.
bool MakeFolder(ForeignRuns* runs) {
  snprintf(runs->folder, sizeof(runs->folder), "/tmp/ponder-unsafe-XXXXXX");
  if (mkdtemp(runs->folder) == nullptr) {
    *runs->folder = '\0';
    return false;
  }
  const auto uid = static_cast<uid_t>(runs->uid);
  return runs->uid < 0 || chown(runs->folder, uid, uid) == 0;
}

// From the leaves up; links are entries like others.
constexpr int kWalk = FTW_DEPTH | FTW_PHYS | FTW_MOUNT;

int RemoveEntry(const char* path, const struct stat*, int, struct FTW*) {
  remove(path);
  return 0;
}

}  // namespace

pid_t SpawnForeign(void* context, int socket, ReceivedCommand* received) {
  auto& runs = *static_cast<ForeignRuns*>(context);
  if (runs.bubblewrap == nullptr && !MakeFolder(&runs)) return -1;
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  const uint32_t run = received->command.run;
  if (!GiveFds(runs, socket, received) || !BecomeUser(runs.uid)) {
    SendFailure(socket, AgentEvent::kRunFailed, run, "prepare a run");
    _exit(126);
  }
  // After the change of user, which clears it.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != parent) _exit(126);
  char* const no_environment[] = {nullptr};
  if (runs.bubblewrap != nullptr) {
    static CommandLine line;
    BuildCommandLine(runs, received->command, &line);
    execve(runs.bubblewrap, line.texts(), no_environment);
  } else {
    char name[] = "sandbox-launcher";
    char mode[] = "init";
    char* const line[] = {name, mode, runs.folder, nullptr};
    fexecve(kInitProgram, line, no_environment);
  }
  SendFailure(kInitSocket, AgentEvent::kRunFailed, run, "start the init");
  _exit(126);
}

void RemoveFolderOfRun(void* context) {
  auto& runs = *static_cast<ForeignRuns*>(context);
  if (*runs.folder != '\0') nftw(runs.folder, RemoveEntry, 16, kWalk);
  *runs.folder = '\0';
}

int MainOfInit(const char* folder) {
  static ReceivedCommand received;
  work_folder = folder;
  if (pread(kInitCommand, &received.command, sizeof(received.command), 0) !=
      static_cast<ssize_t>(sizeof(received.command))) {
    return 126;
  }
  CloseFrom(kInitCommand + 1);
  close(kInitCommand);
  close(kInitFilter);
  for (int i = 0; i < kNumRunFds; ++i) {
    received.fds[i] = (received.command.fds >> i & 1) != 0 ? i : -1;
    if (received.fds[i] >= 0) fcntl(i, F_SETFD, FD_CLOEXEC);
  }
  const int socket = fcntl(kInitSocket, F_DUPFD_CLOEXEC, 64);
  close(kInitSocket);
  const char* failure = nullptr;
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    failure = "hide the init";
  }
  if (failure == nullptr) failure = PlaceSource(received);
  if (failure == nullptr) failure = SetRunLimits(received.command, 2);
  const pid_t child = failure == nullptr ? StartProgram(socket, &received) : -1;
  if (child < 0) {
    SendFailure(socket, AgentEvent::kRunFailed, received.command.run,
                failure != nullptr ? failure : "start a process");
    return 126;
  }
  ServeAsInit(socket, child, &received);
}

}  // namespace ponder
