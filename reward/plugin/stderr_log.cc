#include "reward/plugin/stderr_log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ponder {
namespace {

constexpr size_t kMaxLineBytes = 4096;  // A longer one is printed in pieces.
constexpr size_t kLastLines = 6;
constexpr size_t kLastLineBytes = 300;  // Of each of them.
constexpr int kDrainReads = 64;         // 4 MiB, more than a pipe holds.

}  // namespace

StderrLog::StderrLog(std::string name, UniqueFd pipe)
    : name_(std::move(name)),
      pipe_(std::move(pipe)),
      stop_(eventfd(0, EFD_CLOEXEC)) {
  fcntl(pipe_.get(), F_SETFL, O_NONBLOCK);
  thread_ = std::thread([this] { Run(); });
}

StderrLog::~StderrLog() { Finish(); }

void StderrLog::Finish() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

void StderrLog::Run() {
  while (true) {
    pollfd polled[2] = {{pipe_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) break;
    if (polled[1].revents != 0) {
      for (int i = 0; i < kDrainReads && ReadSome(); ++i) {
      }
      break;
    }
    if (polled[0].revents != 0 && !ReadSome()) break;
  }
  if (!partial_.empty()) Print(partial_);
}

bool StderrLog::ReadSome() {
  char buffer[64 << 10];
  const ssize_t size = read(pipe_.get(), buffer, sizeof(buffer));
  if (size <= 0) return size < 0 && errno == EINTR;
  partial_.append(buffer, static_cast<size_t>(size));
  absl::string_view rest = partial_;
  while (true) {
    const size_t end = rest.substr(0, kMaxLineBytes).find('\n');
    if (end != absl::string_view::npos) {
      Print(rest.substr(0, end));
      rest.remove_prefix(end + 1);
    } else if (rest.size() >= kMaxLineBytes) {
      Print(rest.substr(0, kMaxLineBytes));
      rest.remove_prefix(kMaxLineBytes);
    } else {
      break;
    }
  }
  partial_.erase(0, partial_.size() - rest.size());
  return true;
}

void StderrLog::Print(absl::string_view line) {
  // In one piece, so that lines of several processes do not mix.
  const std::string text = absl::StrCat("[", name_, "] ", line, "\n");
  std::fwrite(text.data(), 1, text.size(), stderr);
  line = absl::StripAsciiWhitespace(line);
  if (line.empty()) return;
  absl::MutexLock lock(&mu_);
  last_lines_.emplace_back(line.substr(0, kLastLineBytes));
  if (last_lines_.size() > kLastLines) last_lines_.pop_front();
}

std::string StderrLog::LastLines() const {
  absl::MutexLock lock(&mu_);
  return absl::StrJoin(last_lines_, " | ");
}

}  // namespace ponder
