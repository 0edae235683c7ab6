#include "rl/data/tasks/generate.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "proto/text_config.h"
#include "proto/value_codec.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

// So many problems in a row that were there before mean that few are left.
constexpr int kMaxRepeats = 10000;
constexpr int64_t kMostProblems = 10'000'000;

absl::StatusOr<const Task*> FindTask(const std::string& name) {
  std::vector<std::string> names;
  for (const Task& task : GeneratedTasks()) {
    if (task.name == name) return &task;
    names.push_back(task.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no task is named \"", name, "\"", NameHint(name, names)));
}

// Draws problems that were not drawn before.
class Generator {
 public:
  Generator(const Task& task, const GeneratedSet& set, int min_size,
            int max_size)
      : task_(task),
        thinking_share_(set.thinking_share()),
        key_(StreamKey().Add(set.seed()).Add("generate").Add(task.name).key()),
        min_size_(min_size),
        max_size_(max_size) {}

  absl::StatusOr<std::vector<GeneratedProblem>> Take(int64_t count) {
    std::vector<GeneratedProblem> problems;
    int repeats = 0;
    while (static_cast<int64_t>(problems.size()) < count) {
      if (StopRequested()) return absl::CancelledError("stopped");
      GeneratedProblem problem = Draw();
      if (!seen_.insert(problem.canonical).second) {
        if (++repeats < kMaxRepeats) continue;
        return absl::InvalidArgumentError(
            absl::StrCat(task_.name, " has hardly more than ", seen_.size(),
                         " different problems of sizes ", min_size_, " to ",
                         max_size_, "; ask for fewer, or for larger ones"));
      }
      repeats = 0;
      problems.push_back(std::move(problem));
    }
    return problems;
  }

 private:
  GeneratedProblem Draw() {
    RandomStream stream(
        StreamKey().Add(key_).Add(static_cast<uint64_t>(drawn_++)).key());
    const int size = static_cast<int>(stream.Int(min_size_, max_size_));
    const bool think = stream.Double() < thinking_share_;
    GeneratedProblem problem = task_.make(size, think, stream);
    problem.task = task_.name;
    problem.size = size;
    problem.id = absl::StrCat(
        task_.name, "/",
        absl::Hex(StreamKey().Add(problem.canonical).key(), absl::kZeroPad16));
    return problem;
  }

  const Task& task_;
  const double thinking_share_;
  const uint64_t key_;
  const int min_size_;
  const int max_size_;
  int64_t drawn_ = 0;
  std::unordered_set<std::string> seen_;  // Canonical forms.
};

absl::Status WriteProblems(const std::vector<GeneratedProblem>& problems,
                           const std::string& path) {
  std::string text;
  for (const GeneratedProblem& problem : problems) {
    absl::StrAppend(&text, DumpJson(ProblemToJson(problem)), "\n");
  }
  const std::string folder = std::filesystem::path(path).parent_path().string();
  if (!folder.empty()) PONDER_RETURN_IF_ERROR(MakeFolders(folder));
  return WriteFileAtomically(path, text);
}

}  // namespace

const std::vector<Task>& GeneratedTasks() {
  static const std::vector<Task>* const kTasks = new std::vector<Task>{
      QuickstartMathTask(), QuickstartCodeTask(), CountdownTask(),
      ChainSumTask(), NumberSortingTask()};
  return *kTasks;
}

absl::StatusOr<GeneratedSplit> GenerateProblems(const GeneratedSet& set) {
  PONDER_ASSIGN_OR_RETURN(const Task* task, FindTask(set.task()));
  for (const int64_t count : {set.count(), set.held_out_count()}) {
    if (count <= kMostProblems) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(task->name, ": ", count, " problems; wanted at most ",
                     kMostProblems, ", as all are in memory at once"));
  }
  const int min_size =
      set.has_min_size()
          ? set.min_size()
          : (set.has_max_size() && set.max_size() < task->min_size
                 ? set.max_size()
                 : task->min_size);
  const int max_size =
      set.has_max_size() ? set.max_size() : std::max(task->max_size, min_size);
  if (min_size < task->smallest_size || min_size > max_size ||
      max_size > task->largest_size) {
    return absl::InvalidArgumentError(absl::StrCat(
        task->name, ": sizes ", min_size, " to ", max_size, "; wanted within ",
        task->smallest_size, " to ", task->largest_size));
  }
  Generator generator(*task, set, min_size, max_size);
  GeneratedSplit split;
  PONDER_ASSIGN_OR_RETURN(split.held_out, generator.Take(set.held_out_count()));
  PONDER_ASSIGN_OR_RETURN(split.training, generator.Take(set.count()));
  return split;
}

Json ProblemToJson(const GeneratedProblem& problem) {
  Json json;
  json["id"] = problem.id;
  json["prompt"] = problem.prompt;
  json["answer"] = problem.answer;
  json["verifier"] = problem.verifier;
  if (!problem.tests.is_null()) json["tests"] = problem.tests;
  for (const auto& [name, value] : problem.columns.items()) {
    json[name] = value;
  }
  json["response"] = problem.response;
  json["task"] = problem.task;
  json["size"] = problem.size;
  return json;
}

absl::StatusOr<GeneratedSplit> WriteGeneratedSet(
    const GeneratedSet& set, const std::string& run_folder) {
  if (set.path() == set.held_out_path()) {
    return absl::InvalidArgumentError(absl::StrCat(
        set.path(), ": is to hold both parts; give each its own file"));
  }
  PONDER_ASSIGN_OR_RETURN(GeneratedSplit split, GenerateProblems(set));
  PONDER_RETURN_IF_ERROR(
      WriteProblems(split.training, ExpandRunPath(set.path(), run_folder)));
  if (!set.held_out_path().empty()) {
    PONDER_RETURN_IF_ERROR(WriteProblems(
        split.held_out, ExpandRunPath(set.held_out_path(), run_folder)));
  }
  return split;
}

std::string WrittenSolution(bool think, const std::string& thought,
                            const std::string& answer) {
  if (!think) return answer;
  return absl::StrCat("<think>", thought, "</think>", answer);
}

std::string Boxed(const std::string& answer) {
  return absl::StrCat("\\boxed{", answer, "}");
}

}  // namespace ponder
