// MetricsLog is where a run writes what it measures: scalars to both
// metrics.jsonl and TensorBoard's event file, histograms and texts to the event
// file alone.

#ifndef PONDER_MONITOR_METRICS_LOG_H_
#define PONDER_MONITOR_METRICS_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "monitor/event_writer.h"

namespace ponder {

// Thread-safe. Steps count over the whole run, not from each stage's start.
class MetricsLog {
 public:
  // Opens RUN/metrics.jsonl, and a new event file beside it. Lines of steps
  // above `resumed_step` are dropped, since these steps will be run again, and
  // so is half a line that a killed process left. -1: a new run, all are
  // dropped. Lines of `resumed_step` itself that name `restarted_stage` are
  // dropped too: what a stage says before its first step.
  static absl::StatusOr<std::unique_ptr<MetricsLog>> Open(
      const std::string& run_folder, int64_t resumed_step = -1,
      const std::string& restarted_stage = "");

  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;
  ~MetricsLog();

  // The stage that the following lines name.
  void SetStage(const std::string& stage) ABSL_LOCKS_EXCLUDED(mu_);

  // One line {"step": ..., "time": ..., "stage": ..., NAME: VALUE, ...}. What
  // is not finite is null there. Names are those of the metric table
  // (monitor/metric_table.h); INTERNAL for another one, and then nothing is
  // written.
  absl::Status Log(int64_t step, const Metrics& metrics)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status LogHistogram(int64_t step, const std::string& name,
                            absl::Span<const float> values)
      ABSL_LOCKS_EXCLUDED(mu_);
  // For TensorBoard's table of runs: see EventWriter.
  absl::Status LogHparams(const Hparams& hparams,
                          const std::vector<std::string>& metrics,
                          const std::string& group) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status LogSessionEnd(bool success) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status LogText(int64_t step, const std::string& name,
                       const std::string& text) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  MetricsLog(std::string path, int fd, std::unique_ptr<EventWriter> events)
      : path_(std::move(path)), fd_(fd), events_(std::move(events)) {}

  const std::string path_;
  const int fd_;  // Owned.
  absl::Mutex mu_;
  const std::unique_ptr<EventWriter> events_ ABSL_PT_GUARDED_BY(mu_);
  std::string stage_ ABSL_GUARDED_BY(mu_);
};

// Drops the lines of a JSONL file whose "step" is above `last_step`, and half a
// line at its end. Fine if there is no such file.
absl::Status DropLaterLines(const std::string& path, int64_t last_step);

}  // namespace ponder

#endif  // PONDER_MONITOR_METRICS_LOG_H_
