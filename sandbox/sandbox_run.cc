#include "sandbox/sandbox_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "sandbox/message_frame.h"

namespace ponder {
namespace {

constexpr absl::Duration kEndTimeout = absl::Seconds(20);
constexpr absl::Duration kCpuPollInterval = absl::Milliseconds(20);
constexpr size_t kReadBytes = 64 << 10;
// Address space beyond the limit on memory where each process is limited by
// itself: the interpreter's own, and stacks that are reserved and not used.
constexpr int64_t kDataSlack = int64_t{16} << 20;
constexpr int64_t kWatchedDataSlack = int64_t{1} << 30;

// Where no zygote has the runner in it: it comes first on the channel.
constexpr char kBootstrap[] =
    "import posix\n"
    "n=int.from_bytes(posix.read(3,4),'little');b=b''\n"
    "while len(b)<n:b+=posix.read(3,n-len(b))\n"
    "exec(compile(b,'sandbox_runner.py','exec',optimize=2))";

absl::Status SetNonblocking(const UniqueFd& fd) {
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus("fcntl", "sandbox pipe");
  }
  return absl::OkStatus();
}

// The texts of a command, one behind the other.
absl::Status FillTexts(const RunSpec& spec,
                       const std::vector<std::string>& arguments,
                       AgentCommand* command) {
  std::string text;
  for (const std::string* part : {&spec.source_name, &spec.collect_name}) {
    text.append(part->c_str(), part->size() + 1);
  }
  for (const std::string& argument : arguments) {
    text.append(argument.c_str(), argument.size() + 1);
  }
  if (text.size() >= sizeof(command->text)) {
    return absl::InvalidArgumentError(
        "the command line of a run is longer than 2000 bytes");
  }
  std::memcpy(command->text, text.data(), text.size());
  command->num_arguments = static_cast<uint32_t>(arguments.size());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SandboxRun>> SandboxRun::Start(
    const SandboxTools& tools, SandboxCell& cell, const RunSpec& spec,
    const RunLimits& limits, const CancelToken* cancel) {
  auto run = absl::WrapUnique(new SandboxRun(cell, limits, cancel));
  PONDER_RETURN_IF_ERROR(run->Launch(tools, spec));
  return run;
}

SandboxRun::SandboxRun(SandboxCell& cell, const RunLimits& limits,
                       const CancelToken* cancel)
    : cell_(cell),
      limits_(limits),
      cancel_(cancel),
      number_(cell.NextRun()),
      gone_(true) {}  // Until it is launched.

SandboxRun::~SandboxRun() {
  if (!gone_) End().IgnoreError();
}

void SandboxRun::FillLimits(const RunSpec& spec, AgentCommand* command) const {
  if (!spec.serves_many) {
    command->cpu_seconds =
        absl::ToInt64Seconds(absl::Ceil(limits_.cpu, absl::Seconds(1)));
    command->cpu_micros = absl::ToInt64Microseconds(limits_.cpu);
  }
  if (spec.is_runner) command->options |= kRunIsRunner;
  if (spec.serves_many) command->options |= kRunServesMany;
  command->memory_bytes = limits_.memory_bytes;
  command->file_bytes = limits_.file_bytes;
  command->stack_bytes = limits_.stack_bytes;
  command->disk_bytes = limits_.disk_bytes;
  command->inodes = limits_.inodes;
  command->open_files = limits_.open_files;
  // The kernel counts a user's processes, and another pool on this machine may
  // have the same users: where a cgroup counts, this is but a second fence.
  command->processes =
      limits_.processes * (cell_.cgroup().limits_processes() ? 8 : 1);
  // An agent outside of the cell would count the machine's processes.
  const bool can_watch = cell_.backend() == Backend::kRoot ||
                         cell_.backend() == Backend::kUserNamespace;
  if (!cell_.cgroup().limits_memory()) {
    command->data_bytes =
        limits_.memory_bytes + (can_watch ? kWatchedDataSlack : kDataSlack);
    if (can_watch) command->options |= kRunWatchesMemory;
  }
  if (!cell_.cgroup().counts_cpu() && can_watch && !spec.serves_many) {
    command->options |= kRunWatchesCpu;
  }
}

absl::Status SandboxRun::Launch(const SandboxTools& tools,
                                const RunSpec& spec) {
  Cgroup& group = cell_.cgroup();
  // Four more than the program's: the launcher, the agent, the init and the
  // runner.
  if (!group.Prepare(limits_.memory_bytes, limits_.processes + 4)) {
    return absl::InternalError("cannot set the limits of the cgroup");
  }
  oom_start_ = group.OomKills();
  cpu_first_ = cpu_start_ = group.CpuMicros().value_or(0);

  Pipe out, error;
  PONDER_RETURN_IF_ERROR(out.Open());
  PONDER_RETURN_IF_ERROR(error.Open());
  UniqueFd control_inside;
  if (spec.is_runner) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      return absl::ResourceExhaustedError(
          ErrnoStatus("make a socket pair", "sandbox").message());
    }
    control_ = UniqueFd(ends[0]);
    control_inside = UniqueFd(ends[1]);
  }
  UniqueFd null;
  if (spec.standard_input < 0) {
    null = UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.is_open()) return ErrnoStatus("open", "/dev/null");
  }

  AgentCommand command = {};
  command.kind = AgentCommand::kRun;
  command.run = number_;
  FillLimits(spec, &command);
  if (spec.with_proc) command.options |= kRunWithProc;
  std::vector<std::string> arguments = spec.arguments;
  if (spec.is_runner && !cell_.has_zygote()) {
    arguments = {tools.python, "-s", "-S", "-B", "-c", kBootstrap};
    AppendLittleEndian32(tools.runner_code.size(), &pending_);
    pending_.append(tools.runner_code);
    command.options |= kRunGivesFile;
  }
  command.options |= spec.program >= 0 ? kRunExecutesFile : kRunExecutesPath;
  command.collect_bytes = spec.collect_bytes;
  PONDER_RETURN_IF_ERROR(FillTexts(spec, arguments, &command));

  int program = spec.program >= 0 ? spec.program : spec.source;
  if (spec.is_runner && !cell_.has_zygote()) program = tools.zygote.get();
  const int given[kNumRunFds] = {
      null.is_open() ? null.get() : spec.standard_input,
      out.write.get(),
      error.write.get(),
      control_inside.get(),
      program,
      spec.collect};
  std::vector<int> fds;
  for (int i = 0; i < kNumRunFds; ++i) {
    if (given[i] < 0) continue;
    command.fds |= 1U << i;
    fds.push_back(given[i]);
  }
  PONDER_RETURN_IF_ERROR(cell_.Send(command, fds));
  gone_ = false;
  streams_[0] = std::move(out.read);
  streams_[1] = std::move(error.read);
  for (const UniqueFd* fd : {&control_, &streams_[0], &streams_[1]}) {
    if (fd->is_open()) PONDER_RETURN_IF_ERROR(SetNonblocking(*fd));
  }
  return absl::OkStatus();
}

void SandboxRun::Send(char kind, absl::string_view body,
                      absl::string_view token) {
  pending_.append(token.data(), token.size());
  AppendFrame(kind, body, &pending_);
}

void SandboxRun::StartClock(absl::Duration wall, absl::Time last_moment) {
  const absl::Time now = absl::Now();
  last_cpu_check_ = now;
  deadline_ = std::min(now + wall, last_moment);
  cpu_start_ = cell_.cgroup().CpuMicros().value_or(0);
  oom_start_ = cell_.cgroup().OomKills();
}

absl::Duration SandboxRun::CpuSinceClock() const {
  const std::optional<int64_t> used = cell_.cgroup().CpuMicros();
  return used.has_value() ? absl::Microseconds(*used - cpu_start_)
                          : absl::ZeroDuration();
}

void SandboxRun::WritePending() {
  while (pending_done_ < pending_.size()) {
    const ssize_t size = send(control_.get(), pending_.data() + pending_done_,
                              pending_.size() - pending_done_, MSG_NOSIGNAL);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return;
      // Nobody reads any more: the end is seen when reading.
      break;
    }
    pending_done_ += static_cast<size_t>(size);
  }
  pending_.clear();
  pending_done_ = 0;
}

// Reads what there is, and closes the stream at its end.
void SandboxRun::ReadStream(int index) {
  std::string& captured = captured_[index];
  const size_t most = static_cast<size_t>(limits_.output_bytes) + 1;
  char buffer[kReadBytes];
  while (streams_[index].is_open() && captured.size() < most) {
    const ssize_t size = read(streams_[index].get(), buffer, sizeof(buffer));
    if (size > 0) {
      captured.append(buffer, std::min<size_t>(size, most - captured.size()));
      if (static_cast<size_t>(size) < sizeof(buffer)) return;
    } else if (size == 0) {
      streams_[index].reset();
    } else if (errno != EINTR) {
      return;
    }
  }
}

void SandboxRun::ReadControl() {
  char buffer[kReadBytes];
  const ssize_t size = read(control_.get(), buffer, sizeof(buffer));
  if (size > 0) {
    received_.append(buffer, static_cast<size_t>(size));
  } else if (size == 0 || (errno != EINTR && errno != EAGAIN)) {
    control_ended_ = true;
  }
}

bool SandboxRun::ReadEvents() {
  AgentEvent event;
  while (!gone_) {
    const absl::StatusOr<bool> received = cell_.Receive(&event);
    if (!received.ok()) {
      lost_ = received.status();
      return false;
    }
    if (!*received) return true;
    if (event.run != number_) continue;
    switch (event.kind) {
      case AgentEvent::kRunFailed:
        lost_ =
            absl::InternalError(absl::StrCat("a sandbox could not ", event.text,
                                             ": ", std::strerror(event.error)));
        break;
      case AgentEvent::kMainEnded:
        end_.by_itself = true;
        end_.wait_status = event.wait_status;
        end_.program_cpu = absl::Microseconds(event.cpu_micros);
        end_.peak_memory_bytes = event.max_rss_kib * 1024;
        end_.collected_bytes = event.collected;
        break;
      case AgentEvent::kOverMemory:
        over_memory_ = true;
        break;
      case AgentEvent::kOverCpu:
        over_cpu_ = true;
        break;
      case AgentEvent::kRunGone:
        gone_ = true;
        // Of a run without an init of its own.
        if (!end_.by_itself && !killed_ && !over_memory_ && !over_cpu_) {
          end_.by_itself = true;
          end_.wait_status = event.wait_status;
          end_.program_cpu = absl::Microseconds(event.cpu_micros);
        }
        end_.cpu = absl::Microseconds(event.cpu_micros);
        end_.peak_memory_bytes =
            std::max(end_.peak_memory_bytes, event.peak_bytes);
        break;
      default:
        break;
    }
  }
  return true;
}

bool SandboxRun::OverOutputLimit() const {
  const size_t limit = static_cast<size_t>(limits_.output_bytes);
  return too_large_ || captured_[0].size() > limit ||
         captured_[1].size() > limit;
}

bool SandboxRun::OverCpuLimit() {
  if (over_cpu_) return true;
  const absl::Time now = absl::Now();
  if (!cell_.cgroup().counts_cpu() ||
      now - last_cpu_check_ < kCpuPollInterval) {
    return false;
  }
  last_cpu_check_ = now;
  return CpuSinceClock() > limits_.cpu;
}

bool SandboxRun::TakeMessage(RunnerMessage* message) {
  switch (
      TakeFrame(&received_, kMaxMessageBytes, &message->kind, &message->body)) {
    case FrameState::kWhole:
      return true;
    case FrameState::kTooLarge:
      too_large_ = true;
      return false;
    case FrameState::kPartial:
      break;
  }
  return false;
}

void SandboxRun::Wait(absl::Duration longest) {
  pollfd polled[5] = {
      {cell_.socket(), POLLIN, 0},
      {streams_[0].get(), POLLIN, 0},
      {streams_[1].get(), POLLIN, 0},
      {control_ended_ ? -1 : control_.get(),
       static_cast<short>(pending_.empty() ? POLLIN : POLLIN | POLLOUT), 0},
      {cancel_ == nullptr ? -1 : cancel_->fd(), POLLIN, 0}};
  const int timeout_ms = static_cast<int>(
      absl::ToInt64Milliseconds(absl::Ceil(longest, absl::Milliseconds(1))));
  if (poll(polled, 5, timeout_ms) <= 0) return;
  if (polled[1].revents != 0) ReadStream(0);
  if (polled[2].revents != 0) ReadStream(1);
  if ((polled[3].revents & (POLLIN | POLLHUP | POLLERR)) != 0) ReadControl();
  if (polled[0].revents != 0) ReadEvents();
}

SandboxRun::Event SandboxRun::Next(RunnerMessage* message) {
  while (true) {
    if (TakeMessage(message)) {
      // Written before the message, hence already in the pipes.
      ReadStream(0);
      ReadStream(1);
      return OverOutputLimit() ? Event::kOutputLimit : Event::kMessage;
    }
    if (OverOutputLimit()) return Event::kOutputLimit;
    if (!lost_.ok()) return Event::kLost;
    if (gone_) {
      // The last writer is gone: all of it is in the pipes.
      while (streams_[0].is_open() && !OverOutputLimit()) ReadStream(0);
      while (streams_[1].is_open() && !OverOutputLimit()) ReadStream(1);
      if (OverOutputLimit()) return Event::kOutputLimit;
      if (over_cpu_) return Event::kCpuLimit;
      if (control_.is_open() && !control_ended_) {
        ReadControl();
        continue;
      }
      return Event::kEnded;
    }
    if (cancel_ != nullptr && cancel_->cancelled()) return Event::kCancelled;
    const absl::Time now = absl::Now();
    if (now >= deadline_) return Event::kWallLimit;
    if (OverCpuLimit()) return Event::kCpuLimit;
    WritePending();
    Wait(std::min(deadline_ - now, cell_.cgroup().counts_cpu()
                                       ? kCpuPollInterval
                                       : absl::Minutes(1)));
  }
}

CapturedOutput SandboxRun::TakeOutput() {
  CapturedOutput output;
  const size_t limit = static_cast<size_t>(limits_.output_bytes);
  output.stdout_truncated = captured_[0].size() > limit;
  output.stderr_truncated = captured_[1].size() > limit;
  captured_[0].resize(std::min(captured_[0].size(), limit));
  captured_[1].resize(std::min(captured_[1].size(), limit));
  output.stdout_bytes = std::exchange(captured_[0], {});
  output.stderr_bytes = std::exchange(captured_[1], {});
  return output;
}

bool SandboxRun::OutOfMemory() const {
  return over_memory_ || cell_.cgroup().OomKills() > oom_start_;
}

absl::StatusOr<RunEnd> SandboxRun::End() {
  control_.reset();
  if (!gone_) {
    killed_ = true;
    AgentCommand kill = {};
    kill.kind = AgentCommand::kKill;
    kill.run = number_;
    PONDER_RETURN_IF_ERROR(cell_.Send(kill, {}));
  }
  const absl::Time deadline = absl::Now() + kEndTimeout;
  while (!gone_) {
    if (!ReadEvents()) {
      gone_ = true;  // There is nobody to ask.
      return lost_;
    }
    if (gone_) break;
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) {
      gone_ = true;
      return absl::DeadlineExceededError(
          "a sandbox's processes did not end in 20 seconds");
    }
    pollfd polled = {cell_.socket(), POLLIN, 0};
    poll(&polled, 1,
         static_cast<int>(absl::ToInt64Milliseconds(
             absl::Ceil(left, absl::Milliseconds(1)))));
  }
  if (!lost_.ok()) return lost_;
  ReadStream(0);
  ReadStream(1);
  Cgroup& group = cell_.cgroup();
  if (const auto used = group.CpuMicros(); used.has_value()) {
    end_.cpu = absl::Microseconds(*used - cpu_first_);
  }
  end_.peak_memory_bytes =
      group.PeakMemoryBytes().value_or(end_.peak_memory_bytes);
  end_.out_of_memory = OutOfMemory();
  return end_;
}

}  // namespace ponder
