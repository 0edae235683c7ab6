#include "rl/summary.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/process_memory.h"
#include "base/program_name.h"
#include "rl/accuracy.h"
#include "rl/architecture.h"
#include "rl/memory_plan.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

// Text columns, each as wide as its widest cell.
std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - row[i].size(), ' ');
      absl::StrAppend(&text, "  ", i == 0 ? row[i] + pad : pad + row[i]);
    }
    text += '\n';
  }
  return text;
}

std::string Percent(const Json& object, const std::string& name) {
  return object.contains(name)
             ? absl::StrFormat("%.1f %%", 100 * object[name].get<double>())
             : "-";
}

std::string Number(const Json& object, const std::string& name) {
  return object.contains(name)
             ? absl::StrFormat("%.1f", object[name].get<double>())
             : "-";
}

// Core-seconds of one phase of a stage.
std::string PhaseText(const Json& stage, const char* phase) {
  return stage.contains("phases") && stage["phases"].contains(phase)
             ? Number(stage["phases"][phase], "core_seconds")
             : "-";
}

// Peak resident memory of the trainer and of each process that it started.
std::vector<std::pair<std::string, int64_t>> PeakMemory(const Run& run) {
  std::vector<std::pair<std::string, int64_t>> peaks = {
      {"trainer", PeakRssBytes(getpid())}};
  if (run.fleet == nullptr) return peaks;
  for (auto& peak : run.fleet->PeakRssBytes()) peaks.push_back(peak);
  return peaks;
}

// What Compare() finds between an earlier evaluation, `label`, and this one;
// nothing where there was none.
void AddDifferences(const Run& run, const std::string& stage,
                    const std::string& label, const Evaluation& evaluation,
                    Json* differences) {
  const absl::StatusOr<std::vector<ProblemResult>> before =
      ReadResults(ResultsPath(run, label));
  if (!before.ok()) return;
  for (const PairedDifference& pair : Compare(*before, evaluation.problems)) {
    Json json;
    json["stage"] = stage;
    json["set"] = pair.set;
    json["figure"] = pair.figure;
    json["difference"] = pair.difference.value;
    json["low"] = pair.difference.low;
    json["high"] = pair.difference.high;
    json["p_value"] = pair.p_value;
    json["problems"] = pair.difference.problems;
    differences->push_back(std::move(json));
  }
}

Json Differences(const std::string& name, const std::string& from,
                 const Run& run, const Evaluation& evaluation) {
  Json differences = Json::array();
  if (from.empty()) {  // Step 0 of the stage itself.
    AddDifferences(run, "", absl::StrCat(name, "/0"), evaluation, &differences);
    return differences;
  }
  AddDifferences(run, from, from, evaluation, &differences);
  for (const Json& earlier : run.state.summaries) {
    if (earlier.value("from", "") != from) continue;
    const std::string sibling = earlier.value("name", "");
    AddDifferences(run, sibling, sibling, evaluation, &differences);
  }
  return differences;
}

// The run's policy; `run.model` may be one that a stage brought in.
ModelConfig ModelOfRun(const Run& run) {
  return run.config.policy().init() == PolicyConfig::RANDOM
             ? ModelConfigOf(run.config.policy().architecture())
             : run.model;
}

}  // namespace

Json StageSummary(const std::string& name, const std::string& kind,
                  const std::string& from, const Run& run,
                  const Evaluation& evaluation) {
  const RunState& state = run.state;
  Json json;
  json["name"] = name;
  json["kind"] = kind;
  json["from"] = from;
  json["seconds"] = state.stage_seconds;
  json["evaluation_seconds"] = evaluation.seconds;
  json["steps"] = state.stage_step;
  json["tokens"] = state.stage_tokens;
  json["samples"] = state.stage_samples;
  json["evaluation_tokens"] = evaluation.sampled_tokens;
  const Cost cost = run.StageCost();
  json["core_seconds"] = cost.core_seconds;
  if (cost.gpu_seconds > 0) json["gpu_seconds"] = cost.gpu_seconds;
  json["cost"] = cost.money;
  json["currency"] = cost.currency;
  for (const auto& [phase, seconds] :
       {std::pair<const char*, double>{"generation",
                                       state.stage_phases.generation},
        {"reward", state.stage_phases.reward},
        {"learning", state.stage_phases.learning},
        {"evaluation", state.stage_phases.evaluation}}) {
    json["phases"][phase]["core_seconds"] = seconds;
    json["phases"][phase]["cost"] =
        CostOf(run.config.cost(), seconds, /*gpu_seconds=*/0).money;
  }
  if (run.kept.has_value()) json["kept"] = run.kept->ToJson();
  if (evaluation.sets.empty()) return json;
  const std::optional<double> reached =
      MeanAccuracy(EvaluationMetrics(evaluation));
  if (reached && state.stage_start_accuracy) {
    const double points = 100 * (*reached - *state.stage_start_accuracy);
    json["accuracy_points_gained"] = points;
    if (points > 0) json["cost_per_accuracy_point"] = cost.money / points;
  }
  double length = 0, thinking = 0, problems = 0;
  Json accuracy = Json::object();
  for (const auto& [set, a] : evaluation.sets) {
    accuracy[set] = a.ToJson();
    const double n = static_cast<double>(a.problems);
    length += n * (a.k > 0 ? a.response_length : a.greedy_response_length);
    thinking += n * (a.k > 0 ? a.thinking_share : a.greedy_thinking_share);
    problems += n;
  }
  json["response_length"] = length / std::max(1.0, problems);
  json["thinking_share"] = thinking / std::max(1.0, problems);
  json["accuracy"] = accuracy;
  json["against"] = Differences(name, from, run, evaluation);
  return json;
}

absl::Status WriteSummary(const Run& run, double total_seconds,
                          const std::string& checkpoint,
                          const ExportedPolicy& exported) {
  Json json;
  json["run"] = run.config.name();
  json["stages"] = run.state.summaries;
  json["seconds"]["total"] = total_seconds;
  const Cost total = run.TotalCost();
  json["core_seconds"] = total.core_seconds;
  json["cost"] = total.money;
  json["currency"] = total.currency;
  const ModelConfig model = ModelOfRun(run);
  json["parameters"] = model.NumParameters();
  json["memory"]["planned_bytes"] = PlanMemory(run.config, model).bytes();
  int64_t peak = 0;
  for (const auto& [process, bytes] : PeakMemory(run)) {
    json["memory"]["peak_bytes"][process] = bytes;
    peak += bytes;
  }
  json["memory"]["peak_bytes"]["all"] = peak;
  json["checkpoint"] = checkpoint;
  json["export"] = exported.folder;
  json["export_stage"] = exported.stage;
  return WriteFileAtomically(run.folder.File("summary.json"),
                             json.dump(2) + "\n");
}

std::string SummaryText(const Run& run, double total_seconds,
                        const std::string& export_folder) {
  const Json& stages = run.state.summaries;
  const ModelConfig model = ModelOfRun(run);
  const int k = run.config.eval().samples();
  const bool sampled = k > 0;
  std::vector<std::vector<std::string>> accuracy = {{"stage", "set", "greedy"}};
  if (sampled) {
    accuracy[0].push_back(absl::StrCat("avg@", k));
    accuracy[0].push_back(absl::StrCat("pass@", k));
  }
  accuracy[0].insert(accuracy[0].end(), {"length", "think"});
  if (sampled) {
    accuracy[0].insert(accuracy[0].end(), {"right if thinking", "if not"});
  }
  std::vector<std::vector<std::string>> cost = {
      {"stage", "steps", "samples", "tokens", "seconds", "evaluation s",
       "core-s: generation", "reward", "learning", "evaluation", "all",
       run.config.cost().currency(), "a point gained"}};
  std::vector<std::vector<std::string>> differences = {
      {"stage", "against", "set", "figure", "difference", "interval"}};
  for (const Json& stage : stages) {
    const std::string name = stage.value("name", "");
    for (const Json& pair : stage.value("against", Json::array())) {
      const std::string other = pair.value("stage", "");
      differences.push_back(
          {name, other.empty() ? "its start" : other, pair.value("set", ""),
           pair.value("figure", ""),
           absl::StrFormat("%+.1f", 100 * pair.value("difference", 0.0)),
           absl::StrFormat("%+.1f to %+.1f", 100 * pair.value("low", 0.0),
                           100 * pair.value("high", 0.0))});
    }
    cost.push_back(
        {name, absl::StrCat(stage.value("steps", int64_t{0})),
         absl::StrCat(stage.value("samples", int64_t{0})),
         absl::StrCat(stage.value("tokens", int64_t{0})),
         Number(stage, "seconds"), Number(stage, "evaluation_seconds"),
         PhaseText(stage, "generation"), PhaseText(stage, "reward"),
         PhaseText(stage, "learning"), PhaseText(stage, "evaluation"),
         Number(stage, "core_seconds"),
         absl::StrFormat("%.5f", stage.value("cost", 0.0)),
         stage.contains("cost_per_accuracy_point")
             ? absl::StrFormat("%.6f",
                               stage["cost_per_accuracy_point"].get<double>())
             : "-"});
    if (!stage.contains("accuracy")) continue;
    for (const auto& [set, a] : stage["accuracy"].items()) {
      std::vector<std::string>& row = accuracy.emplace_back();
      row = {name, set, Percent(a, "greedy")};
      if (sampled) {
        row.push_back(Percent(a, absl::StrCat("avg@", k)));
        row.push_back(Percent(a, absl::StrCat("pass@", k)));
      }
      row.push_back(
          Number(a, sampled ? "response_length" : "greedy_response_length"));
      row.push_back(
          Percent(a, sampled ? "thinking_share" : "greedy_thinking_share"));
      if (sampled) {
        const double share = a.value("thinking_share", 0.0);
        row.push_back(share > 0 ? Percent(a, "accuracy_thinking") : "-");
        row.push_back(share < 1 ? Percent(a, "accuracy_not_thinking") : "-");
      }
    }
  }
  const Cost total = run.TotalCost();
  std::string text;
  if (accuracy.size() > 1) {
    absl::StrAppend(&text, "\nAccuracy on held-out problems\n",
                    Table(accuracy));
  }
  if (differences.size() > 1) {
    absl::StrAppend(&text,
                    "\nDifferences, paired by problem, with their 95 % "
                    "intervals in points\n",
                    Table(differences));
  }
  absl::StrAppend(&text, "\nWhat it took\n", Table(cost));
  absl::StrAppendFormat(&text, "\nIn all %.0f s, %s; %d parameters.\n",
                        total_seconds, CostText(total), model.NumParameters());
  int64_t peak = 0;
  std::string parts;
  for (const auto& [process, bytes] : PeakMemory(run)) {
    peak += bytes;
    absl::StrAppendFormat(&parts, "%s%s %.2f", parts.empty() ? "" : ", ",
                          process, static_cast<double>(bytes) / (1 << 30));
  }
  absl::StrAppendFormat(
      &text, "Memory: %.2f GiB at most (%s), planned %.2f.\n",
      static_cast<double>(peak) / (1 << 30), parts,
      static_cast<double>(PlanMemory(run.config, model).bytes()) / (1 << 30));
  absl::StrAppend(&text, "\n  curves      scripts/tensorboard ",
                  run.folder.path(), "\n  metrics     ",
                  run.folder.File("metrics.jsonl"), "\n");
  std::error_code error;
  if (!std::filesystem::is_empty(run.folder.File("samples"), error) && !error) {
    absl::StrAppend(&text, "  samples     ", ProgramName(), " view ",
                    run.folder.path(), "\n");
  }
  absl::StrAppend(&text, "  summary     ", run.folder.File("summary.json"),
                  "\n  logs        ", run.folder.File("logs"), "\n");
  if (!export_folder.empty()) {
    absl::StrAppend(&text, "  policy      ", export_folder,
                    " (Hugging Face)\n\nTry it: ", ProgramName(), " chat ",
                    export_folder, "\n");
  }
  return text;
}

}  // namespace ponder
