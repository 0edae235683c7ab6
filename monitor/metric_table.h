// Every metric that the program can write: the one list that the metrics log
// checks names against, that TensorBoard shows as descriptions, and that
// docs/metrics.md is made from.

#ifndef PONDER_MONITOR_METRIC_TABLE_H_
#define PONDER_MONITOR_METRIC_TABLE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder {

struct MetricInfo {
  // A name, or a pattern of several: "{a,b}" stands for a or b, and "<what>"
  // for any text that is not empty.
  absl::string_view name;
  absl::string_view unit;
  absl::string_view meaning;
  absl::string_view healthy;  // The range that is fine. Empty: any.
  absl::string_view advice;   // What to do beyond it. Empty: nothing.
};

struct MetricSection {
  absl::string_view title;
  absl::string_view about;  // One sentence or more.
  std::vector<MetricInfo> metrics;
};

// In the order in which they are documented. Thread-safe.
const std::vector<MetricSection>& MetricTable();

// Whether the whole `name` is of the pattern.
bool MatchesMetricPattern(absl::string_view name, absl::string_view pattern);

// The first entry whose pattern fits, or null. Thread-safe.
const MetricInfo* FindMetric(absl::string_view name);

// The table as docs/metrics.md.
std::string MetricTableMarkdown();

}  // namespace ponder

#endif  // PONDER_MONITOR_METRIC_TABLE_H_
