// Generated problem sets: training and held-out parts that share no problem.

#ifndef PONDER_RL_DATA_TASKS_GENERATE_H_
#define PONDER_RL_DATA_TASKS_GENERATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/config.pb.h"
#include "rl/data/tasks/task.h"

namespace ponder {

struct GeneratedSplit {
  std::vector<GeneratedProblem> training;
  std::vector<GeneratedProblem> held_out;
};

// All tasks, in the order in which they are listed for people.
const std::vector<Task>& GeneratedTasks();

// The problems that the set asks for. No two of them, in either part, have the
// same canonical form. The same arguments give the same problems; the held-out
// part and the first problems of the training part do not change with `count`.
// INVALID_ARGUMENT for an unknown task (names the nearest), sizes out of range,
// more than ten million problems and a task that has too few different ones of
// these sizes. CANCELLED when a stop was requested.
absl::StatusOr<GeneratedSplit> GenerateProblems(const GeneratedSet& set);

// The row of the JSONL file:
// {id, prompt, answer, verifier, tests, ..., response, task, size}.
nlohmann::ordered_json ProblemToJson(const GeneratedProblem& problem);

// Generates and writes both files, each atomically, with their folders. "$RUN"
// in the paths is `run_folder`. Returns what was written.
absl::StatusOr<GeneratedSplit> WriteGeneratedSet(const GeneratedSet& set,
                                                 const std::string& run_folder);

}  // namespace ponder

#endif  // PONDER_RL_DATA_TASKS_GENERATE_H_
