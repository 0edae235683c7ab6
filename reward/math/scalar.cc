#include "reward/math/scalar.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "flint/fmpq.h"
#include "reward/math/ball.h"
#include "reward/math/exact.h"
#include "reward/math/modular.h"

namespace ponder::math {
namespace {

constexpr int64_t kFirstBits = 256;
constexpr int64_t kLastBits = 640;
constexpr int kMinPoints = 3;

uint64_t Hash(uint64_t x) {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
  return x ^ (x >> 33);
}

uint64_t HashName(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return hash;
}

// What a point's values are.
struct PointKind {
  int64_t low;     // In 1 / 65536.
  int64_t spread;  // Values are from low to low + spread.
  enum { kPositive, kNegative, kMixed, kInteger } sign;
};

constexpr int64_t kOne = 65536;
constexpr PointKind kPointKinds[] = {
    {kOne / 4, 3 * kOne, PointKind::kPositive},
    {kOne / 8, 3 * kOne, PointKind::kNegative},
    {kOne / 8, 4 * kOne, PointKind::kMixed},
    {0, kOne, PointKind::kPositive},
    {2 * kOne, 16 * kOne, PointKind::kPositive},
    {20 * kOne, 500 * kOne, PointKind::kPositive},
    {20 * kOne, 500 * kOne, PointKind::kNegative},
    {kOne, 9 * kOne, PointKind::kInteger},
    {kOne, 40 * kOne, PointKind::kInteger},
    {100'000 * kOne, 100'000 * kOne, PointKind::kMixed},
    // Only if those before were not in a domain.
    {kOne / 4, 2 * kOne, PointKind::kPositive},
    {kOne / 16, kOne / 2, PointKind::kMixed},
    {kOne, 8 * kOne, PointKind::kPositive},
    {3 * kOne, 30 * kOne, PointKind::kMixed},
    {0, kOne, PointKind::kNegative},
    {kOne / 2, kOne, PointKind::kPositive},
};
constexpr int kMaxPoints = std::size(kPointKinds);
constexpr int kAllPoints = 10;  // Looked at in any case.

// Natural numbers, small ones first.
constexpr int64_t kNaturalNumbers[] = {2, 3, 5,  4,  7,  9,  12, 15,
                                       1, 6, 20, 26, 33, 41, 8,  60};

// A value for symbol number `index`, named `name`, at point number `point`.
Rational PointValue(const std::string& name, int index, int point,
                    bool integers) {
  const uint64_t hash = Hash(HashName(name) + 977u * (point + 1));
  if (integers) {
    // Not the same for each of several symbols.
    return Rational(kNaturalNumbers[(point + 5 * index) % kMaxPoints]);
  }
  const PointKind& kind = kPointKinds[point];
  int64_t numerator =
      (kind.low +
       static_cast<int64_t>(hash % static_cast<uint64_t>(kind.spread))) |
      1;
  const bool negative = kind.sign == PointKind::kNegative ||
                        (kind.sign == PointKind::kMixed && (index + point) % 2);
  if (kind.sign == PointKind::kInteger) numerator &= ~(kOne - 1);
  if (negative) numerator = -numerator;
  Rational value(numerator);
  const Rational scale(kOne);
  fmpq_div(value.get(), value.get(), scale.get());
  return value;
}

Bindings PointFor(const Arena& arena, const std::vector<int32_t>& names,
                  int point, bool integers) {
  Bindings bindings;
  for (size_t k = 0; k < names.size(); ++k) {
    bindings.emplace_back(
        names[k], PointValue(arena.NameOf(names[k]), static_cast<int>(k), point,
                             integers));
  }
  return bindings;
}

void Collect(const Arena& arena, Id id, std::vector<int32_t>* bound,
             std::vector<int32_t>* names) {
  const Node& node = arena.node(id);
  if (node.op == Op::kSymbol) {
    const bool is_bound =
        std::find(bound->begin(), bound->end(), node.value) != bound->end();
    if (!is_bound &&
        std::find(names->begin(), names->end(), node.value) == names->end()) {
      names->push_back(node.value);
    }
    return;
  }
  const bool binds = node.op == Op::kSum || node.op == Op::kProduct ||
                     node.op == Op::kIntegral || node.op == Op::kLimit;
  const absl::Span<const Id> parts = arena.children(id);
  if (binds) {
    bound->push_back(arena.node(parts[1]).value);
    Collect(arena, parts[0], bound, names);
    bound->pop_back();
    for (size_t k = 2; k < parts.size(); ++k) {
      Collect(arena, parts[k], bound, names);
    }
    return;
  }
  for (const Id part : parts) Collect(arena, part, bound, names);
}

// Outcome of two balls. `bits`: what counts as close enough to be the same.
Outcome CompareBalls(const Ball& a, const Ball& b, int64_t bits) {
  if (!acb_overlaps(a.get(), b.get())) return Outcome::kDifferent;
  Ball difference;
  acb_sub(difference.get(), a.get(), b.get(), 64);
  // The largest that |a - b| can be, against the size of a and b.
  mag_t error;
  mag_t size;
  mag_init(error);
  mag_init(size);
  acb_get_mag(error, difference.get());
  acb_get_mag(size, a.get());
  if (mag_cmp_2exp_si(size, 0) < 0) mag_one(size);
  mag_mul_2exp_si(size, size, -bits);
  const bool close = mag_cmp(error, size) <= 0;
  mag_clear(error);
  mag_clear(size);
  return close ? Outcome::kSame : Outcome::kUndecided;
}

Outcome SameConstants(const Arena& arena, Id a, Id b, Budget* budget) {
  const bool integral =
      arena.Contains(a, Op::kIntegral) || arena.Contains(b, Op::kIntegral);
  Outcome outcome = Outcome::kUndecided;
  for (const int64_t bits : {kFirstBits, kLastBits}) {
    const Ball x = BallValue(arena, a, {}, Field::kComplex, bits, budget);
    const Ball y = BallValue(arena, b, {}, Field::kComplex, bits, budget);
    if (budget->exhausted()) return Outcome::kBeyond;
    if (!x.is_finite() || !y.is_finite()) return Outcome::kUndefined;
    // A square root of what is zero has half of the bits.
    outcome = CompareBalls(x, y, integral ? 60 : bits * 2 / 5);
    if (outcome == Outcome::kDifferent || integral) return outcome;
  }
  return outcome;
}

// Contains something that has its usual meaning for integers only.
bool IsOfIntegers(const Arena& arena, Id id) {
  const Node& node = arena.node(id);
  if (node.op == Op::kFunction) {
    const auto function = static_cast<Function>(node.value);
    if (function == Function::kFactorial || function == Function::kBinomial ||
        function == Function::kDoubleFactorial) {
      return true;
    }
  }
  if (node.op == Op::kSum || node.op == Op::kProduct) return true;
  if (node.op == Op::kPow) {
    const Id base = arena.child(id, 0);
    const bool negative =
        (arena.Is(base, Op::kNumber) && arena.number(base).sign() < 0) ||
        (arena.Is(base, Op::kMul) &&
         arena.Is(arena.child(base, 0), Op::kNumber) &&
         arena.number(arena.child(base, 0)).sign() < 0 &&
         arena.node(base).count == 2 &&
         arena.Is(arena.child(base, 1), Op::kNumber));
    if (negative && !arena.Is(arena.child(id, 1), Op::kNumber)) return true;
  }
  const absl::Span<const Id> parts = arena.children(id);
  return std::any_of(parts.begin(), parts.end(),
                     [&](Id part) { return IsOfIntegers(arena, part); });
}

// At points: the same at all where both are defined, and real unless i is in
// one of them.
Outcome SameAtPoints(const Arena& arena, Id a, Id b,
                     const std::vector<int32_t>& names, bool integers,
                     Budget* budget) {
  const Field field =
      arena.Contains(a, Op::kImaginary) || arena.Contains(b, Op::kImaginary)
          ? Field::kComplex
          : Field::kReal;
  int valid = 0;
  // More points if some are outside of a domain.
  for (int point = 0; point < kMaxPoints &&
                      (point < kAllPoints || integers || valid < kMinPoints);
       ++point) {
    const Bindings bindings = PointFor(arena, names, point, integers);
    const Ball x = BallValue(arena, a, bindings, field, kFirstBits, budget);
    const Ball y = BallValue(arena, b, bindings, field, kFirstBits, budget);
    if (budget->exhausted()) return Outcome::kBeyond;
    if (!x.is_finite() || !y.is_finite()) continue;
    switch (CompareBalls(x, y, kFirstBits / 4)) {
      case Outcome::kSame:
        ++valid;
        break;
      case Outcome::kDifferent:
        return Outcome::kDifferent;
      default:
        break;
    }
  }
  return valid >= kMinPoints ? Outcome::kSame : Outcome::kUndecided;
}

// Modulo primes; nothing if that decides nothing.
std::optional<Outcome> SameModulo(const Arena& arena, Id a, Id b,
                                  Budget* budget) {
  const double degree =
      std::max(2.0, DegreeBound(arena, a) + DegreeBound(arena, b));
  const double bits = 61.0 - std::log2(degree);
  if (bits < 16) return std::nullopt;
  const int rounds = static_cast<int>(std::ceil(64.0 / bits));
  int done = 0;
  int divided = 0;
  for (int round = 0; round < kNumPrimes && done < rounds; ++round) {
    const uint64_t seed = Hash(0x5eed + round);
    ModularEvaluator evaluator(arena, round, seed, budget);
    const std::optional<uint64_t> x = evaluator.Of(a);
    const std::optional<uint64_t> y =
        x.has_value() ? evaluator.Of(b) : std::nullopt;
    if (budget->exhausted()) return Outcome::kBeyond;
    if (!x.has_value() || !y.has_value()) {
      if (!evaluator.divided_by_zero()) return std::nullopt;
      if (++divided < 3) continue;
      // Zero modulo several primes is zero.
      return evaluator.met_opaque() ? std::nullopt
                                    : std::optional(Outcome::kUndefined);
    }
    if (*x != *y) {
      if (evaluator.met_opaque()) return std::nullopt;
      return Outcome::kDifferent;
    }
    ++done;
  }
  if (done < rounds) return std::nullopt;
  return Outcome::kSame;
}

}  // namespace

void CollectSymbols(const Arena& arena, Id id, std::vector<int32_t>* names) {
  std::vector<int32_t> bound;
  Collect(arena, id, &bound, names);
}

Outcome SameScalar(const Arena& arena, Id a, Id b, Budget* budget) {
  {
    const std::optional<Rational> x = ExactValue(arena, a, budget);
    if (x.has_value()) {
      const std::optional<Rational> y = ExactValue(arena, b, budget);
      if (y.has_value()) {
        return *x == *y ? Outcome::kSame : Outcome::kDifferent;
      }
    }
  }
  if (budget->exhausted()) return Outcome::kBeyond;
  const std::optional<Outcome> modulo = SameModulo(arena, a, b, budget);
  if (modulo.has_value()) return *modulo;
  std::vector<int32_t> names;
  CollectSymbols(arena, a, &names);
  CollectSymbols(arena, b, &names);
  if (names.empty()) return SameConstants(arena, a, b, budget);
  const Outcome real = SameAtPoints(arena, a, b, names, false, budget);
  if (real == Outcome::kSame || real == Outcome::kBeyond) return real;
  if (IsOfIntegers(arena, a) || IsOfIntegers(arena, b)) {
    return SameAtPoints(arena, a, b, names, true, budget);
  }
  return real;
}

Outcome SameUpToFactor(const Arena& arena, Id a, Id b, bool positive,
                       Budget* budget) {
  std::vector<int32_t> names;
  CollectSymbols(arena, a, &names);
  CollectSymbols(arena, b, &names);
  // 1 = 2 says nothing.
  if (names.empty()) return Outcome::kDifferent;
  // The factor at one point after another.
  std::optional<Ball> factor;
  int valid = 0;
  for (int point = 0;
       point < kMaxPoints && (point < kAllPoints || valid < kMinPoints);
       ++point) {
    const Bindings bindings = PointFor(arena, names, point, false);
    const Ball x =
        BallValue(arena, a, bindings, Field::kReal, kFirstBits, budget);
    const Ball y =
        BallValue(arena, b, bindings, Field::kReal, kFirstBits, budget);
    if (budget->exhausted()) return Outcome::kBeyond;
    if (!x.is_finite() || !y.is_finite()) continue;
    const bool zero_x = acb_contains_zero(x.get());
    const bool zero_y = acb_contains_zero(y.get());
    if (zero_x != zero_y) return Outcome::kDifferent;
    if (zero_x) continue;
    Ball ratio;
    acb_div(ratio.get(), x.get(), y.get(), kFirstBits);
    if (positive && !arb_is_positive(ratio.re())) return Outcome::kDifferent;
    if (factor.has_value()) {
      const Outcome same = CompareBalls(*factor, ratio, kFirstBits / 4);
      if (same == Outcome::kDifferent) return same;
      if (same != Outcome::kSame) continue;
    }
    factor = std::move(ratio);
    ++valid;
  }
  if (!factor.has_value()) return Outcome::kDifferent;  // 0 = 0
  return valid >= kMinPoints ? Outcome::kSame : Outcome::kUndecided;
}

bool HasValue(const Arena& arena, Id id, Budget* budget) {
  if (ExactValue(arena, id, budget).has_value()) return true;
  std::vector<int32_t> names;
  CollectSymbols(arena, id, &names);
  if (names.empty()) {
    return BallValue(arena, id, {}, Field::kComplex, kFirstBits, budget)
        .is_finite();
  }
  const Field field =
      arena.Contains(id, Op::kImaginary) ? Field::kComplex : Field::kReal;
  for (const bool integers : {false, true}) {
    if (integers && !IsOfIntegers(arena, id)) break;
    for (int point = 0; point < kMaxPoints; ++point) {
      const Bindings bindings = PointFor(arena, names, point, integers);
      if (BallValue(arena, id, bindings, field, kFirstBits, budget)
              .is_finite()) {
        return true;
      }
    }
  }
  return false;
}

std::optional<int> SignOf(const Arena& arena, Id id, Budget* budget) {
  const std::optional<Rational> exact = ExactValue(arena, id, budget);
  if (exact.has_value()) return exact->sign();
  const Ball ball =
      BallValue(arena, id, {}, Field::kComplex, kFirstBits, budget);
  if (!ball.is_finite() || !ball.is_real()) return std::nullopt;
  if (arb_is_positive(ball.re())) return 1;
  if (arb_is_negative(ball.re())) return -1;
  mag_t error;
  mag_init(error);
  acb_get_mag(error, ball.get());
  const bool zero = mag_cmp_2exp_si(error, -kFirstBits / 2) < 0;
  mag_clear(error);
  return zero ? std::optional(0) : std::nullopt;
}

bool CloseAsDecimals(const Arena& arena, Id a, Id b, int rounding,
                     Budget* budget) {
  const auto value = [&](Id id) -> std::optional<Rational> {
    std::optional<Rational> exact = ExactValue(arena, id, budget);
    if (exact.has_value()) return exact;
    // The midpoint is good for far more decimals than are asked for.
    const Ball ball =
        BallValue(arena, id, {}, Field::kComplex, kFirstBits, budget);
    if (!ball.is_finite() || !ball.is_real()) return std::nullopt;
    // Written out, a number such as 2^-10^10 would fill the memory.
    if (arf_cmpabs_2exp_si(arb_midref(ball.re()), 500) > 0 ||
        arf_cmpabs_2exp_si(arb_midref(ball.re()), -500) < 0) {
      return std::nullopt;
    }
    Rational middle;
    arf_get_fmpq(middle.get(), arb_midref(ball.re()));
    return middle;
  };
  const std::optional<Rational> x = value(a);
  const std::optional<Rational> y = value(b);
  if (!x.has_value() || !y.has_value()) return false;
  // To the nearest integer of 10^rounding * x, halves up.
  const auto rounded = [&](const Rational& number) {
    Rational scaled;
    TenToThe(&scaled, static_cast<unsigned>(rounding));
    fmpq_mul(scaled.get(), scaled.get(), number.get());
    Rational half(1);
    fmpz_set_ui(half.den(), 2);
    fmpq_add(scaled.get(), scaled.get(), half.get());
    Rational integer;
    fmpz_fdiv_q(integer.num(), scaled.num(), scaled.den());
    return integer;
  };
  if (!(rounded(*x) == rounded(*y))) return false;
  Rational difference;
  fmpq_sub(difference.get(), x->get(), y->get());
  fmpq_abs(difference.get(), difference.get());
  const Rational thousand(1000);
  fmpq_mul(difference.get(), difference.get(), thousand.get());
  Rational larger = *x;
  fmpq_abs(larger.get(), larger.get());
  Rational other = *y;
  fmpq_abs(other.get(), other.get());
  if (fmpq_cmp(other.get(), larger.get()) > 0) larger = other;
  return fmpq_cmp(difference.get(), larger.get()) <= 0;
}

}  // namespace ponder::math
