// How long a plug-in that does not answer is still asked.

#ifndef PONDER_REWARD_PLUGIN_PATIENCE_H_
#define PONDER_REWARD_PLUGIN_PATIENCE_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ponder {

// After kMostInARow batches in a row that were given up only after their
// timeout, the plug-in rests for as long as they took, and its batches are
// unscorable at once. Otherwise the responses that queue up for one that hangs
// would wait longer than the run waits for its scores. Thread-safe.
class Patience {
 public:
  static constexpr int kMostInARow = 3;

  explicit Patience(absl::Duration timeout) : timeout_(timeout) {}

  // DEADLINE_EXCEEDED, with a sentence, while the plug-in rests.
  absl::Status MayAsk(absl::Time now) const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (now >= resting_until_) return absl::OkStatus();
    return absl::DeadlineExceededError(
        absl::StrCat("it did not answer the last ", kMostInARow,
                     " batches in time and is left alone for ",
                     absl::FormatDuration(kMostInARow * timeout_)));
  }

  // A batch that was asked at `start` is over.
  void OnOver(bool failed, absl::Time start, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!failed) in_a_row_ = 0;
    if (!failed || now - start < timeout_) return;
    if (++in_a_row_ < kMostInARow) return;
    // The first batch after the rest decides whether there is another.
    in_a_row_ = kMostInARow - 1;
    resting_until_ = now + kMostInARow * timeout_;
  }

 private:
  const absl::Duration timeout_;
  mutable absl::Mutex mu_;
  int in_a_row_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time resting_until_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace ponder

#endif  // PONDER_REWARD_PLUGIN_PATIENCE_H_
