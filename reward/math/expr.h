// The meaning of a written answer as a tree.
//
// Nodes live in one arena, which the gold answer and the response's answer
// share, so that the same symbol has the same number in both.

#ifndef PONDER_REWARD_MATH_EXPR_H_
#define PONDER_REWARD_MATH_EXPR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "reward/math/limits.h"
#include "reward/math/rational.h"

namespace ponder::math {

enum class Op : uint8_t {
  // Scalars.
  kNumber,  // value: of Arena::number(). flag: kDecimal.
  kSymbol,  // value: of Arena::name().
  kPi,
  kEuler,      // e
  kImaginary,  // i
  kInfinity,
  kAdd,        // [a, b, ...]
  kMul,        // [a, b, ...]
  kDiv,        // [a, b]
  kPow,        // [base, exponent]
  kRoot,       // [radicand, index]: the real root where there is one.
  kFunction,   // [arguments]; value: Function.
  kApply,      // [arguments] of a function without meaning; value: its name.
  kPlusMinus,  // [a]: +a and -a. flag: 1 for \mp.
  kSum,        // [body, variable, from, to]; kProduct the same.
  kProduct,
  kIntegral,  // [body, variable] or [body, variable, from, to].
  kLimit,     // [body, variable, point]
  // Scalars with a way of writing.
  kPercent,  // [a]
  kDegree,   // [a]
  kUnit,     // [a]; value: name of the unit.
  kBased,    // [digits, base]: 204_5. value: name of the digits.
  kRatio,    // [a, b, ...]: a:b
  // Collections and statements.
  kTuple,       // Brackets ( or [, ) or ]; flag: kOpenClosed, kCloseClosed.
  kList,        // Without brackets; unordered.
  kSet,         // {}; unordered.
  kSetBuilder,  // [variable, condition]
  kNamedSet,    // value: name of "R", "Z", ...
  kUnion,       // [a, b]; kIntersection, kSetMinus the same.
  kIntersection,
  kSetMinus,
  kMatrix,      // Row by row; value: number of columns.
  kRelation,    // [a, b, ...]; value: three bits a Relation.
  kMember,      // [a, set]: a \in set.
  kCongruence,  // [a, b, modulus]
  kEllipsis,
};

enum Flag : uint8_t {
  kDecimal = 1,        // kNumber: written with a decimal point.
  kInWords = 2,        // kNumber: written as a word.
  kOpenClosed = 2,     // kTuple: [
  kCloseClosed = 4,    // kTuple: ]
  kOpenReal = 8,       // kTuple: ]a, b[ can only be an interval.
  kAutoNumber = 16,    // kNumber: a literal without a point.
  kAlternatives = 32,  // kList: with "or".
  kConjunction = 64,   // kList: with "and".
  kApproximate = 128,  // kRelation: \approx.
};

enum class Relation : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe };

// Of a < b the relation of b to a: >.
Relation Reversed(Relation relation);

enum class Function : uint8_t {
  kSin,
  kCos,
  kTan,
  kCot,
  kSec,
  kCsc,
  kArcsin,
  kArccos,
  kArctan,
  kArccot,
  kArcsec,
  kArccsc,
  kSinh,
  kCosh,
  kTanh,
  kCoth,
  kSech,
  kCsch,
  kArsinh,
  kArcosh,
  kArtanh,
  kArcoth,
  kArsech,
  kArcsch,
  kExp,
  kLn,
  kLog,  // kLog: [x, base]
  kAbs,
  kFloor,
  kCeil,
  kFactorial,
  kDoubleFactorial,
  kBinomial,
  kGcd,
  kLcm,
  kMod,
  kMax,
  kMin,
  kSign,
  kRe,
  kIm,
  kDet,
  kNorm,
};

using Id = int32_t;
inline constexpr Id kNoId = -1;

struct Node {
  Op op;
  uint8_t flag = 0;
  int32_t value = 0;
  int32_t first = 0;  // Of the children.
  int32_t count = 0;
};

// Owns nodes. Not thread-safe.
class Arena {
 public:
  Id Make(Op op, absl::Span<const Id> children, int32_t value = 0,
          uint8_t flag = 0);
  Id Make(Op op) { return Make(op, {}); }
  Id MakeNumber(Rational number, uint8_t flag = 0);
  Id MakeNumber(int64_t number) { return MakeNumber(Rational(number)); }
  Id MakeSymbol(absl::string_view name) {
    return Make(Op::kSymbol, {}, Name(name));
  }
  Id MakeFunction(Function function, absl::Span<const Id> arguments) {
    return Make(Op::kFunction, arguments, static_cast<int32_t>(function));
  }
  Id MakeNeg(Id a) { return Make(Op::kMul, {MakeNumber(-1), a}); }

  const Node& node(Id id) const { return nodes_[id]; }
  Op op(Id id) const { return nodes_[id].op; }
  bool Is(Id id, Op op) const { return nodes_[id].op == op; }
  bool Is(Id id, Function function) const {
    return Is(id, Op::kFunction) &&
           nodes_[id].value == static_cast<int32_t>(function);
  }
  absl::Span<const Id> children(Id id) const {
    return absl::MakeSpan(children_).subspan(nodes_[id].first,
                                             nodes_[id].count);
  }
  Id child(Id id, int k) const { return children_[nodes_[id].first + k]; }
  const Rational& number(Id id) const { return numbers_[nodes_[id].value]; }
  const std::string& name(Id id) const { return names_[nodes_[id].value]; }
  Relation relation(Id id, int k) const {
    return static_cast<Relation>((nodes_[id].value >> (3 * k)) & 7);
  }

  // The number of a name.
  int32_t Name(absl::string_view name);
  const std::string& NameOf(int32_t number) const { return names_[number]; }
  size_t num_nodes() const { return nodes_.size(); }

  // The same nodes in the same places. Ways of writing a number do not count.
  bool SameTree(Id a, Id b) const;
  // True if a node of this kind is in it.
  bool Contains(Id id, Op op) const;
  // A copy in which `replacement` stands for symbol number `name`.
  Id Substitute(Id id, int32_t name, Id replacement);

 private:
  std::vector<Node> nodes_;
  std::vector<Id> children_;
  std::vector<Rational> numbers_;
  std::vector<std::string> names_;
  absl::flat_hash_map<std::string, int32_t> numbers_of_names_;
};

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_EXPR_H_
