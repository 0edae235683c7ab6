#include "libexec/agent_io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ponder {

char* const kZygoteEnvironment[] = {
    const_cast<char*>("LD_BIND_NOW=1"), const_cast<char*>("PATH=/usr/bin"),
    const_cast<char*>("HOME=/work"), const_cast<char*>("TMPDIR=/tmp"),
    const_cast<char*>("LANG=C.UTF-8"),
    // The order of Python's sets must not depend on the run.
    const_cast<char*>("PYTHONHASHSEED=0"), nullptr};

char* const* const kProgramEnvironment = kZygoteEnvironment + 1;

char* const kBinaryEnvironment[] = {
    const_cast<char*>("PATH=/usr/bin"), const_cast<char*>("HOME=/work"),
    const_cast<char*>("TMPDIR=/tmp"), const_cast<char*>("LANG=C"), nullptr};

bool ReceiveCommand(int socket, ReceivedCommand* received) {
  for (int& fd : received->fds) fd = -1;
  memset(&received->command, 0, sizeof(received->command));
  iovec part = {&received->command, sizeof(received->command)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kNumRunFds)];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t size;
  do {
    size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size != static_cast<ssize_t>(sizeof(received->command))) return false;
  received->command.text[sizeof(received->command.text) - 1] = '\0';
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return true;
  const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  int fds[kNumRunFds];
  memcpy(fds, CMSG_DATA(header), count * sizeof(int));
  size_t next = 0;
  for (int i = 0; i < kNumRunFds && next < count; ++i) {
    if ((received->command.fds >> i & 1) != 0) received->fds[i] = fds[next++];
  }
  return true;
}

void CloseFds(ReceivedCommand* received) {
  for (int& fd : received->fds) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
}

void SendEvent(int socket, const AgentEvent& event) {
  while (send(socket, &event, sizeof(event), MSG_NOSIGNAL) < 0 &&
         errno == EINTR) {
  }
}

void SendFailure(int socket, AgentEvent::Kind kind, uint32_t run,
                 const char* text) {
  AgentEvent event = {};
  event.error = errno;
  event.kind = kind;
  event.run = run;
  strncpy(event.text, text, sizeof(event.text) - 1);
  SendEvent(socket, event);
}

const char* CommandText(const AgentCommand& command, unsigned index) {
  const char* text = command.text;
  const char* const end = command.text + sizeof(command.text);
  for (; index > 0 && text < end; --index) text += strlen(text) + 1;
  return text < end ? text : "";
}

void CommandArguments(const AgentCommand& command,
                      char* arguments[kMaxArguments + 1]) {
  unsigned count = 0;
  for (; count < command.num_arguments && count < kMaxArguments; ++count) {
    arguments[count] = const_cast<char*>(CommandText(command, count + 2));
  }
  arguments[count] = nullptr;
}

bool WriteText(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t size = static_cast<ssize_t>(strlen(text));
  const bool written = write(fd, text, static_cast<size_t>(size)) == size;
  close(fd);
  return written;
}

bool CloseFrom(int first) {
  return syscall(SYS_close_range, first, ~0U, 0) == 0;
}

}  // namespace ponder
