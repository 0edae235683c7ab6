#include "sandbox/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace ponder {
namespace {

constexpr absl::Duration kEndTimeout = absl::Seconds(20);
constexpr absl::Duration kCpuPollInterval = absl::Milliseconds(50);
constexpr size_t kHeaderBytes = 5;
constexpr size_t kReadBytes = 64 << 10;

// What the interpreter is told to run: the runner, which comes first on the
// control pipe.
constexpr char kBootstrap[] =
    "import marshal,posix\n"
    "n=int.from_bytes(posix.read(3,4),'little');b=b''\n"
    "while len(b)<n:b+=posix.read(3,n-len(b))\n"
    "exec(marshal.loads(b))";

absl::Status SetNonblocking(const UniqueFd& fd) {
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus("fcntl", "sandbox pipe");
  }
  return absl::OkStatus();
}

uint32_t LittleEndian32(const char* bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) {
    value = (value << 8) | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

void AppendLittleEndian32(size_t value, std::string* out) {
  for (int i = 0; i < 4; ++i) out->push_back(static_cast<char>(value >> 8 * i));
}

// A folder of the host as it is: a link stays one, a folder is bound.
void AddHostFolder(const char* path, std::vector<std::string>* args) {
  struct stat status;
  if (lstat(path, &status) != 0) return;
  if (S_ISLNK(status.st_mode)) {
    char target[256];
    const ssize_t size = readlink(path, target, sizeof(target));
    if (size <= 0) return;
    args->insert(
        args->end(),
        {"--symlink", std::string(target, static_cast<size_t>(size)), path});
  } else {
    args->insert(args->end(), {"--ro-bind", path, path});
  }
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawn's two structures.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    // A group of its own: a Ctrl-C on the terminal is not for the sandbox. And
    // no signal is blocked or ignored, whatever this process has set.
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK |
                                               POSIX_SPAWN_SETSIGDEF |
                                               POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  // The child's `target` is what `fd` is here. Copies it above all targets
  // first, so that one target cannot overwrite the source of another.
  absl::Status Give(int fd, int target) {
    UniqueFd high(fcntl(fd, F_DUPFD_CLOEXEC, kLifeFd + 1));
    if (!high.is_open()) {
      return absl::ResourceExhaustedError(
          ErrnoStatus("duplicate a file descriptor", "sandbox").message());
    }
    posix_spawn_file_actions_adddup2(&actions_, high.get(), target);
    held_.push_back(std::move(high));
    return absl::OkStatus();
  }

  absl::StatusOr<pid_t> Spawn(std::vector<std::string> args) {
    std::vector<char*> argv = Pointers(args);
    char* const no_environment[] = {nullptr};
    pid_t pid;
    const int code = posix_spawn(&pid, argv[0], &actions_, &attributes_,
                                 argv.data(), no_environment);
    if (code != 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("cannot start ", args[0], ": ", std::strerror(code)));
    }
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
  std::vector<UniqueFd> held_;
};

int64_t WholeSeconds(absl::Duration duration) {
  return absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1)));
}

}  // namespace

std::vector<std::string> SandboxCommand(const SandboxTools& tools,
                                        const SandboxCell& cell,
                                        const RunLimits& limits) {
  std::vector<std::string> args = {
      tools.bwrap, "--unshare-user", "--unshare-ipc", "--unshare-pid",
      "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
      // Another number than any user of the host, and never 0.
      "--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--as-pid-1",
      "--die-with-parent", "--new-session", "--cap-drop", "ALL",
      // The interpreter and its libraries, and nothing else of the host.
      "--ro-bind", "/usr/lib", "/usr/lib"};
  AddHostFolder("/usr/lib64", &args);
  AddHostFolder("/lib", &args);
  AddHostFolder("/lib64", &args);
  args.insert(args.end(), {"--ro-bind", tools.python, tools.python});
  args.insert(args.end(), {"--proc", "/proc"});
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/urandom"}) {
    args.insert(args.end(), {"--dev-bind", device, device});
  }
  // One file system for all that the program writes, so that its size is the
  // limit of all files together.
  args.insert(args.end(), {"--symlink",
                           "urandom",
                           "/dev/random",
                           "--symlink",
                           "/proc/self/fd",
                           "/dev/fd",
                           "--symlink",
                           "/proc/self/fd/0",
                           "/dev/stdin",
                           "--symlink",
                           "/proc/self/fd/1",
                           "/dev/stdout",
                           "--symlink",
                           "/proc/self/fd/2",
                           "/dev/stderr",
                           "--symlink",
                           "/work/.shm",
                           "/dev/shm",
                           "--size",
                           absl::StrCat(limits.disk_bytes),
                           "--tmpfs",
                           "/work",
                           "--dir",
                           "/work/.shm",
                           "--dir",
                           "/work/.tmp",
                           "--symlink",
                           "/work/.tmp",
                           "/tmp",
                           "--remount-ro",
                           "/",
                           "--chdir",
                           "/work",
                           "--seccomp",
                           absl::StrCat(kSeccompFd),
                           "--",
                           absl::StrCat("/proc/self/fd/", kInitFd)});
  const bool grouped = cell.cgroup != nullptr && cell.cgroup->limits_memory();
  // Without a memory group: of each process, and its own 16 MiB aside.
  const int64_t data_bytes =
      grouped ? 0 : limits.memory_bytes + (int64_t{16} << 20);
  args.insert(
      args.end(),
      {absl::StrCat(WholeSeconds(limits.cpu)), absl::StrCat(limits.file_bytes),
       absl::StrCat(limits.processes), absl::StrCat(data_bytes), "--",
       tools.python, "-s", "-S", "-B", "-c", kBootstrap});
  return args;
}

absl::StatusOr<std::unique_ptr<SandboxSession>> SandboxSession::Start(
    const SandboxTools& tools, SandboxCell& cell, const RunLimits& limits,
    const CancelToken* cancel) {
  auto session = absl::WrapUnique(new SandboxSession(cell, limits, cancel));
  PONDER_RETURN_IF_ERROR(session->Spawn(tools));
  return session;
}

SandboxSession::SandboxSession(SandboxCell& cell, const RunLimits& limits,
                               const CancelToken* cancel)
    : cell_(cell), limits_(limits), cancel_(cancel) {}

SandboxSession::~SandboxSession() {
  if (launcher_ > 0) End().IgnoreError();
}

absl::Status SandboxSession::Spawn(const SandboxTools& tools) {
  std::string procs_files;
  if (cell_.cgroup != nullptr) {
    // Three more than the program's: bubblewrap, the init and the runner.
    if (!cell_.cgroup->Prepare(limits_.memory_bytes, limits_.processes + 3)) {
      return absl::InternalError("cannot set the limits of the cgroup");
    }
    procs_files = cell_.cgroup->ProcsFiles();
    oom_start_ = cell_.cgroup->OomKills();
  }

  Pipe result, out, error, report, life, filter;
  for (Pipe* pipe : {&result, &out, &error, &report, &life, &filter}) {
    PONDER_RETURN_IF_ERROR(pipe->Open());
  }
  // A socket and not a pipe, because writing to a pipe that nobody reads
  // raises SIGPIPE.
  int control[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0) {
    return absl::ResourceExhaustedError(
        ErrnoStatus("make a socket pair", "sandbox").message());
  }
  control_ = UniqueFd(control[0]);
  const UniqueFd control_inside(control[1]);
  // A filter is smaller than the 64 KiB that a pipe holds.
  PONDER_RETURN_IF_ERROR(
      WriteAll(filter.write.get(), tools.seccomp_filter, "seccomp pipe"));
  filter.write.reset();
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null.is_open()) return ErrnoStatus("open", "/dev/null");

  SpawnPlan plan;
  PONDER_RETURN_IF_ERROR(plan.Give(null.get(), 0));
  PONDER_RETURN_IF_ERROR(plan.Give(out.write.get(), 1));
  PONDER_RETURN_IF_ERROR(plan.Give(error.write.get(), 2));
  PONDER_RETURN_IF_ERROR(plan.Give(control_inside.get(), kControlFd));
  PONDER_RETURN_IF_ERROR(plan.Give(result.write.get(), kResultFd));
  PONDER_RETURN_IF_ERROR(plan.Give(filter.read.get(), kSeccompFd));
  PONDER_RETURN_IF_ERROR(plan.Give(tools.init.get(), kInitFd));
  PONDER_RETURN_IF_ERROR(plan.Give(report.write.get(), kReportFd));
  PONDER_RETURN_IF_ERROR(plan.Give(life.read.get(), kLifeFd));

  std::vector<std::string> args = {tools.launcher,
                                   absl::StrCat(getpid()),
                                   absl::StrCat(cell_.uid),
                                   absl::StrCat(cell_.uid),
                                   procs_files,
                                   "--"};
  for (std::string& argument : SandboxCommand(tools, cell_, limits_)) {
    args.push_back(std::move(argument));
  }
  PONDER_ASSIGN_OR_RETURN(launcher_, plan.Spawn(std::move(args)));

  result_ = std::move(result.read);
  streams_[0] = std::move(out.read);
  streams_[1] = std::move(error.read);
  report_ = std::move(report.read);
  life_ = std::move(life.write);
  for (const UniqueFd* fd : {&control_, &result_, &streams_[0], &streams_[1]}) {
    PONDER_RETURN_IF_ERROR(SetNonblocking(*fd));
  }
  AppendLittleEndian32(tools.runner_code.size(), &pending_);
  pending_.append(tools.runner_code);
  return absl::OkStatus();
}

void SandboxSession::Send(char kind, absl::string_view body) {
  AppendLittleEndian32(body.size(), &pending_);
  pending_.push_back(kind);
  pending_.append(body.data(), body.size());
}

void SandboxSession::StartClock(absl::Duration wall, absl::Time last_moment) {
  const absl::Time now = absl::Now();
  last_cpu_check_ = now;
  deadline_ = std::min(now + wall, last_moment);
  if (cell_.cgroup != nullptr) {
    cpu_start_ = cell_.cgroup->CpuMicros().value_or(0);
  }
}

void SandboxSession::WritePending() {
  while (pending_done_ < pending_.size()) {
    const ssize_t size = send(control_.get(), pending_.data() + pending_done_,
                              pending_.size() - pending_done_, MSG_NOSIGNAL);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return;
      // Nobody reads any more: the end is seen on the result pipe.
      break;
    }
    pending_done_ += static_cast<size_t>(size);
  }
  pending_.clear();
  pending_done_ = 0;
}

// Reads what there is, and closes the stream at its end.
void SandboxSession::ReadStream(int index) {
  std::string& captured = captured_[index];
  const size_t most = static_cast<size_t>(limits_.output_bytes) + 1;
  char buffer[kReadBytes];
  while (streams_[index].is_open() && captured.size() < most) {
    const ssize_t size = read(streams_[index].get(), buffer, sizeof(buffer));
    if (size > 0) {
      captured.append(buffer, std::min<size_t>(size, most - captured.size()));
    } else if (size == 0) {
      streams_[index].reset();
    } else if (errno != EINTR) {
      return;
    }
  }
}

void SandboxSession::DrainStreams() {
  ReadStream(0);
  ReadStream(1);
}

bool SandboxSession::OverOutputLimit() const {
  const size_t limit = static_cast<size_t>(limits_.output_bytes);
  return too_large_ || captured_[0].size() > limit ||
         captured_[1].size() > limit;
}

bool SandboxSession::OverCpuLimit() const {
  const std::optional<int64_t> used = cell_.cgroup->CpuMicros();
  return used.has_value() &&
         *used - cpu_start_ > absl::ToInt64Microseconds(limits_.cpu);
}

bool SandboxSession::TakeMessage(RunnerMessage* message) {
  if (received_.size() < kHeaderBytes) return false;
  const size_t size = LittleEndian32(received_.data());
  if (size > kMaxMessageBytes) {
    too_large_ = true;
    return false;
  }
  if (received_.size() < kHeaderBytes + size) return false;
  message->kind = received_[4];
  message->body = received_.substr(kHeaderBytes, size);
  received_.erase(0, kHeaderBytes + size);
  return true;
}

SandboxSession::Event SandboxSession::Next(RunnerMessage* message) {
  bool ended = false;
  char buffer[kReadBytes];
  while (true) {
    if (TakeMessage(message)) {
      // Written before the message, hence already in the pipes.
      DrainStreams();
      return OverOutputLimit() ? Event::kOutputLimit : Event::kMessage;
    }
    if (OverOutputLimit()) return Event::kOutputLimit;
    if (ended) return Event::kEnded;
    if (cancel_ != nullptr && cancel_->cancelled()) return Event::kCancelled;
    const absl::Time now = absl::Now();
    if (now >= deadline_) return Event::kWallLimit;
    absl::Duration wait = deadline_ - now;
    if (cell_.cgroup != nullptr && cell_.cgroup->counts_cpu()) {
      if (now - last_cpu_check_ >= kCpuPollInterval) {
        last_cpu_check_ = now;
        if (OverCpuLimit()) return Event::kCpuLimit;
      }
      wait = std::min(wait, kCpuPollInterval);
    }

    WritePending();
    pollfd polled[5] = {{result_.get(), POLLIN, 0},
                        {streams_[0].get(), POLLIN, 0},
                        {streams_[1].get(), POLLIN, 0},
                        {pending_.empty() ? -1 : control_.get(), POLLOUT, 0},
                        {cancel_ == nullptr ? -1 : cancel_->fd(), POLLIN, 0}};
    const int timeout_ms = static_cast<int>(
        absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1))));
    if (poll(polled, 5, timeout_ms) <= 0) continue;
    if (polled[1].revents != 0) ReadStream(0);
    if (polled[2].revents != 0) ReadStream(1);
    if (polled[0].revents != 0) {
      const ssize_t size = read(result_.get(), buffer, sizeof(buffer));
      if (size > 0) received_.append(buffer, static_cast<size_t>(size));
      ended = size == 0;
      if (ended) DrainStreams();
    }
  }
}

CapturedOutput SandboxSession::TakeOutput() {
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

int64_t SandboxSession::OomKills() const {
  return cell_.cgroup == nullptr ? 0 : cell_.cgroup->OomKills() - oom_start_;
}

absl::StatusOr<SessionEnd> SandboxSession::End() {
  control_.reset();
  life_.reset();  // The launcher kills the sandbox and waits for it.
  LaunchReport report;
  size_t done = 0;
  const absl::Time deadline = absl::Now() + kEndTimeout;
  while (done < sizeof(report)) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    pollfd polled = {report_.get(), POLLIN, 0};
    if (poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(left))) <=
        0) {
      continue;
    }
    const ssize_t size =
        read(report_.get(), reinterpret_cast<char*>(&report) + done,
             sizeof(report) - done);
    if (size == 0 || (size < 0 && errno != EINTR)) break;
    if (size > 0) done += static_cast<size_t>(size);
  }
  const pid_t launcher = std::exchange(launcher_, -1);
  if (done < sizeof(report)) kill(launcher, SIGKILL);
  while (waitpid(launcher, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (done < sizeof(report)) {
    return absl::InternalError(
        "the sandbox's launcher ended without a report, or its processes did "
        "not end");
  }
  if (report.launch_error != 0) {
    return absl::InternalError(absl::StrCat(
        "cannot start bubblewrap: ", std::strerror(report.launch_error)));
  }
  ReadStream(1);
  SessionEnd end;
  end.wait_status = report.wait_status;
  end.cpu = absl::Microseconds(report.cpu_micros);
  end.peak_memory_bytes = report.max_rss_kib * 1024;
  end.oom_kills = OomKills();
  end.stderr_bytes = TakeOutput().stderr_bytes;
  if (cell_.cgroup != nullptr) {
    end.peak_memory_bytes =
        cell_.cgroup->PeakMemoryBytes().value_or(end.peak_memory_bytes);
  }
  return end;
}

}  // namespace ponder
