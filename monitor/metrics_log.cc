#include "monitor/metrics_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "monitor/metric_table.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

// The whole lines of steps up to `last_step`, those of that step excepted which
// name `restarted_stage`.
std::string KeepLines(absl::string_view content, int64_t last_step,
                      const std::string& restarted_stage) {
  std::string kept;
  while (!content.empty()) {
    const size_t end = content.find('\n');
    if (end == absl::string_view::npos) break;  // Half a line.
    const absl::string_view line = content.substr(0, end + 1);
    content.remove_prefix(end + 1);
    const Json json = Json::parse(line.begin(), line.end(), nullptr,
                                  /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    const auto step = json.find("step");
    if (step == json.end() || !step->is_number_integer()) continue;
    const int64_t of_line = step->get<int64_t>();
    if (of_line > last_step) continue;
    if (of_line == last_step && !restarted_stage.empty()) {
      const auto stage = json.find("stage");
      if (stage != json.end() && *stage == restarted_stage) continue;
    }
    absl::StrAppend(&kept, line);
  }
  return kept;
}

// A name that nobody has described would be a curve that nobody can read.
absl::Status CheckName(const std::string& name) {
  if (FindMetric(name) != nullptr) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("metric ", name,
                   " is not in the table of monitor/metric_table.cc; describe "
                   "it there"));
}

absl::Status DropLines(const std::string& path, int64_t last_step,
                       const std::string& restarted_stage) {
  const absl::StatusOr<std::string> content = ReadFile(path);
  if (absl::IsNotFound(content.status())) return absl::OkStatus();
  PONDER_RETURN_IF_ERROR(content.status());
  const std::string kept = KeepLines(*content, last_step, restarted_stage);
  if (kept == *content) return absl::OkStatus();
  return WriteFileAtomically(path, kept);
}

}  // namespace

absl::Status DropLaterLines(const std::string& path, int64_t last_step) {
  return DropLines(path, last_step, "");
}

absl::StatusOr<std::unique_ptr<MetricsLog>> MetricsLog::Open(
    const std::string& run_folder, int64_t resumed_step,
    const std::string& restarted_stage) {
  PONDER_RETURN_IF_ERROR(MakeFolders(run_folder));
  const std::string path = run_folder + "/metrics.jsonl";
  PONDER_RETURN_IF_ERROR(DropLines(path, resumed_step, restarted_stage));
  PONDER_ASSIGN_OR_RETURN(std::unique_ptr<EventWriter> events,
                          EventWriter::Create(run_folder, resumed_step + 1));
  const int fd =
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return ErrnoStatus("cannot open", path);
  return std::unique_ptr<MetricsLog>(
      new MetricsLog(path, fd, std::move(events)));
}

MetricsLog::~MetricsLog() { close(fd_); }

void MetricsLog::SetStage(const std::string& stage) {
  absl::MutexLock lock(&mu_);
  stage_ = stage;
}

absl::Status MetricsLog::Log(int64_t step, const Metrics& metrics) {
  absl::MutexLock lock(&mu_);
  Json line;
  line["step"] = step;
  line["time"] = static_cast<double>(absl::ToUnixMillis(absl::Now())) / 1e3;
  line["stage"] = stage_;
  for (const auto& [name, value] : metrics) {
    PONDER_RETURN_IF_ERROR(CheckName(name));
    if (std::isfinite(value)) {
      line[name] = value;
    } else {
      line[name] = nullptr;
    }
  }
  const off_t end = lseek(fd_, 0, SEEK_END);
  const absl::Status status = WriteAll(fd_, line.dump() + "\n", path_);
  if (!status.ok()) {
    // Half a line would spoil the next one too.
    if (end >= 0 && ftruncate(fd_, end) != 0) {
      return ErrnoStatus("cannot cut off half a line", path_);
    }
    return status;
  }
  return events_->AddScalars(step, metrics);
}

absl::Status MetricsLog::LogHistogram(int64_t step, const std::string& name,
                                      absl::Span<const float> values) {
  PONDER_RETURN_IF_ERROR(CheckName(name));
  absl::MutexLock lock(&mu_);
  return events_->AddHistogram(step, name, values);
}

absl::Status MetricsLog::LogText(int64_t step, const std::string& name,
                                 const std::string& text) {
  PONDER_RETURN_IF_ERROR(CheckName(name));
  absl::MutexLock lock(&mu_);
  return events_->AddText(step, name, text);
}

absl::Status MetricsLog::LogHparams(const Hparams& hparams,
                                    const std::vector<std::string>& metrics,
                                    const std::string& group) {
  for (const std::string& name : metrics) {
    PONDER_RETURN_IF_ERROR(CheckName(name));
  }
  absl::MutexLock lock(&mu_);
  return events_->AddHparams(hparams, metrics, group);
}

absl::Status MetricsLog::LogSessionEnd(bool success) {
  absl::MutexLock lock(&mu_);
  return events_->AddSessionEnd(success);
}

}  // namespace ponder
