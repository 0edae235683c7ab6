// EventWriter writes a TensorBoard event file.
//
// A record is
//
//   length of the payload   uint64, little-endian
//   masked CRC-32C of those eight bytes   uint32, little-endian
//   payload   a serialized Event of proto/event.proto
//   masked CRC-32C of the payload   uint32, little-endian
//
// with mask(c) = (c >> 15 | c << 17) + 0xa282ead8 modulo 2^32. The first record
// holds the file's version. TensorBoard reads on while a run writes, so each
// record is one write of the whole.

#ifndef PONDER_MONITOR_EVENT_WRITER_H_
#define PONDER_MONITOR_EVENT_WRITER_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "monitor/hparams.h"
#include "proto/event.pb.h"

namespace ponder {

// Names and values of one step.
using Metrics = std::vector<std::pair<std::string, double>>;

// Not thread-safe.
class EventWriter {
 public:
  // Makes a new file events.out.tfevents.SECONDS.ponder in the folder, whatever
  // other event files are there. `first_step` is above 0 for a resumed run:
  // what older files say of this and later steps no longer counts.
  static absl::StatusOr<std::unique_ptr<EventWriter>> Create(
      const std::string& folder, int64_t first_step = 0);

  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;
  ~EventWriter();

  // A tag's first value carries what the metric table says of it, which
  // TensorBoard shows with the curve.
  absl::Status AddScalars(int64_t step, const Metrics& metrics);

  // Values that are not finite are left out.
  absl::Status AddHistogram(int64_t step, const std::string& tag,
                            absl::Span<const float> values);

  // `text` is shown as Markdown.
  absl::Status AddText(int64_t step, const std::string& tag,
                       const std::string& text);

  // A run's hyper-parameters, and the metrics that TensorBoard's table shows
  // beside them. `group` names the run.
  absl::Status AddHparams(const Hparams& hparams,
                          const std::vector<std::string>& metrics,
                          const std::string& group);

  // That the run ended, well or not.
  absl::Status AddSessionEnd(bool success);

  const std::string& path() const { return path_; }

 private:
  EventWriter(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  absl::Status Write(tensorboard::Event event);
  // An event without a value, which the plugin reads out of its metadata.
  absl::Status WriteHparamsData(const std::string& tag,
                                const tensorboard::HParamsPluginData& data);
  // Puts the table's description with a tag's first value.
  void Describe(const std::string& plugin, int data_class,
                tensorboard::Summary::Value* value);

  const std::string path_;
  const int fd_;  // Owned.
  std::set<std::string> described_;
};

// A record with its frame.
std::string FrameRecord(absl::string_view payload);

// Counts of the values in TensorFlow's default buckets: their limits grow by a
// tenth from 1e-12 to 1e20, mirrored for negative values, and a row of empty
// ones is written as one.
tensorboard::HistogramProto MakeHistogram(absl::Span<const float> values);

}  // namespace ponder

#endif  // PONDER_MONITOR_EVENT_WRITER_H_
