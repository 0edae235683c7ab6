// Progress shows how far a stage is: a bar that is redrawn in place on a
// terminal, plain lines elsewhere.

#ifndef PONDER_MONITOR_PROGRESS_H_
#define PONDER_MONITOR_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ponder {

// "4:05" or "1:02:03".
std::string ClockText(absl::Duration duration);

// What is under way.
struct ProgressState {
  std::string label;
  int64_t done = 0;
  int64_t total = 0;  // 0: not known.
  std::string note;
  // Of what is left, at the pace so far.
  std::optional<absl::Duration> left;
};

// Thread-safe. Lines that are to stay go through Print(), so that the bar never
// cuts into them.
class Progress {
 public:
  struct Options {
    bool is_terminal = false;
    int columns = 80;  // Of the terminal; the bar never wraps.
    // Shortest time between two drawings of the bar, and between two lines of
    // items.
    absl::Duration bar_interval = absl::Milliseconds(100);
    absl::Duration line_interval = absl::Seconds(10);
    std::function<absl::Time()> now;
    std::function<void(absl::string_view)> write;
    // Called after each Start() and Update(), by their thread; may be null.
    std::function<void(const ProgressState&)> on_change;
  };

  explicit Progress(Options options) : options_(std::move(options)) {}

  // On standard error, as it is.
  static std::unique_ptr<Progress> OnStandardError(
      std::function<void(const ProgressState&)> on_change = nullptr);

  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  // What is counted: a step gets a line of its own where there is no terminal,
  // items only now and then one.
  enum class Unit { kStep, kItem };

  // Starts over with `total` of something, 0: not known, of which `done` were
  // done before. Ends what was before.
  void Start(const std::string& label, int64_t total, Unit unit,
             int64_t done = 0) ABSL_LOCKS_EXCLUDED(mu_);

  // `done` steps are done; `note` is shown behind, e.g. "reward 0.71".
  void Update(int64_t done, const std::string& note) ABSL_LOCKS_EXCLUDED(mu_);

  // Prints a line that stays.
  void Print(absl::string_view line) ABSL_LOCKS_EXCLUDED(mu_);

  // Shows the last state once more and leaves it there.
  void Finish() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Draw() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void End() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string Line() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  ProgressState State() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  std::optional<absl::Duration> Left() const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  const Options options_;
  absl::Mutex mu_;
  bool running_ ABSL_GUARDED_BY(mu_) = false;
  bool bar_is_drawn_ ABSL_GUARDED_BY(mu_) = false;
  bool is_shown_ ABSL_GUARDED_BY(mu_) = true;  // The last Update() was drawn.
  std::string label_ ABSL_GUARDED_BY(mu_);
  std::string note_ ABSL_GUARDED_BY(mu_);
  int64_t total_ ABSL_GUARDED_BY(mu_) = 0;
  Unit unit_ ABSL_GUARDED_BY(mu_) = Unit::kItem;
  int64_t done_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t done_before_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time started_ ABSL_GUARDED_BY(mu_);
  absl::Time drawn_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace ponder

#endif  // PONDER_MONITOR_PROGRESS_H_
