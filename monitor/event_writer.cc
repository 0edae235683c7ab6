#include "monitor/event_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <limits>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "monitor/metric_table.h"

namespace ponder {
namespace {

constexpr int kStringDtype = 7;   // DT_STRING.
constexpr int kScalarClass = 1;   // DATA_CLASS_SCALAR.
constexpr int kTensorClass = 2;   // DATA_CLASS_TENSOR.
constexpr int kSessionStart = 1;  // SessionLog.START.
// The plugin hparams: DataType and Status of its api.proto.
constexpr int kHparamString = 1;
constexpr int kHparamBool = 2;
constexpr int kHparamNumber = 3;
constexpr int kSessionSuccess = 1;
constexpr int kSessionFailure = 2;

uint32_t MaskedCrc(absl::string_view bytes) {
  const uint32_t crc = Crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

template <typename T>
std::string LittleEndian(T number) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(T); ++i) {
    bytes.push_back(static_cast<char>(number >> (8 * i)));
  }
  return bytes;
}

const std::vector<double>& BucketLimits() {
  static const std::vector<double>* const kLimits = [] {
    std::vector<double> positive;
    for (double limit = 1e-12; limit < 1e20; limit *= 1.1) {
      positive.push_back(limit);
    }
    positive.push_back(std::numeric_limits<double>::max());
    auto* limits = new std::vector<double>;
    for (auto it = positive.rbegin(); it != positive.rend(); ++it) {
      limits->push_back(-*it);
    }
    limits->push_back(0);
    limits->insert(limits->end(), positive.begin(), positive.end());
    return limits;
  }();
  return *kLimits;
}

}  // namespace

std::string FrameRecord(absl::string_view payload) {
  const std::string length = LittleEndian<uint64_t>(payload.size());
  return absl::StrCat(length, LittleEndian(MaskedCrc(length)), payload,
                      LittleEndian(MaskedCrc(payload)));
}

tensorboard::HistogramProto MakeHistogram(absl::Span<const float> values) {
  const std::vector<double>& limits = BucketLimits();
  std::vector<double> counts(limits.size());
  tensorboard::HistogramProto histogram;
  double least = std::numeric_limits<double>::max();
  double largest = -least;
  double num = 0, sum = 0, sum_squares = 0;
  for (const float single : values) {
    if (!std::isfinite(single)) continue;
    const double value = single;
    least = std::min(least, value);
    largest = std::max(largest, value);
    num += 1;
    sum += value;
    sum_squares += value * value;
    ++counts[std::upper_bound(limits.begin(), limits.end(), value) -
             limits.begin()];
  }
  histogram.set_min(num > 0 ? least : 0);
  histogram.set_max(num > 0 ? largest : 0);
  histogram.set_num(num);
  histogram.set_sum(sum);
  histogram.set_sum_squares(sum_squares);
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) {
      while (i + 1 < counts.size() && counts[i + 1] == 0) ++i;
    }
    histogram.add_bucket_limit(limits[i]);
    histogram.add_bucket(counts[i]);
  }
  return histogram;
}

absl::StatusOr<std::unique_ptr<EventWriter>> EventWriter::Create(
    const std::string& folder, int64_t first_step) {
  PONDER_RETURN_IF_ERROR(MakeFolders(folder));
  const std::string stem =
      absl::StrCat(folder, "/events.out.tfevents.",
                   absl::ToUnixSeconds(absl::Now()), ".ponder");
  std::string path = stem;
  int fd = -1;
  // A second file of the same second gets a number.
  for (int i = 1; fd < 0; ++i) {
    fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC,
              0666);
    if (fd >= 0) break;
    if (errno != EEXIST) return ErrnoStatus("cannot create", path);
    path = absl::StrCat(stem, ".", i);
  }
  std::unique_ptr<EventWriter> writer(new EventWriter(path, fd));
  tensorboard::Event event;
  event.set_file_version("brain.Event:2");
  PONDER_RETURN_IF_ERROR(writer->Write(event));
  // Also of a run's first file: TensorBoard takes the first start that it sees
  // for the beginning, and only later ones for a restart.
  event.set_step(first_step);
  event.mutable_session_log()->set_status(kSessionStart);
  PONDER_RETURN_IF_ERROR(writer->Write(event));
  return writer;
}

EventWriter::~EventWriter() { close(fd_); }

absl::Status EventWriter::AddScalars(int64_t step, const Metrics& metrics) {
  tensorboard::Event event;
  event.set_step(step);
  for (const auto& [tag, number] : metrics) {
    auto* value = event.mutable_summary()->add_value();
    value->set_tag(tag);
    value->set_simple_value(static_cast<float>(number));
    Describe("scalars", kScalarClass, value);
  }
  return Write(std::move(event));
}

absl::Status EventWriter::AddHistogram(int64_t step, const std::string& tag,
                                       absl::Span<const float> values) {
  tensorboard::Event event;
  event.set_step(step);
  auto* value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  *value->mutable_histo() = MakeHistogram(values);
  Describe("histograms", kTensorClass, value);
  return Write(std::move(event));
}

absl::Status EventWriter::AddText(int64_t step, const std::string& tag,
                                  const std::string& text) {
  tensorboard::Event event;
  event.set_step(step);
  auto* value = event.mutable_summary()->add_value();
  value->set_tag(absl::StrCat(tag, "/text_summary"));
  value->mutable_metadata()->mutable_plugin_data()->set_plugin_name("text");
  value->mutable_metadata()->set_data_class(kTensorClass);
  auto* tensor = value->mutable_tensor();
  tensor->set_dtype(kStringDtype);
  tensor->mutable_tensor_shape()->add_dim()->set_size(1);
  tensor->add_string_val(text);
  return Write(std::move(event));
}

absl::Status EventWriter::AddHparams(const Hparams& hparams,
                                     const std::vector<std::string>& metrics,
                                     const std::string& group) {
  tensorboard::HParamsPluginData experiment, start;
  for (const auto& [name, value] : hparams) {
    auto* info = experiment.mutable_experiment()->add_hparam_infos();
    info->set_name(name);
    google::protobuf::Value& of =
        (*start.mutable_session_start_info()->mutable_hparams())[name];
    if (const auto* number = std::get_if<double>(&value)) {
      info->set_type(kHparamNumber);
      of.set_number_value(*number);
    } else if (const bool* flag = std::get_if<bool>(&value)) {
      info->set_type(kHparamBool);
      of.set_bool_value(*flag);
    } else {
      info->set_type(kHparamString);
      of.set_string_value(std::get<std::string>(value));
    }
  }
  for (const std::string& metric : metrics) {
    experiment.mutable_experiment()
        ->add_metric_infos()
        ->mutable_name()
        ->set_tag(metric);
  }
  start.mutable_session_start_info()->set_group_name(group);
  start.mutable_session_start_info()->set_start_time_secs(
      absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
  PONDER_RETURN_IF_ERROR(WriteHparamsData("experiment", experiment));
  return WriteHparamsData("session_start_info", start);
}

absl::Status EventWriter::AddSessionEnd(bool success) {
  tensorboard::HParamsPluginData data;
  auto* end = data.mutable_session_end_info();
  end->set_status(success ? kSessionSuccess : kSessionFailure);
  end->set_end_time_secs(
      absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
  return WriteHparamsData("session_end_info", data);
}

absl::Status EventWriter::WriteHparamsData(
    const std::string& tag, const tensorboard::HParamsPluginData& data) {
  tensorboard::Event event;
  auto* value = event.mutable_summary()->add_value();
  value->set_tag(absl::StrCat("_hparams_/", tag));
  auto* plugin = value->mutable_metadata()->mutable_plugin_data();
  plugin->set_plugin_name("hparams");
  plugin->set_content(data.SerializeAsString());
  return Write(std::move(event));
}

void EventWriter::Describe(const std::string& plugin, int data_class,
                           tensorboard::Summary::Value* value) {
  if (!described_.insert(value->tag()).second) return;
  const MetricInfo* metric = FindMetric(value->tag());
  if (metric == nullptr) return;
  std::string text = absl::StrCat(metric->meaning);
  const auto add = [&](absl::string_view title, absl::string_view content) {
    if (!content.empty()) absl::StrAppend(&text, "\n\n", title, content, ".");
  };
  add("Unit: ", metric->unit);
  add("Healthy: ", metric->healthy);
  add("Otherwise: ", metric->advice);
  // TensorBoard's own server drops the description of a plain value that does
  // not say what it is.
  tensorboard::SummaryMetadata* metadata = value->mutable_metadata();
  metadata->set_summary_description(text);
  metadata->mutable_plugin_data()->set_plugin_name(plugin);
  metadata->set_data_class(data_class);
}

absl::Status EventWriter::Write(tensorboard::Event event) {
  event.set_wall_time(absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
  const off_t end = lseek(fd_, 0, SEEK_END);
  const absl::Status status =
      WriteAll(fd_, FrameRecord(event.SerializeAsString()), path_);
  // Readers stop for good at half a record: take it back.
  if (!status.ok() && end >= 0 && ftruncate(fd_, end) != 0) {
    return ErrnoStatus("cannot cut off half a record", path_);
  }
  return status;
}

}  // namespace ponder
