#include "monitor/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"

namespace ponder {
namespace {

constexpr int kBarCells = 20;
constexpr absl::string_view kClearLine = "\r\x1b[K";

}  // namespace

std::string ClockText(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds >= 3600) {
    return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60,
                           seconds % 60);
  }
  return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
}

std::unique_ptr<Progress> Progress::OnStandardError(
    std::function<void(const ProgressState&)> on_change) {
  Options options;
  options.on_change = std::move(on_change);
  options.is_terminal = isatty(STDERR_FILENO) == 1;
  winsize size;
  if (options.is_terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 &&
      size.ws_col > 0) {
    options.columns = size.ws_col;
  }
  options.now = [] { return absl::Now(); };
  options.write = [](absl::string_view text) {
    // A closed standard error must not end a run.
    WriteAll(STDERR_FILENO, text, "standard error").IgnoreError();
  };
  return std::make_unique<Progress>(std::move(options));
}

Progress::~Progress() { Finish(); }

void Progress::Start(const std::string& label, int64_t total, Unit unit,
                     int64_t done) {
  ProgressState state;
  {
    absl::MutexLock lock(&mu_);
    End();
    running_ = true;
    is_shown_ = true;
    label_ = label;
    note_.clear();
    total_ = total;
    unit_ = unit;
    done_ = done_before_ = done;
    started_ = options_.now();
    drawn_at_ = absl::InfinitePast();
    state = State();
  }
  if (options_.on_change != nullptr) options_.on_change(state);
}

void Progress::Update(int64_t done, const std::string& note) {
  ProgressState state;
  {
    absl::MutexLock lock(&mu_);
    if (!running_) return;
    done_ = done;
    note_ = note;
    is_shown_ = false;
    absl::Duration interval = options_.bar_interval;
    if (!options_.is_terminal) {
      interval =
          unit_ == Unit::kStep ? absl::ZeroDuration() : options_.line_interval;
    }
    if (options_.now() - drawn_at_ >= interval) Draw();
    state = State();
  }
  if (options_.on_change != nullptr) options_.on_change(state);
}

void Progress::Print(absl::string_view line) {
  absl::MutexLock lock(&mu_);
  options_.write(absl::StrCat(bar_is_drawn_ ? kClearLine : "", line, "\n"));
  if (!bar_is_drawn_) return;
  bar_is_drawn_ = false;
  Draw();
}

void Progress::Finish() {
  absl::MutexLock lock(&mu_);
  End();
}

void Progress::End() {
  if (!running_) return;
  if (!is_shown_) Draw();
  if (bar_is_drawn_) options_.write("\n");
  running_ = false;
  bar_is_drawn_ = false;
}

void Progress::Draw() {
  if (options_.is_terminal) {
    options_.write(absl::StrCat(kClearLine, Line()));
    bar_is_drawn_ = true;
  } else {
    options_.write(absl::StrCat(Line(), "\n"));
  }
  is_shown_ = true;
  drawn_at_ = options_.now();
}

ProgressState Progress::State() const {
  return {label_, done_, total_, note_, Left()};
}

std::optional<absl::Duration> Progress::Left() const {
  if (done_ <= done_before_ || total_ <= 0) return std::nullopt;
  const double left = static_cast<double>(std::max<int64_t>(0, total_ - done_));
  return (options_.now() - started_) *
         (left / static_cast<double>(done_ - done_before_));
}

std::string Progress::Line() const {
  const absl::Duration spent = options_.now() - started_;
  std::string line = label_;
  if (total_ > 0) {
    if (options_.is_terminal) {
      const int64_t full =
          std::clamp<int64_t>(done_ * kBarCells / total_, 0, kBarCells);
      absl::StrAppend(&line, " [", std::string(full, '#'),
                      std::string(kBarCells - full, '.'), "]");
    }
    absl::StrAppend(&line, " ", done_, "/", total_, "  ", ClockText(spent));
    const std::optional<absl::Duration> left = Left();
    if (left && done_ < total_) {
      absl::StrAppend(&line, ", ", ClockText(*left), " left");
    }
  } else {
    absl::StrAppend(&line, " ", done_, "  ", ClockText(spent));
  }
  if (!note_.empty()) absl::StrAppend(&line, "  ", note_);
  if (options_.is_terminal && options_.columns > 1) {
    line.resize(
        std::min(line.size(), static_cast<size_t>(options_.columns - 1)));
  }
  return line;
}

}  // namespace ponder
