// Chain sums: 42 - 17 + 305.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "rl/data/tasks/task.h"

namespace ponder {
namespace {

GeneratedProblem MakeChainSum(int size, bool think, RandomStream& stream) {
  std::vector<int64_t> terms;  // Signed; the first is positive.
  std::string sum;
  std::string steps;
  int64_t total = 0;
  for (int i = 0; i < size; ++i) {
    const int64_t digits = stream.Int(2, 3);
    const int64_t number =
        digits == 2 ? stream.Int(10, 99) : stream.Int(100, 999);
    const bool minus = i > 0 && stream.Int(0, 1) == 1;
    const int64_t before = total;
    terms.push_back(minus ? -number : number);
    total += terms.back();
    if (i == 0) {
      sum = absl::StrCat(number);
      continue;
    }
    const std::string step = absl::StrCat(minus ? " - " : " + ", number);
    absl::StrAppend(&sum, step);
    absl::StrAppend(&steps, steps.empty() ? "" : "\n", before, step, " = ",
                    total);
  }
  std::sort(terms.begin(), terms.end());

  GeneratedProblem problem;
  problem.prompt = absl::StrCat("Compute ", sum, ".");
  problem.answer = absl::StrCat(total);
  problem.verifier = "math";
  problem.response = WrittenSolution(think, steps, Boxed(problem.answer));
  problem.canonical = absl::StrJoin(terms, " ");  // Whatever their order.
  return problem;
}

}  // namespace

Task ChainSumTask() {
  return {"chain_sum",
          "add and subtract numbers of two or three digits; size: how many",
          /*smallest_size=*/2,
          /*largest_size=*/50,
          /*min_size=*/3,
          /*max_size=*/5,
          MakeChainSum};
}

}  // namespace ponder
