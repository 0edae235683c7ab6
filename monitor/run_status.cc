#include "monitor/run_status.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/program_name.h"
#include "base/status_macros.h"
#include "monitor/progress.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kFile[] = "/status.json";
// Of the end of metrics.jsonl: enough for hundreds of lines.
constexpr int64_t kTailBytes = 1 << 20;

constexpr std::pair<RunStatus::State, const char*> kStates[] = {
    {RunStatus::State::kRunning, "running"},
    {RunStatus::State::kDone, "done"},
    {RunStatus::State::kStopped, "stopped"},
    {RunStatus::State::kFailed, "failed"},
};

// The clock tick since boot at which the process started; 0 if it is gone.
int64_t StartTicks(int64_t pid) {
  const auto stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!stat.ok()) return 0;
  // Behind the name, which may hold anything: state is field 3.
  const size_t name_end = stat->rfind(") ");
  if (name_end == std::string::npos) return 0;
  const std::vector<std::string> fields =
      absl::StrSplit(stat->substr(name_end + 2), ' ');
  int64_t ticks = 0;
  if (fields.size() < 20 || fields[0] == "Z" ||
      !absl::SimpleAtoi(fields[19], &ticks)) {
    return 0;
  }
  return ticks;
}

// Whole lines at the end of the file, newest first.
std::vector<Json> LastLines(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return {};
  const int64_t size = in.tellg();
  const int64_t begin = std::max<int64_t>(0, size - kTailBytes);
  std::string text(static_cast<size_t>(size - begin), '\0');
  in.seekg(begin);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  std::vector<Json> lines;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    Json json = Json::parse(line.begin(), line.end(), nullptr,
                            /*allow_exceptions=*/false);
    if (json.is_object()) lines.insert(lines.begin(), std::move(json));
  }
  return lines;
}

bool HasAccuracy(const Json& line) {
  for (const auto& [name, value] : line.items()) {
    if (absl::StartsWith(name, "val-core/")) return true;
  }
  return false;
}

std::string StateText(const RunReport& report) {
  if (report.is_lost) return "killed";
  for (const auto& [state, name] : kStates) {
    if (state == report.status.state) return name;
  }
  return "";
}

std::string ProcessesText(const RunReport& report) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < report.status.processes.size(); ++i) {
    const RunProcess& process = report.status.processes[i];
    parts.push_back(absl::StrCat(process.name, " (", process.pid, ") ",
                                 report.alive[i] ? "alive" : "gone"));
  }
  return absl::StrJoin(parts, ", ");
}

// "reward 0.712, right 71 %, ..." of those metrics that the line has.
std::string StepText(const Json& line) {
  struct Shown {
    const char* name;
    const char* title;
    bool is_share;
  };
  std::vector<std::string> parts;
  for (const Shown& s : {Shown{"critic/rewards/mean", "reward", false},
                         {"reward/correct_frac", "right", true},
                         {"train/loss", "loss", false},
                         {"response_length/mean", "length", false},
                         {"response_length/clip_ratio", "cut", true},
                         {"frac_reward_zero_std", "without signal", true},
                         {"actor/entropy", "entropy", false},
                         {"perf/throughput", "tokens/s", false},
                         {"timing_s/step", "seconds", false},
                         {"cost/money", "cost", false}}) {
    if (!line.contains(s.name) || !line[s.name].is_number()) continue;
    const double value = line[s.name].get<double>();
    parts.push_back(s.is_share
                        ? absl::StrFormat("%s %.0f %%", s.title, 100 * value)
                        : absl::StrFormat("%s %.4g", s.title, value));
  }
  return absl::StrJoin(parts, ", ");
}

std::string EvaluationText(const Json& line) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : line.items()) {
    if (!absl::StartsWith(name, "val-core/") || !value.is_number()) continue;
    // Without difficulties: val-core/SET/FIGURE.
    const std::vector<std::string> words = absl::StrSplit(name, '/');
    if (words.size() != 3 || absl::StrContains(name, "flexible")) continue;
    parts.push_back(absl::StrFormat("%s %s %.1f %%", words[1], words[2],
                                    100 * value.get<double>()));
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace

RunProcess ProcessOf(const std::string& name, int64_t pid) {
  return {name, pid, StartTicks(pid)};
}

bool IsAlive(const RunProcess& process) {
  return process.start_ticks != 0 &&
         StartTicks(process.pid) == process.start_ticks;
}

Json RunStatus::ToJson() const {
  Json json;
  for (const auto& [value, name] : kStates) {
    if (value == state) json["state"] = name;
  }
  if (!error.empty()) json["error"] = error;
  json["stage"] = stage;
  json["stage_number"] = stage_number;
  json["stages"] = stages;
  json["step"] = step;
  json["doing"] = doing;
  json["done"] = done;
  json["total"] = total;
  json["seconds_left"] =
      left ? Json(absl::ToDoubleSeconds(*left)) : Json(nullptr);
  json["note"] = note;
  json["warnings"] = warnings;
  json["processes"] = Json::array();
  for (const RunProcess& process : processes) {
    json["processes"].push_back({{"name", process.name},
                                 {"pid", process.pid},
                                 {"start_ticks", process.start_ticks}});
  }
  json["updated"] = static_cast<double>(absl::ToUnixMillis(updated)) / 1e3;
  return json;
}

absl::StatusOr<RunStatus> RunStatus::FromJson(const Json& json) {
  RunStatus status;
  try {
    const std::string state = json.at("state").get<std::string>();
    for (const auto& [value, name] : kStates) {
      if (state == name) status.state = value;
    }
    status.error = json.value("error", "");
    json.at("stage").get_to(status.stage);
    json.at("stage_number").get_to(status.stage_number);
    json.at("stages").get_to(status.stages);
    json.at("step").get_to(status.step);
    json.at("doing").get_to(status.doing);
    json.at("done").get_to(status.done);
    json.at("total").get_to(status.total);
    if (json.at("seconds_left").is_number()) {
      status.left = absl::Seconds(json["seconds_left"].get<double>());
    }
    json.at("note").get_to(status.note);
    json.at("warnings").get_to(status.warnings);
    for (const Json& process : json.at("processes")) {
      status.processes.push_back({process.at("name").get<std::string>(),
                                  process.at("pid").get<int64_t>(),
                                  process.at("start_ticks").get<int64_t>()});
    }
    status.updated = absl::FromUnixMillis(
        static_cast<int64_t>(json.at("updated").get<double>() * 1e3));
  } catch (const nlohmann::json::exception& e) {
    return absl::DataLossError(
        absl::StrCat("status.json is not what a run writes (", e.what(),
                     "); is it of an older version, or changed by hand?"));
  }
  return status;
}

absl::Status WriteRunStatus(const std::string& run_folder,
                            const RunStatus& status) {
  const std::string path = run_folder + kFile;
  const std::string next = path + ".new";
  {
    std::ofstream out(next, std::ios::binary);
    out << status.ToJson().dump(2, ' ', false, Json::error_handler_t::replace)
        << "\n";
    out.flush();
    if (!out) return ErrnoStatus("cannot write", next);
  }
  if (std::rename(next.c_str(), path.c_str()) != 0) {
    return ErrnoStatus("cannot rename", next);
  }
  return absl::OkStatus();
}

absl::StatusOr<RunReport> ReadRunReport(const std::string& run_folder) {
  const auto config = ReadFile(run_folder + "/config.textproto");
  if (absl::IsNotFound(config.status())) {
    return absl::NotFoundError(absl::StrCat(
        run_folder, ": is no run; a run's folder has config.textproto"));
  }
  const auto text = ReadFile(run_folder + kFile);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(absl::StrCat(
        run_folder,
        ": has no status.json: it has not started, or an older version of "
        "ponder ran it"));
  }
  PONDER_RETURN_IF_ERROR(text.status());
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  RunReport report;
  PONDER_ASSIGN_OR_RETURN(report.status, RunStatus::FromJson(json));
  for (const RunProcess& process : report.status.processes) {
    report.alive.push_back(IsAlive(process));
  }
  report.is_lost = report.status.state == RunStatus::State::kRunning &&
                   (report.alive.empty() || !report.alive.front());
  for (Json& line : LastLines(run_folder + "/metrics.jsonl")) {
    if (report.last_evaluation.is_null() && HasAccuracy(line)) {
      report.last_evaluation = line;
    }
    if (report.last_step.is_null() && line.contains("training/global_step")) {
      report.last_step = std::move(line);
    }
  }
  return report;
}

Json RunReportJson(const RunReport& report) {
  Json json = report.status.ToJson();
  json["state"] = StateText(report);
  for (size_t i = 0; i < report.alive.size(); ++i) {
    json["processes"][i]["alive"] = static_cast<bool>(report.alive[i]);
  }
  json["last_step"] = report.last_step;
  json["last_evaluation"] = report.last_evaluation;
  return json;
}

std::string RunReportText(const std::string& run_folder,
                          const RunReport& report, absl::Time now) {
  const RunStatus& status = report.status;
  std::string text = absl::StrCat(run_folder, ": ", StateText(report));
  const auto row = [&](absl::string_view title, absl::string_view content) {
    if (content.empty()) return;
    absl::StrAppendFormat(&text, "\n  %-11s %s", title, content);
  };
  row("stage",
      absl::StrCat(status.stage, ", ", status.stage_number, " of ",
                   status.stages, "; step ", status.step, " of the run"));
  const bool is_running =
      status.state == RunStatus::State::kRunning && !report.is_lost;
  if (is_running || report.is_lost) {
    std::string doing = absl::StrCat(status.doing, " ", status.done);
    if (status.total > 0) absl::StrAppend(&doing, " of ", status.total);
    if (is_running && status.left) {
      absl::StrAppend(&doing, ", ", ClockText(*status.left), " left");
    }
    row("doing", doing);
  }
  row("last news", absl::StrCat(ClockText(now - status.updated), " ago"));
  if (is_running || report.is_lost) row("processes", ProcessesText(report));
  if (report.last_step.is_object()) {
    row("last step", StepText(report.last_step));
  }
  if (report.last_evaluation.is_object()) {
    row("held out",
        absl::StrCat("step ", report.last_evaluation.value("step", int64_t{0}),
                     ": ", EvaluationText(report.last_evaluation)));
  }
  if (status.warnings.empty()) {
    row("health", "no warning");
  }
  for (const std::string& warning : status.warnings) row("warning", warning);
  row("error", status.error);
  if (report.is_lost || status.state == RunStatus::State::kStopped ||
      status.state == RunStatus::State::kFailed) {
    row("go on with",
        absl::StrCat(ProgramName(), " train --resume ", run_folder));
  }
  text += "\n";
  return text;
}

}  // namespace ponder
