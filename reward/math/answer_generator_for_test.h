// Random answers for property tests and fuzzing: trees that are written in one
// of many equivalent ways, or with one thing in them changed.

#ifndef PONDER_REWARD_MATH_ANSWER_GENERATOR_FOR_TEST_H_
#define PONDER_REWARD_MATH_ANSWER_GENERATOR_FOR_TEST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ponder::math {

// A term or an answer.
struct Term {
  enum class Kind {
    kInteger,
    kFraction,
    kDecimal,  // number / 1, / denominator, / 100
    kPi,
    kVariable,
    kSum,
    kProduct,
    kQuotient,
    kPower,
    kNegated,
    kSquareRoot,
    kSine,
    kCosine,
    kLogarithm,
    kAbsolute,
    kTuple,
    kSet,
    kInterval,
    kUnion,
    kEquation,
    kInequality,
    kMatrix,
  };
  Kind kind = Kind::kInteger;
  int64_t number = 0;
  int64_t denominator = 1;
  char name = 'x';           // kVariable
  bool open_closed = false;  // kInterval: [
  bool close_closed = false;
  int relation = 0;  // kInequality: < <= > >=
  std::vector<Term> parts;
};

// Draws from any source of numbers in [0, bound): a generator, or a fuzzer's
// bytes.
class AnswerGenerator {
 public:
  explicit AnswerGenerator(std::function<uint32_t(uint32_t bound)> draw)
      : draw_(std::move(draw)) {}

  // A scalar, a list, an interval, an equation, ...
  Term Answer();
  // A number or an expression with variables.
  Term Scalar(int depth);

  // The same answer, transformed by rules of algebra.
  Term Rewritten(const Term& term, int depth = 0);

  // With one number, sign, variable, bracket, relation or order changed.
  // Whether that means something else, DiffersInValue() tells.
  Term NearMiss(const Term& term);

  // In LaTeX or plain, with random spaces, brackets and spellings.
  std::string Written(const Term& term);

 private:
  bool Chance(uint32_t in) { return draw_(in) == 0; }
  Term Number();
  Term Constant(int depth);
  std::string Space();
  std::string Factor(const Term& term);
  std::string Group(const std::string& inside);
  int CountLeaves(const Term& term) const;
  bool ChangeLeaf(Term* term, int* index);

  std::function<uint32_t(uint32_t)> draw_;
};

// True if the two differ for certain: in shape, in brackets, or by more than
// rounding at one of several points. By floating point, and so independent of
// what is tested.
bool DiffersInValue(const Term& a, const Term& b);

// True if it has a finite value at several points.
bool IsDefined(const Term& term);

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_ANSWER_GENERATOR_FOR_TEST_H_
