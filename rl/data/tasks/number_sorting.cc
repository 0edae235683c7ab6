// Number sorting: put the numbers in ascending or descending order. The answer
// is a tuple, since the maths verifier takes a list without brackets in any
// order; numbers stay below 100, so that no comma looks like one of thousands.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "rl/data/tasks/task.h"

namespace ponder {
namespace {

GeneratedProblem MakeNumberSorting(int size, bool think, RandomStream& stream) {
  std::vector<int64_t> numbers;
  while (static_cast<int>(numbers.size()) < size) {
    const int64_t number = stream.Int(0, 99);
    if (std::find(numbers.begin(), numbers.end(), number) == numbers.end()) {
      numbers.push_back(number);
    }
  }
  const bool ascending = stream.Int(0, 1) == 0;
  std::vector<int64_t> sorted = numbers;
  std::sort(sorted.begin(), sorted.end());
  if (!ascending) std::reverse(sorted.begin(), sorted.end());

  // The thought takes out the next number and writes down what is left.
  std::string steps;
  std::vector<int64_t> left = numbers;
  for (const int64_t number : sorted) {
    left.erase(std::find(left.begin(), left.end(), number));
    absl::StrAppend(&steps, steps.empty() ? "" : "\n", number);
    if (!left.empty()) {
      absl::StrAppend(&steps, ", left ", absl::StrJoin(left, ", "));
    }
  }
  const std::string order = ascending ? "ascending" : "descending";

  GeneratedProblem problem;
  problem.prompt = absl::StrCat("Sort these numbers in ", order,
                                " order: ", absl::StrJoin(numbers, ", "),
                                ". Answer with a tuple in \\boxed{}.");
  problem.answer = absl::StrCat("(", absl::StrJoin(sorted, ", "), ")");
  problem.verifier = "math";
  problem.response = WrittenSolution(think, steps, Boxed(problem.answer));
  problem.canonical = absl::StrCat(order, " ", problem.answer);
  return problem;
}

}  // namespace

Task NumberSortingTask() {
  return {"number_sorting",
          "sort different numbers below 100; size: how many numbers",
          /*smallest_size=*/2,
          /*largest_size=*/50,
          /*min_size=*/3,
          /*max_size=*/8,
          MakeNumberSorting};
}

}  // namespace ponder
