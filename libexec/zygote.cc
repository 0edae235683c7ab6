// The part of Python's runner that is not Python: it forks and waits, so that
// the interpreter's memory is touched in the forks alone. A module of the
// interpreter, by the stable part of its interface (PEP 384).
//
// In the Python of a cell, which becomes the cell's agent:
//   serve(uid)    returns in process 1 of each run, without any rights
//   enter()       there: streams and channel in their places
//   leave(split)  there: the runner stays this process, or becomes another
//                 one, and this one its init, for ever
// In every runner:
//   next_request(has_threads, token)  returns the next request, in a fork that
//                                     is to answer it

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03090000
#include <Python.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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
constexpr int kNoProcess = 126;  // Exit status of a fork that failed.

// Read, but not yet asked for: only what stands behind a token is.
char ahead[32768];
size_t ahead_begin = 0;
size_t ahead_end = 0;

// At least one byte, or the end of this process.
size_t ReadSome(char* bytes, size_t size) {
  while (true) {
    const ssize_t part = read(ponder::kRunControl, bytes, size);
    if (part > 0) return static_cast<size_t>(part);
    // The supervisor is gone or has seen enough.
    if (part == 0 || errno != EINTR) _exit(0);
  }
}

void ReadExactly(char* bytes, size_t size) {
  size_t done = 0;
  if (ahead_begin < ahead_end) {
    const size_t left = ahead_end - ahead_begin;
    done = left < size ? left : size;
    memcpy(bytes, ahead + ahead_begin, done);
    ahead_begin += done;
  }
  while (done < size) done += ReadSome(bytes + done, size - done);
}

// Takes what comes before the token off the channel, and the token.
void SkipToToken(const char* token, size_t size) {
  while (true) {
    const size_t count = ahead_end - ahead_begin;
    const void* const found = memmem(ahead + ahead_begin, count, token, size);
    if (found != nullptr) {
      ahead_begin =
          static_cast<size_t>(static_cast<const char*>(found) - ahead) + size;
      return;
    }
    // Its beginning may be at the end.
    const size_t kept = count < size ? count : size - 1;
    memmove(ahead, ahead + ahead_end - kept, kept);
    ahead_begin = 0;
    ahead_end = kept + ReadSome(ahead + kept, sizeof(ahead) - kept);
  }
}

class Message {
 public:
  // Reads the next one.
  Message() {
    unsigned char header[kHeaderBytes];
    ReadExactly(reinterpret_cast<char*>(header), sizeof(header));
    size_ = header[0] | header[1] << 8 | header[2] << 16 |
            static_cast<uint32_t>(header[3]) << 24;
    kind_ = static_cast<char>(header[4]);
    if (size_ > sizeof(small_)) {
      large_ = static_cast<char*>(malloc(size_));
      if (large_ == nullptr) _exit(125);
    }
    ReadExactly(const_cast<char*>(body()), size_);
  }
  ~Message() { free(large_); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  char kind() const { return kind_; }
  const char* body() const { return large_ != nullptr ? large_ : small_; }
  uint32_t size() const { return size_; }

 private:
  char kind_;
  uint32_t size_;
  char small_[1024];  // On the stack, a page that each fork touches anyway.
  char* large_ = nullptr;
};

// Says how a child ended, once nothing that it started is left. -1: there was
// none.
void ReportEnd(pid_t child) {
  int status = 0;
  struct rusage usage = {};
  pid_t ended = -1;
  do {
    if (child > 0) ended = wait4(child, &status, 0, &usage);
  } while (child > 0 && ended < 0 && errno == EINTR);
  // What nobody has seen end well has not.
  if (ended < 0) status = kNoProcess << 8;
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

// Forks, with the program's own way of waiting for children put aside: it may
// have asked the kernel to forget them.
pid_t ForkOwn(bool serves_many) {
  cpu_set_t all;
  const bool moves =
      serves_many && sched_getaffinity(0, sizeof(all), &all) == 0;
  if (moves) ponder::StayOnThisProcessor();
  struct sigaction usual = {};
  usual.sa_handler = SIG_DFL;
  struct sigaction own;
  sigaction(SIGCHLD, &usual, &own);
  const pid_t child = fork();
  if (child == 0) {
    sigaction(SIGCHLD, &own, nullptr);
  } else if (moves) {
    sched_setaffinity(0, sizeof(all), &all);
  }
  return child;
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

PyObject* Serve(PyObject* /*module*/, PyObject* uid) {
  rights.uid = PyLong_AsLong(uid);
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
  Py_RETURN_NONE;
}

PyObject* Enter(PyObject* /*module*/, PyObject* /*unused*/) {
  const char* failure = ponder::EnterRun(received);
  // What is left open is the agent's. The init says how the run ended, so its
  // socket stays until Leave().
  constexpr int kKept = ponder::kRunControl + 1;
  if (failure == nullptr && (dup3(agent_socket, kKept, O_CLOEXEC) < 0 ||
                             !ponder::CloseFrom(kKept + 1))) {
    failure = "close file descriptors";
  }
  if (failure == nullptr) {
    agent_socket = kKept;
    Py_RETURN_NONE;
  }
  ponder::SendFailure(agent_socket, ponder::AgentEvent::kRunFailed,
                      received->command.run, failure);
  _exit(126);
}

// Returns in the runner, which must not reach the agent any more.
PyObject* Leave(PyObject* /*module*/, PyObject* split) {
  if (PyObject_IsTrue(split) != 0) {
    const pid_t child = fork();  // With one thread, as below.
    if (child < 0) _exit(126);
    if (child > 0) ponder::ServeAsInit(agent_socket, child, received);
  }
  close(agent_socket);
  Py_RETURN_NONE;
}

// Arguments: has_threads, token. Kind, a number, and body, bytes. Requests of a
// kind in small letters are answered by this process itself, which is the last
// thing that it does. `has_threads`: the interpreter has to repair itself in a
// fork, a tenth of what a test costs; with one thread all that it knows stays
// true. Where there is a token, each request stands behind it: what does not
// was meant for a fork that has ended.
PyObject* NextRequest(PyObject* /*module*/, PyObject* arguments) {
  int has_threads = 0;
  const char* token = nullptr;
  Py_ssize_t token_size = 0;
  if (!PyArg_ParseTuple(arguments, "py#", &has_threads, &token, &token_size)) {
    return nullptr;
  }
  while (true) {
    if (token_size > 0) SkipToToken(token, static_cast<size_t>(token_size));
    const Message message;
    const char kind = message.kind();
    if (kind == 'C' || kind == 'M' || kind == 'T' || kind == 'I') {
      if (has_threads != 0) PyOS_BeforeFork();
      const pid_t child = ForkOwn(/*serves_many=*/token_size > 0);
      if (child != 0) {
        if (has_threads != 0) PyOS_AfterFork_Parent();
        ReportEnd(child);
        continue;
      }
      if (has_threads != 0) PyOS_AfterFork_Child();
      if (kind == 'I') PlaceInput(message.body(), message.size());
    } else if (kind != 'c' && kind != 'm') {
      continue;  // Meant for a process that has ended.
    }
    return Py_BuildValue("iy#", kind, message.body(),
                         static_cast<Py_ssize_t>(message.size()));
  }
}

PyMethodDef methods[] = {
    {"serve", Serve, METH_O, nullptr},
    {"enter", Enter, METH_NOARGS, nullptr},
    {"leave", Leave, METH_O, nullptr},
    {"next_request", NextRequest, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "sandbox_zygote",
                          nullptr,
                          0,
                          methods,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_sandbox_zygote() { return PyModuleDef_Init(&definition); }
