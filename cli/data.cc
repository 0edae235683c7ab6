// ponder data make: generated problem sets.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/flag_checks.h"
#include "proto/config.pb.h"
#include "rl/data/tasks/generate.h"

namespace ponder {
namespace {

struct MakeOptions {
  std::string task;
  std::string out;
  int64_t count = 1000;
  uint64_t seed = 1;
  int32_t min_size = 0;  // 0: the task's own.
  int32_t max_size = 0;
  std::string held_out;
  int64_t held_out_count = 0;
  double thinking_share = 0.3;
};

std::string TaskList() {
  std::string text = "Tasks:\n";
  for (const Task& task : GeneratedTasks()) {
    absl::StrAppend(
        &text, absl::StrFormat("  %-16s %s (%d to %d)\n", task.name, task.what,
                               task.min_size, task.max_size));
  }
  return text;
}

GeneratedSet ToSet(const MakeOptions& options) {
  GeneratedSet set;
  set.set_task(options.task);
  set.set_path(options.out);
  set.set_count(options.count);
  set.set_seed(options.seed);
  if (options.min_size > 0) set.set_min_size(options.min_size);
  if (options.max_size > 0) set.set_max_size(options.max_size);
  set.set_held_out_path(options.held_out);
  set.set_held_out_count(options.held_out_count);
  set.set_thinking_share(options.thinking_share);
  return set;
}

void PrintPart(const std::vector<GeneratedProblem>& problems,
               const std::string& path) {
  if (problems.empty()) return;
  const auto [smallest, largest] = std::minmax_element(
      problems.begin(), problems.end(),
      [](const auto& a, const auto& b) { return a.size < b.size; });
  std::printf("%zu problems of %s, sizes %d to %d: %s\n", problems.size(),
              problems[0].task.c_str(), smallest->size, largest->size,
              path.c_str());
}

absl::Status MakeData(const MakeOptions& options) {
  PONDER_ASSIGN_OR_RETURN(const GeneratedSplit split,
                          WriteGeneratedSet(ToSet(options), /*run_folder=*/""));
  PrintPart(split.training, options.out);
  PrintPart(split.held_out, options.held_out);
  std::printf("The first one:\n%s\n%s\n", split.training[0].prompt.c_str(),
              split.training[0].response.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddDataCommand(CLI::App& app, Command* chosen) {
  CLI::App* data = app.add_subcommand("data", "Generated problem sets");
  data->require_subcommand(1);
  CLI::App* make = data->add_subcommand(
      "make",
      "Write a generated problem set as JSONL; docs/formats.md has "
      "the fields");
  make->footer(TaskList());

  auto options = std::make_shared<MakeOptions>();
  make->add_option("task", options->task, "Which problems, see below")
      ->required();
  make->add_option("--out", options->out, "File for the training part")
      ->required();
  make->add_option("--count", options->count, "Problems in it")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()));
  make->add_option("--seed", options->seed,
                   "The same seed gives the same problems")
      ->capture_default_str();
  make->add_option("--min-size", options->min_size,
                   "Smallest size; below, what size means for a task")
      ->check(PositiveNumber());
  make->add_option("--max-size", options->max_size, "Largest size")
      ->check(PositiveNumber());
  CLI::Option* held_out =
      make->add_option("--held-out", options->held_out,
                       "File for a part that shares no problem with the first");
  CLI::Option* held_out_count =
      make->add_option("--held-out-count", options->held_out_count,
                       "Problems in it")
          ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()));
  held_out->needs(held_out_count);
  held_out_count->needs(held_out);
  make->add_option("--thinking-share", options->thinking_share,
                   "Share of the written-out solutions that think first")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  make->callback([options, chosen] {
    *chosen = [options] { return MakeData(*options); };
  });
}

}  // namespace ponder
