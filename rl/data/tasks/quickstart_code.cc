// The quickstart's code: a Python function that returns its arguments after a
// row of swaps. Hard at a glance, easy if the order is kept after each swap.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "rl/data/tasks/task.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kArguments = 4;
constexpr int kHiddenTests = 3;

GeneratedProblem MakeQuickstartCode(int size, bool think,
                                    RandomStream& stream) {
  std::string order = "abcd";
  std::vector<std::string> swaps;
  std::vector<std::string> orders;
  for (int i = 0; i < size; ++i) {
    const int64_t first = stream.Int(0, kArguments - 1);
    const int64_t second = (first + stream.Int(1, kArguments - 1)) % kArguments;
    const int64_t low = std::min(first, second);
    const int64_t high = std::max(first, second);
    swaps.push_back(absl::StrCat(low + 1, high + 1));
    std::swap(order[static_cast<size_t>(low)],
              order[static_cast<size_t>(high)]);
    orders.push_back(order);
  }
  GeneratedProblem problem;
  problem.prompt =
      absl::StrCat("f(a,b,c,d) swap ", absl::StrJoin(swaps, " "), ": ");
  problem.verifier = "code";
  problem.response = WrittenSolution(
      think, absl::StrJoin(orders, " "),
      absl::StrCat("def f(a,b,c,d): return ", order.substr(0, 1), ",",
                   order.substr(1, 1), ",", order.substr(2, 1), ",",
                   order.substr(3, 1)));
  problem.canonical = absl::StrJoin(swaps, " ");

  Json hidden = Json::array();
  for (int test = 0; test < kHiddenTests; ++test) {
    std::vector<int64_t> numbers = {1, 2, 3, 4};
    for (int64_t& number : numbers) number += 4 * stream.Int(0, 24);
    Json args = numbers;
    Json expected = Json::array();
    for (const char name : order) expected.push_back(args[name - 'a']);
    hidden.push_back(Json::array({args, expected}));
  }
  problem.tests["kind"] = "call";
  problem.tests["fn"] = "f";
  problem.tests["visible"] = Json::array();
  problem.tests["hidden"] = hidden;
  return problem;
}

}  // namespace

Task QuickstartCodeTask() {
  return {"quickstart_code",
          "a Python function that swaps its arguments; size: how many swaps",
          /*smallest_size=*/1,
          /*largest_size=*/50,
          /*min_size=*/4,
          /*max_size=*/6,
          MakeQuickstartCode};
}

}  // namespace ponder
