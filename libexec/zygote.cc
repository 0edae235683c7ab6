// The part of Python's runner that is not Python: it forks and waits, so that
// the interpreter's memory is touched in the forks alone.
//
// In the Python of a cell, which becomes the cell's agent:
//   zygote_serve()  returns in process 1 of each run, without any rights
//   zygote_enter()  there: streams and channel in their places
//   zygote_leave()  there: the runner stays this process, or becomes another
//                   one, and this one its init, for ever
// In every runner:
//   next_request()  returns the next request, in a fork that is to answer it

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libexec/cell_agent.h"
#include "libexec/cell_root.h"
#include "libexec/isolated_run.h"
#include "libexec/run_init.h"
#include "libexec/run_setup.h"

// Of the interpreter that loads this.
extern "C" {
void PyOS_BeforeFork();
void PyOS_AfterFork_Parent();
void PyOS_AfterFork_Child();
void* PyBytes_FromStringAndSize(const char* bytes, ssize_t size);
}

namespace {

ponder::AgentRights rights;
int agent_socket = -1;
ponder::ReceivedCommand* received = nullptr;

void Fail(const char* what) {
  ponder::SendFailure(ponder::kAgentSocket, ponder::AgentEvent::kFailed, 0,
                      what);
  _exit(126);
}

// What the channel brings and takes; see sandbox_runner.py.
constexpr size_t kHeaderBytes = 5;

void ReadExactly(char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t part = read(ponder::kRunControl, bytes, size);
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) _exit(0);  // The supervisor is gone or has seen enough.
    bytes += part;
    size -= static_cast<size_t>(part);
  }
}

// Kind and body of the next message, one behind the other.
char* ReadMessage(uint32_t* size) {
  unsigned char header[kHeaderBytes];
  ReadExactly(reinterpret_cast<char*>(header), sizeof(header));
  *size = header[0] | header[1] << 8 | header[2] << 16 |
          static_cast<uint32_t>(header[3]) << 24;
  char* message = static_cast<char*>(malloc(*size + 1));
  if (message == nullptr) _exit(125);
  message[0] = static_cast<char>(header[4]);
  ReadExactly(message + 1, *size);
  *size += 1;
  return message;
}

// Says how a child ended, once nothing that it started is left.
void ReportEnd(pid_t child) {
  int status = 0;
  struct rusage usage = {};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  // All that this process may kill: its descendants, in a namespace.
  if (getpid() <= 2) kill(-1, SIGKILL);
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  const int64_t facts[3] = {
      status,
      (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
          usage.ru_utime.tv_usec + usage.ru_stime.tv_usec,
      usage.ru_maxrss};
  char message[kHeaderBytes + sizeof(facts)] = {sizeof(facts), 0, 0, 0, 'X'};
  memcpy(message + kHeaderBytes, facts, sizeof(facts));
  (void)!write(ponder::kRunControl, message, sizeof(message));
}

// The body as standard input: an open file without a name.
void PlaceInput(const char* bytes, size_t size) {
  int file = memfd_create("stdin", 0);
  if (file < 0) {  // Where no cgroup would count it.
    file = open(".stdin", O_RDWR | O_CREAT, 0600);
    unlink(".stdin");
  }
  while (size > 0) {
    const ssize_t part = write(file, bytes, size);
    if (part <= 0) _exit(125);
    bytes += part;
    size -= static_cast<size_t>(part);
  }
  lseek(file, 0, SEEK_SET);
  dup2(file, 0);
  ponder::CloseFrom(ponder::kRunControl);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int ponder_zygote_serve(long uid) {
  rights.uid = uid;
  if (!ponder::ReadFilter(ponder::kAgentFilter, &rights)) {
    Fail("read the system-call filter");
  }
  const char* failure = ponder::SealRoot();
  if (failure == nullptr) failure = ponder::EmptyBoundingSet();
  if (failure != nullptr) Fail(failure);
  close(ponder::kAgentFilter);
  close(ponder::kAgentRunner);
  static ponder::CellAgent agent(ponder::kAgentSocket, ponder::SpawnIsolated,
                                 /*clean_up=*/nullptr, &rights);
  agent_socket = agent.socket();
  received = agent.Serve();
  return 0;
}

__attribute__((visibility("default"))) int ponder_zygote_enter() {
  const char* failure = ponder::EnterRun(received);
  // What is left open is the agent's. The init says how the run ended, so its
  // socket stays until zygote_leave().
  constexpr int kKept = ponder::kRunControl + 1;
  if (failure == nullptr && (dup3(agent_socket, kKept, O_CLOEXEC) < 0 ||
                             !ponder::CloseFrom(kKept + 1))) {
    failure = "close file descriptors";
  }
  if (failure == nullptr) {
    agent_socket = kKept;
    return 0;
  }
  ponder::SendFailure(agent_socket, ponder::AgentEvent::kRunFailed,
                      received->command.run, failure);
  return -1;
}

// Bytes: kind and body. Requests of a kind in small letters are answered by
// this process itself, which is the last thing that it does. `has_threads`:
// the interpreter has to repair itself in a fork, a tenth of what a test costs;
// with one thread all that it knows stays true.
__attribute__((visibility("default"))) void* ponder_next_request(
    int has_threads) {
  while (true) {
    uint32_t size = 0;
    char* message = ReadMessage(&size);
    const char kind = message[0];
    if (kind == 'C' || kind == 'M' || kind == 'T' || kind == 'I') {
      if (has_threads != 0) PyOS_BeforeFork();
      const pid_t child = fork();
      if (child != 0) {
        if (has_threads != 0) PyOS_AfterFork_Parent();
        free(message);
        ReportEnd(child);
        continue;
      }
      if (has_threads != 0) PyOS_AfterFork_Child();
      if (kind == 'I') PlaceInput(message + 1, size - 1);
    } else if (kind != 'c' && kind != 'm') {
      free(message);  // Meant for a process that has ended.
      continue;
    }
    void* request = PyBytes_FromStringAndSize(message, size);
    free(message);
    return request;
  }
}

// Returns in the runner, which must not reach the agent any more.
__attribute__((visibility("default"))) int ponder_zygote_leave(
    int makes_process) {
  if (makes_process != 0) {
    const pid_t child = fork();  // With one thread, as below.
    if (child < 0) return -1;
    if (child > 0) ponder::ServeAsInit(agent_socket, child, received);
  }
  return close(agent_socket);
}

}  // extern "C"
