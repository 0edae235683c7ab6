#include "rl/stage_manifest.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "proto/text_config.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

// A file by its path in the run's folder, or as it is elsewhere.
absl::StatusOr<Json> FileEntry(const Run& run, const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  const std::string folder = absl::StrCat(run.folder.path(), "/");
  Json json;
  json["path"] =
      absl::StartsWith(path, folder) ? path.substr(folder.size()) : path;
  json["bytes"] = content.size();
  json["crc32c"] =
      absl::StrFormat("%08x", ExtendCrc32c(0, content.data(), content.size()));
  return json;
}

// The file of a data set, and that of its pass rates.
absl::Status AddInputs(const Run& run, const DataSet& set, Json* inputs) {
  for (const std::string& path : {set.path(), set.pass_rates()}) {
    if (path.empty()) continue;
    PONDER_ASSIGN_OR_RETURN(
        Json entry, FileEntry(run, ExpandRunPath(path, run.folder.path())));
    entry["name"] = DataSetName(set);
    inputs->push_back(std::move(entry));
  }
  return absl::OkStatus();
}

absl::StatusOr<Json> EvaluationInputs(const Run& run) {
  Json inputs = Json::array();
  for (const DataSet& set : run.config.eval_data()) {
    PONDER_RETURN_IF_ERROR(AddInputs(run, set, &inputs));
  }
  return inputs;
}

absl::StatusOr<Json> DataInputs(const Run& run, const Stage& stage) {
  Json inputs = Json::array();
  for (const DataSet& set : run.config.data()) {
    if (!ReadsData(stage, set)) continue;
    PONDER_RETURN_IF_ERROR(AddInputs(run, set, &inputs));
  }
  return inputs;
}

// What the policy was before the stage.
absl::StatusOr<Json> PolicyInput(const Run& run, const Stage& stage,
                                 const std::string& from) {
  if (!from.empty()) {
    return FileEntry(
        run, run.folder.File(absl::StrCat(run.state.stage_checkpoints.at(from),
                                          "/MANIFEST")));
  }
  const PolicyConfig& policy =
      stage.has_policy() ? stage.policy() : run.config.policy();
  Json json;
  if (policy.init() == PolicyConfig::RANDOM) {
    json["random"] = policy.architecture().model_type();
  } else {
    json["path"] = policy.path();
  }
  return json;
}

// Whose log-probabilities the stage compared its own with.
absl::StatusOr<Json> TeacherInput(const Run& run, const GrpoStage& stage) {
  if (stage.has_teacher_path()) return Json{{"path", stage.teacher_path()}};
  return FileEntry(
      run, run.folder.File(absl::StrCat(
               run.state.stage_checkpoints.at(stage.teacher()), "/MANIFEST")));
}

// Files that the stage wrote, beside a checkpoint.
std::vector<std::string> FilesOf(const Stage& stage) {
  std::vector<std::string> paths;
  for (const GeneratedSet& set : stage.data().set()) {
    paths.push_back(set.path());
    if (set.has_held_out_path()) paths.push_back(set.held_out_path());
  }
  if (stage.has_sample()) {
    paths.push_back(stage.sample().path());
    paths.push_back(stage.sample().pass_rates_path());
    if (stage.sample().has_keep())
      paths.push_back(stage.sample().keep().path());
  }
  return paths;
}

absl::StatusOr<Json> Outputs(const Run& run, const Stage& stage) {
  Json outputs = Json::array();
  for (const std::string& path : FilesOf(stage)) {
    PONDER_ASSIGN_OR_RETURN(
        Json entry, FileEntry(run, ExpandRunPath(path, run.folder.path())));
    outputs.push_back(std::move(entry));
  }
  const auto checkpoint = run.state.stage_checkpoints.find(StageName(stage));
  if (checkpoint != run.state.stage_checkpoints.end()) {
    PONDER_ASSIGN_OR_RETURN(
        Json entry, FileEntry(run, run.folder.File(absl::StrCat(
                                       checkpoint->second, "/MANIFEST"))));
    outputs.push_back(std::move(entry));
  }
  return outputs;
}

}  // namespace

std::string StageManifestPath(const Run& run, const Stage& stage) {
  return run.folder.File(absl::StrCat("manifests/", StageName(stage), ".json"));
}

absl::Status WriteStageManifest(const Run& run, const Stage& stage,
                                const Json& summary) {
  Json json;
  json["stage"] = summary.at("name");
  json["kind"] = summary.at("kind");
  json["from"] = summary.at("from");
  json["seed"] = run.config.seed();
  PONDER_ASSIGN_OR_RETURN(json["configuration"],
                          FileEntry(run, run.folder.File("config.textproto")));
  if (!stage.has_data()) {
    PONDER_ASSIGN_OR_RETURN(json["policy"],
                            PolicyInput(run, stage, summary.at("from")));
  }
  if (HasTeacher(stage.grpo())) {
    PONDER_ASSIGN_OR_RETURN(json["teacher"], TeacherInput(run, stage.grpo()));
  }
  PONDER_ASSIGN_OR_RETURN(json["inputs"], DataInputs(run, stage));
  if (summary.contains("accuracy")) {
    PONDER_ASSIGN_OR_RETURN(json["evaluation_inputs"], EvaluationInputs(run));
  }
  PONDER_ASSIGN_OR_RETURN(json["outputs"], Outputs(run, stage));
  for (const char* name : {"steps", "samples", "tokens", "evaluation_tokens"}) {
    json["counts"][name] = summary.at(name);
  }
  if (summary.contains("kept")) json["counts"]["kept"] = summary.at("kept");
  for (const char* name : {"seconds", "evaluation_seconds", "core_seconds",
                           "phases", "cost", "currency"}) {
    json["cost"][name] = summary.at(name);
  }
  return WriteFileAtomically(StageManifestPath(run, stage),
                             json.dump(2) + "\n");
}

}  // namespace ponder
