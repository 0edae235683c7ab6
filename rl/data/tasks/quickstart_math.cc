// The quickstart's maths: a chain of +, - and * on small numbers, worked from
// left to right as on a pocket calculator, modulo 7. Hard at a glance, easy
// with running totals.

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "rl/data/tasks/task.h"

namespace ponder {
namespace {

constexpr int64_t kModulus = 7;

// An operation and its number; the first number counts as added to nothing.
using Term = std::pair<char, int64_t>;

// One of three families, equally often: sums; sums and differences with at
// least one minus; all three operations with at least one product.
std::vector<char> DrawOperations(int count, RandomStream& stream) {
  static constexpr char kOperations[] = {'+', '-', '*'};
  const int64_t family = stream.Int(0, 2);
  std::vector<char> operations;
  do {
    operations.clear();
    for (int i = 0; i < count; ++i) {
      operations.push_back(kOperations[stream.Int(0, family)]);
    }
  } while (family > 0 && std::count(operations.begin(), operations.end(),
                                    kOperations[family]) == 0);
  return operations;
}

// Terms that may trade places do not tell problems apart: those of one run of
// sums and differences, or of one run of products.
std::string Canonical(std::vector<Term> terms) {
  std::string canonical;
  auto begin = terms.begin();
  while (begin != terms.end()) {
    const bool product = begin->first == '*';
    const auto end = std::find_if(begin, terms.end(), [&](const Term& term) {
      return (term.first == '*') != product;
    });
    std::sort(begin, end);
    for (; begin != end; ++begin) {
      absl::StrAppend(&canonical, std::string(1, begin->first), begin->second);
    }
    canonical += '|';
  }
  return canonical;
}

GeneratedProblem MakeQuickstartMath(int size, bool think,
                                    RandomStream& stream) {
  std::vector<Term> terms = {{'+', stream.Int(0, kModulus - 1)}};
  for (const char operation : DrawOperations(size - 1, stream)) {
    terms.push_back(
        {operation, stream.Int(operation == '*' ? 2 : 1, kModulus - 1)});
  }
  std::string expression;
  std::vector<int64_t> totals;
  int64_t total = 0;
  for (const auto& [operation, number] : terms) {
    if (!expression.empty()) expression += operation;
    absl::StrAppend(&expression, number);
    if (operation == '+') total += number;
    if (operation == '-') total += kModulus - number;
    if (operation == '*') total *= number;
    total %= kModulus;
    totals.push_back(total);
  }
  GeneratedProblem problem;
  problem.prompt = absl::StrCat("mod ", kModulus, ": ", expression);
  problem.answer = absl::StrCat(total);
  problem.verifier = "math";
  problem.response =
      WrittenSolution(think, absl::StrJoin(totals, ","), Boxed(problem.answer));
  problem.canonical = Canonical(std::move(terms));
  return problem;
}

}  // namespace

Task QuickstartMathTask() {
  return {
      "quickstart_math",
      "chains of + - * from left to right, modulo 7; size: how many numbers",
      /*smallest_size=*/2,
      /*largest_size=*/50,
      /*min_size=*/8,
      /*max_size=*/8,
      MakeQuickstartMath};
}

}  // namespace ponder
