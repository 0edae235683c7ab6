// An agent's end of the socket, and small things that its parts share.

#ifndef PONDER_LIBEXEC_AGENT_IO_H_
#define PONDER_LIBEXEC_AGENT_IO_H_

#include "libexec/launch_protocol.h"

namespace ponder {

// A command and the file descriptors that came with it.
struct ReceivedCommand {
  AgentCommand command;
  int fds[kNumRunFds];  // -1: not there.
};

// Waits for the next command. False at the end of the socket.
bool ReceiveCommand(int socket, ReceivedCommand* received);
void CloseFds(ReceivedCommand* received);

void SendEvent(int socket, const AgentEvent& event);

// Sends kind and text with the current errno.
void SendFailure(int socket, AgentEvent::Kind kind, uint32_t run,
                 const char* text);

// The texts of a command, "" beyond the last one.
const char* CommandText(const AgentCommand& command, unsigned index);
inline const char* SourceName(const AgentCommand& command) {
  return CommandText(command, 0);
}
inline const char* CollectName(const AgentCommand& command) {
  return CommandText(command, 1);
}

// Fills a null-terminated list with the arguments.
inline constexpr unsigned kMaxArguments = 48;
void CommandArguments(const AgentCommand& command,
                      char* arguments[kMaxArguments + 1]);

// What every program sees, and nothing else.
extern char* const* const kProgramEnvironment;
// The same for a Python that is forked for each run: what it does not look up
// in its libraries at once, each fork would.
extern char* const kZygoteEnvironment[];
// Of a program that was compiled, whose cell has no locales.
extern char* const kBinaryEnvironment[];

bool WriteText(const char* path, const char* text);
bool CloseFrom(int first);

}  // namespace ponder

#endif  // PONDER_LIBEXEC_AGENT_IO_H_
