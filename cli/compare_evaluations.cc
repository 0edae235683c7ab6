#include "cli/compare_evaluations.h"

#include <cstdio>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "rl/accuracy.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

// The stage whose evaluation is the run's: the last that looked at the policy
// that was exported, or else the last of all. Empty if none was evaluated.
std::string EvaluatedStage(const Json& summary) {
  if (!summary.is_object() || !summary.contains("stages")) return "";
  const std::string exported = summary.value("export_stage", "");
  std::string last;
  std::string last_of_exported;
  for (const Json& stage : summary["stages"]) {
    if (!stage.contains("accuracy")) continue;
    last = stage.value("name", "");
    const bool evaluates = stage.value("kind", "") == "eval" &&
                           stage.value("from", "") == exported;
    if (last == exported || evaluates) last_of_exported = last;
  }
  return last_of_exported.empty() ? last : last_of_exported;
}

// The results of a run's policy, or `path` itself.
absl::StatusOr<std::string> ResultsFile(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    return absl::NotFoundError(
        absl::StrCat(path,
                     ": is not there; wanted a run, or a file "
                     "RUN/eval/NAME.jsonl"));
  }
  if (!std::filesystem::is_directory(path)) return path;
  const std::string summary_path = absl::StrCat(path, "/summary.json");
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(summary_path));
  const Json summary = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const std::string stage = EvaluatedStage(summary);
  if (stage.empty()) {
    return absl::NotFoundError(absl::StrCat(
        path,
        ": no stage of this run was evaluated; its eval_data may be "
        "empty"));
  }
  return absl::StrCat(path, "/eval/", stage, ".jsonl");
}

Json ToJson(const Figure& figure) {
  Json json;
  json["value"] = figure.value;
  json["interval"] = {figure.low, figure.high};
  return json;
}

void Print(const std::vector<PairedDifference>& differences, bool json) {
  if (json) {
    Json all = Json::array();
    for (const PairedDifference& d : differences) {
      Json& one = all.emplace_back();
      one["set"] = d.set;
      one["figure"] = d.figure;
      one["problems"] = d.difference.problems;
      one["a"] = ToJson(d.a);
      one["b"] = ToJson(d.b);
      one["difference"] = ToJson(d.difference);
      one["p_value"] = d.p_value;
    }
    std::puts(all.dump(2).c_str());
    return;
  }
  std::puts(
      "set              figure  problems       A       B   B - A   (95 %)"
      "              p");
  for (const PairedDifference& d : differences) {
    std::puts(absl::StrFormat("%-16s %-6s  %8d  %6.1f  %6.1f  %+6.1f   (%+.1f "
                              "to %+.1f)  %8.4f",
                              d.set, d.figure, d.difference.problems,
                              100 * d.a.value, 100 * d.b.value,
                              100 * d.difference.value, 100 * d.difference.low,
                              100 * d.difference.high, d.p_value)
                  .c_str());
  }
}

}  // namespace

absl::Status CompareEvaluations(const std::string& a, const std::string& b,
                                bool json) {
  std::vector<std::string> files;
  std::vector<std::vector<ProblemResult>> results;
  for (const std::string& path : {a, b}) {
    PONDER_ASSIGN_OR_RETURN(files.emplace_back(), ResultsFile(path));
    PONDER_ASSIGN_OR_RETURN(results.emplace_back(), ReadResults(files.back()));
  }
  const std::vector<PairedDifference> differences =
      Compare(results[0], results[1]);
  if (differences.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        a, " and ", b,
        " have no problem in common; evaluate both on the same data sets, "
        "under the same names"));
  }
  if (!json)
    std::printf("A  %s\nB  %s\n\n", files[0].c_str(), files[1].c_str());
  Print(differences, json);
  return absl::OkStatus();
}

}  // namespace ponder
