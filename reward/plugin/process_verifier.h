// A verifier that runs in processes of its own: a Python function, a command or
// a shared library, each behind a program that speaks JSON lines.

#ifndef PONDER_REWARD_PLUGIN_PROCESS_VERIFIER_H_
#define PONDER_REWARD_PLUGIN_PROCESS_VERIFIER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "reward/plugin/patience.h"
#include "reward/plugin/plugin_codec.h"
#include "reward/plugin/plugin_process.h"
#include "reward/verifier.h"
#include "sandbox/unique_fd.h"

namespace ponder {

//   Score() ──batch──> queue ──> thread of worker i ──lines──> process i
//      <───answers──────────────────────┘
//
// Batches are served in the order in which they came. A process that dies,
// hangs or says what it must not is ended; its batch is unscorable and the next
// one gets a new process. One that hangs again and again is left alone for a
// while (see Patience). Thread-safe.
class ProcessVerifier final : public Verifier {
 public:
  struct Options {
    std::string name;
    std::vector<std::string> command;  // Program, by path, and arguments.
    absl::Duration timeout;            // Of one batch.
    int workers = 1;                   // Processes.
    double correct_from = 1;
  };

  // Starts all processes and waits until each has said that it is ready.
  // INVALID_ARGUMENT with why one is not.
  static absl::StatusOr<std::unique_ptr<ProcessVerifier>> Start(
      const Options& options);

  ~ProcessVerifier() override;  // Ends the processes.

  absl::StatusOr<std::vector<VerifierScore>> Score(
      absl::Span<const SampleToScore> samples,
      const CancelToken* cancel) override ABSL_LOCKS_EXCLUDED(mu_);

  int num_threads() const override { return options_.workers; }
  int max_samples() const override;

 private:
  // The answers of one call of Score(), which may give up waiting for them.
  struct Batch {
    int64_t first_id = 0;  // Of its samples; no two of the verifier's are one.
    size_t num_samples = 0;
    std::string request;  // A line a sample.
    UniqueFd done;        // An eventfd; readable once `answers` is set.
    // Guarded by mu_. A status says what the plug-in did wrong.
    absl::StatusOr<std::vector<PluginAnswer>> answers;
  };

  explicit ProcessVerifier(const Options& options);

  void Work() ABSL_LOCKS_EXCLUDED(mu_);  // A worker's thread.
  // The next batch; null once the verifier ends.
  std::shared_ptr<Batch> NextBatch() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until the process is ready.
  absl::StatusOr<std::unique_ptr<PluginProcess>> StartProcess() const;
  // Asks `process`, a new one if it is null. After an error it is null.
  absl::StatusOr<std::vector<PluginAnswer>> Answer(
      const Batch& batch, std::unique_ptr<PluginProcess>* process);
  absl::StatusOr<std::vector<PluginAnswer>> Ask(PluginProcess& process,
                                                const Batch& batch) const;
  void Log(absl::string_view what) const;

  bool HasBatchOrStopped() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return stopped_ || !queue_.empty();
  }
  bool AllStarted() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return num_started_ == options_.workers;
  }

  const Options options_;
  UniqueFd stop_;  // An eventfd; readable once the verifier ends.
  Patience patience_;

  absl::Mutex mu_;
  std::deque<std::shared_ptr<Batch>> queue_ ABSL_GUARDED_BY(mu_);
  int64_t next_id_ ABSL_GUARDED_BY(mu_) = 0;
  int num_started_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status start_status_ ABSL_GUARDED_BY(mu_);  // The first error.
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;

  std::vector<std::thread> threads_;
};

}  // namespace ponder

#endif  // PONDER_REWARD_PLUGIN_PROCESS_VERIFIER_H_
