// Makes a cell and becomes its agent. It is started by a large process full of
// threads, where nothing but an exec is safe.
//
//     sandbox-launcher BACKEND UID CGROUPS PYTHON BUBBLEWRAP -- PATH...
//     sandbox-launcher init FOLDER
//
// BACKEND: root (this process has root's rights), user (a namespace gives
// them),
//   bubblewrap, none.
// UID: the programs' user; -1: this process's own.
// CGROUPS: cgroup.procs files to join, joined with ':'; may be empty.
// PYTHON: the interpreter that becomes a zygote; empty: runs are programs.
// BUBBLEWRAP: its path, or empty.
// PATH: what of the host is to be seen; see CellRoot.

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libexec/bubblewrap_run.h"
#include "libexec/cell_agent.h"
#include "libexec/cell_root.h"
#include "libexec/isolated_run.h"
#include "libexec/run_init.h"
#include "libexec/run_setup.h"

namespace ponder {
namespace {

// The zygote reads the runner, and the runner does the rest.
constexpr char kZygoteCode[] =
    "import posix\n"
    "b=b''\n"
    "while p:=posix.read(5,65536):b+=p\n"
    "exec(compile(b,'sandbox_runner.py','exec',optimize=2))";
constexpr char kZygoteLibrary[] = "/zygote.so";

struct Options {
  const char* backend;
  const char* uid;
  char* cgroups;
  char* python;
  const char* bubblewrap;
  CellRoot root;
};

[[noreturn]] void Die(const char* what) {
  SendFailure(kAgentSocket, AgentEvent::kFailed, 0, what);
  _exit(126);
}

void DieIf(const char* failure) {
  if (failure != nullptr) Die(failure);
}

void JoinCgroups(char* files) {
  char* save = nullptr;
  for (char* file = strtok_r(files, ":", &save); file != nullptr;
       file = strtok_r(nullptr, ":", &save)) {
    if (!WriteText(file, "0")) Die("join a cgroup");
  }
}

// Process 1 of the cell's process namespace.
[[noreturn]] void RunAgent(const Options& options) {
  static AgentRights rights;
  rights.uid = atol(options.uid);
  if (*options.python != '\0') {
    DieIf(CopyIntoRoot(kAgentZygote, kZygoteLibrary));
    close(kAgentZygote);
    DieIf(KeepCapabilities());
    char flags[][4] = {"-s", "-S", "-B", "-c"};
    char code[sizeof(kZygoteCode)];
    memcpy(code, kZygoteCode, sizeof(code));
    char* const line[] = {options.python,
                          flags[0],
                          flags[1],
                          flags[2],
                          flags[3],
                          code,
                          const_cast<char*>(options.uid),
                          nullptr};
    execve(options.python, line, kZygoteEnvironment);
    Die("execute the interpreter");
  }
  if (!ReadFilter(kAgentFilter, &rights)) Die("read the system-call filter");
  CloseFrom(kAgentFilter);
  DieIf(SealRoot());
  DieIf(EmptyBoundingSet());
  CellAgent agent(kAgentSocket, SpawnIsolated, /*clean_up=*/nullptr, &rights);
  ReceivedCommand* received = agent.Serve();
  const pid_t child = StartProgram(agent.socket(), received);
  if (child < 0) {
    SendFailure(agent.socket(), AgentEvent::kRunFailed, received->command.run,
                "start a process");
    _exit(126);
  }
  ServeAsInit(agent.socket(), child, received);
}

// The process that this one was started as waits outside of the cell.
int WaitForAgent(pid_t agent) {
  CloseFrom(0);
  while (waitpid(agent, nullptr, 0) < 0 && errno == EINTR) {
  }
  return 0;
}

// Root's user would be root to the host's files, so that is given up first.
const char* EnterUserBackend(Options* options) {
  if (!BecomeUser(atol(options->uid))) return "become the programs' user";
  options->uid = "-1";
  // Changing users makes a process's own /proc entry root's.
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  return EnterUserNamespace();
}

int MakeOwnCell(Options options) {
  const bool is_user = strcmp(options.backend, "user") == 0;
  if (is_user) DieIf(EnterUserBackend(&options));
  if (unshare(CLONE_NEWPID) != 0) Die("make a process namespace");
  const pid_t self = getpid();
  const pid_t agent = fork();
  if (agent < 0) Die("start a process");
  if (agent > 0) return WaitForAgent(agent);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // The parent's number, seen from a namespace that it is not in.
  if (getppid() != 0 && getppid() != self) _exit(126);
  DieIf(EnterCell(options.root, /*keeps_proc=*/is_user));
  RunAgent(options);
}

int ServeForeignRuns(const Options& options) {
  static ForeignRuns runs;
  runs.uid = atol(options.uid);
  runs.root = options.root;
  runs.bubblewrap = *options.bubblewrap != '\0' ? options.bubblewrap : nullptr;
  runs.filter = fcntl(kAgentFilter, F_DUPFD_CLOEXEC, 64);
  runs.self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (runs.filter < 0 || runs.self < 0) Die("open what runs need");
  // Orphans come to this process instead of to pid 1.
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  close(kAgentFilter);
  close(kAgentRunner);
  close(kAgentZygote);
  CellAgent agent(kAgentSocket, SpawnForeign, RemoveFolderOfRun, &runs);
  agent.Serve();
  return 0;
}

int Main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "init") == 0) return MainOfInit(argv[2]);
  if (argc < 7 || strcmp(argv[6], "--") != 0) return 126;
  if (!CloseFrom(kNumAgentFds) || chdir("/") != 0) return 126;
  // A terminal's signals are for the process that started this one.
  setsid();
  const Options options = {argv[1], argv[2], argv[3],
                           argv[4], argv[5], {argv + 7, argc - 7}};
  JoinCgroups(options.cgroups);
  const bool own = strcmp(options.backend, "root") == 0 ||
                   strcmp(options.backend, "user") == 0;
  return own ? MakeOwnCell(options) : ServeForeignRuns(options);
}

}  // namespace
}  // namespace ponder

int main(int argc, char** argv) { return ponder::Main(argc, argv); }
