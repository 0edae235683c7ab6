// What a kind of generated problem is.

#ifndef PONDER_RL_DATA_TASKS_TASK_H_
#define PONDER_RL_DATA_TASKS_TASK_H_

#include <string>
#include <vector>

#include "base/philox.h"
#include "nlohmann/json.hpp"

namespace ponder {

struct GeneratedProblem {
  std::string id;  // task/hash of `canonical`; filled in by GenerateProblems.
  std::string prompt;
  std::string answer;            // Empty for code.
  std::string verifier;          // math, code, countdown.
  nlohmann::ordered_json tests;  // Null if none; docs/formats.md has the shape.
  // Further columns that the verifier needs; an object, or null.
  nlohmann::ordered_json columns;
  std::string response;  // A right, written-out solution.
  // The same for problems that differ in their wording only, or that have the
  // same solution for a reason that a policy could see.
  std::string canonical;
  std::string task;
  int size = 0;
};

struct Task {
  std::string name;
  std::string what;       // One line for people, with what size means.
  int smallest_size = 1;  // Bounds of what may be asked for.
  int largest_size = 1;
  int min_size = 1;  // Defaults.
  int max_size = 1;
  // One problem. `think`: whether the response thinks before it answers. Draws
  // from `stream` do not depend on `think`.
  GeneratedProblem (*make)(int size, bool think, RandomStream& stream);
};

Task CountdownTask();
Task ChainSumTask();
Task NumberSortingTask();
Task QuickstartMathTask();
Task QuickstartCodeTask();

// "<think>" + thought + "</think>" + answer; the answer alone if not `think`.
std::string WrittenSolution(bool think, const std::string& thought,
                            const std::string& answer);

// "\boxed{answer}".
std::string Boxed(const std::string& answer);

}  // namespace ponder

#endif  // PONDER_RL_DATA_TASKS_TASK_H_
