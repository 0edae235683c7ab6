// The quickstart's code: a Python function that returns the argument that is
// held after a row of swaps. "f(a,b,c,d): c bc ad ab" starts with c; at each
// pair that has the held letter, the other letter is held from then on. Hard at
// a glance, easy if the held letter is kept after each pair.

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

constexpr char kLetters[] = "abcd";
constexpr int kHiddenTests = 3;

std::string Letter(int64_t i) { return std::string(1, kLetters[i]); }

// A pair of different letters in alphabetical order.
std::string DrawPair(RandomStream& stream) {
  const int64_t first = stream.Int(0, 3);
  const int64_t second = (first + stream.Int(1, 3)) % 4;
  return Letter(std::min(first, second)) + Letter(std::max(first, second));
}

// Pairs without a common letter may trade places.
std::string Canonical(const std::string& start,
                      std::vector<std::string> pairs) {
  for (size_t end = pairs.size(); end > 1; --end) {
    for (size_t i = 0; i + 1 < end; ++i) {
      const bool apart =
          pairs[i].find_first_of(pairs[i + 1]) == std::string::npos;
      if (apart && pairs[i + 1] < pairs[i]) std::swap(pairs[i], pairs[i + 1]);
    }
  }
  return absl::StrCat(start, " ", absl::StrJoin(pairs, " "));
}

GeneratedProblem MakeQuickstartCode(int size, bool think,
                                    RandomStream& stream) {
  std::string held = Letter(stream.Int(0, 3));
  const std::string start = held;
  std::vector<std::string> pairs;
  std::vector<std::string> trace = {held};
  while (static_cast<int>(pairs.size()) < size) {
    const std::string pair = DrawPair(stream);
    if (!pairs.empty() && pair == pairs.back()) continue;  // Would undo it.
    if (pair[0] == held[0]) {
      held = pair[1];
    } else if (pair[1] == held[0]) {
      held = pair[0];
    }
    pairs.push_back(pair);
    trace.push_back(held);
  }
  GeneratedProblem problem;
  problem.prompt =
      absl::StrCat("f(a,b,c,d): ", start, " ", absl::StrJoin(pairs, " "));
  problem.verifier = "code";
  problem.response =
      WrittenSolution(think, absl::StrJoin(trace, "->"),
                      absl::StrCat("def f(a,b,c,d):return ", held));
  problem.canonical = Canonical(start, std::move(pairs));

  // Four different numbers a test: a wrong letter never passes.
  Json hidden = Json::array();
  for (int test = 0; test < kHiddenTests; ++test) {
    std::vector<int64_t> numbers = {1, 2, 3, 4};
    for (int64_t& number : numbers) number += 4 * stream.Int(0, 24);
    hidden.push_back(Json::array({Json(numbers), numbers[held[0] - 'a']}));
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
          "a Python function that follows an argument through swaps; size: how "
          "many swaps",
          /*smallest_size=*/1,
          /*largest_size=*/50,
          /*min_size=*/7,
          /*max_size=*/7,
          MakeQuickstartCode};
}

}  // namespace ponder
