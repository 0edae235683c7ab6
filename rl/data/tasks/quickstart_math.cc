// The quickstart's maths: a chain of digits with + and -, taken modulo 10. Hard
// at a glance, easy with running totals.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "rl/data/tasks/task.h"

namespace ponder {
namespace {

GeneratedProblem MakeQuickstartMath(int size, bool think,
                                    RandomStream& stream) {
  std::vector<int64_t> digits;
  std::vector<int64_t> totals;
  int64_t total = 0;
  for (int i = 0; i < size; ++i) {
    digits.push_back(stream.Int(0, 9));
    total = (total + digits.back()) % 10;
    totals.push_back(total);
  }
  GeneratedProblem problem;
  problem.prompt = absl::StrCat(absl::StrJoin(digits, "+"), " mod 10 = ");
  problem.answer = absl::StrCat(total);
  problem.verifier = "math";
  problem.response =
      WrittenSolution(think, absl::StrJoin(totals, " "), Boxed(problem.answer));
  std::sort(digits.begin(), digits.end());
  problem.canonical = absl::StrJoin(digits, "+");  // Whatever their order.
  return problem;
}

}  // namespace

Task QuickstartMathTask() {
  return {
      "quickstart_math",   "sums of digits modulo 10; size: how many digits",
      /*smallest_size=*/2, /*largest_size=*/50,
      /*min_size=*/6,      /*max_size=*/8,
      MakeQuickstartMath};
}

}  // namespace ponder
