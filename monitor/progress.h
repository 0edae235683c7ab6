// Progress shows how far a stage is: a bar that is redrawn in place on a
// terminal, a plain line now and then elsewhere.

#ifndef PONDER_MONITOR_PROGRESS_H_
#define PONDER_MONITOR_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ponder {

// Thread-safe. Lines that are to stay go through Print(), so that the bar never
// cuts into them.
class Progress {
 public:
  struct Options {
    bool is_terminal = false;
    int columns = 80;  // Of the terminal; the bar never wraps.
    // Shortest time between two drawings of the bar, and between two lines.
    absl::Duration bar_interval = absl::Milliseconds(100);
    absl::Duration line_interval = absl::Seconds(10);
    std::function<absl::Time()> now;
    std::function<void(absl::string_view)> write;
  };

  explicit Progress(Options options) : options_(std::move(options)) {}

  // On standard error, as it is.
  static std::unique_ptr<Progress> OnStandardError();

  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  // Starts over with a new stage of `total` steps; 0: not known. Ends the one
  // before.
  void Start(const std::string& label, int64_t total) ABSL_LOCKS_EXCLUDED(mu_);

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

  const Options options_;
  absl::Mutex mu_;
  bool running_ ABSL_GUARDED_BY(mu_) = false;
  bool bar_is_drawn_ ABSL_GUARDED_BY(mu_) = false;
  bool is_shown_ ABSL_GUARDED_BY(mu_) = true;  // The last Update() was drawn.
  std::string label_ ABSL_GUARDED_BY(mu_);
  std::string note_ ABSL_GUARDED_BY(mu_);
  int64_t total_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t done_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time started_ ABSL_GUARDED_BY(mu_);
  absl::Time drawn_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace ponder

#endif  // PONDER_MONITOR_PROGRESS_H_
