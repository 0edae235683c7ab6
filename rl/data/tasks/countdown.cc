// Countdown: combine all the given numbers to a target.

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

constexpr int64_t kLargestNumber = 50;
constexpr int64_t kLargestResult = 999;

struct Operand {
  int64_t value;
  std::string text;  // With parentheses where it is an operation.
};

// `a op b`, or a value of -1 where the game does not allow it: every result is
// a positive integer, and what changes nothing (x * 1) is no step.
int64_t Combine(int64_t a, char op, int64_t b) {
  int64_t result = -1;
  if (op == '+') result = a + b;
  if (op == '-' && a > b) result = a - b;
  if (op == '*' && a > 1 && b > 1) result = a * b;
  if (op == '/' && b > 1 && a % b == 0) result = a / b;
  return result > kLargestResult ? -1 : result;
}

struct Expression {
  int64_t target = 0;
  std::string text;
  std::string steps;  // One operation a line.
};

// Combines random pairs until one number is left, so that the expression uses
// every number once.
Expression BuildExpression(const std::vector<int64_t>& numbers,
                           RandomStream& stream) {
  std::vector<Operand> operands;
  for (const int64_t number : numbers) {
    operands.push_back({number, absl::StrCat(number)});
  }
  Expression expression;
  while (operands.size() > 1) {
    stream.Shuffle(operands);
    const Operand b = operands.back();
    operands.pop_back();
    const Operand a = operands.back();
    operands.pop_back();
    // Addition always ends the search: small enough results stay small.
    std::string signs = "+-*/";
    stream.Shuffle(signs);
    int64_t result = -1;
    char used = '+';
    for (const char op : signs) {
      result = Combine(a.value, op, b.value);
      used = op;
      if (result > 0) break;
    }
    if (result <= 0) return {};
    const std::string text =
        absl::StrCat(a.text, " ", std::string(1, used), " ", b.text);
    absl::StrAppend(&expression.steps, expression.steps.empty() ? "" : "\n",
                    a.value, " ", std::string(1, used), " ", b.value, " = ",
                    result);
    operands.push_back(
        {result, operands.empty() ? text : absl::StrCat("(", text, ")")});
  }
  expression.target = operands[0].value;
  expression.text = operands[0].text;
  return expression;
}

GeneratedProblem MakeCountdown(int size, bool think, RandomStream& stream) {
  std::vector<int64_t> numbers;
  Expression expression;
  while (expression.target == 0) {
    numbers.clear();
    for (int i = 0; i < size; ++i) {
      numbers.push_back(stream.Int(1, kLargestNumber));
    }
    expression = BuildExpression(numbers, stream);
  }
  std::vector<int64_t> sorted = numbers;
  std::sort(sorted.begin(), sorted.end());

  GeneratedProblem problem;
  problem.prompt = absl::StrCat(
      "Combine the numbers ", absl::StrJoin(numbers, ", "), " with +, -, *, / ",
      "and parentheses to get ", expression.target, ". Use each number ",
      "exactly once. Write the expression in \\boxed{}.");
  problem.answer = absl::StrCat(expression.target);
  problem.verifier = "countdown";
  problem.columns["target"] = expression.target;
  problem.columns["numbers"] = numbers;
  problem.response =
      WrittenSolution(think, expression.steps, Boxed(expression.text));
  problem.canonical =
      absl::StrCat(absl::StrJoin(sorted, " "), " = ", expression.target);
  return problem;
}

}  // namespace

Task CountdownTask() {
  return {"countdown",
          "combine the given numbers to a target; size: how many numbers",
          /*smallest_size=*/2,
          /*largest_size=*/8,
          /*min_size=*/3,
          /*max_size=*/4,
          MakeCountdown};
}

}  // namespace ponder
