#include "reward/math/modular.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "flint/fmpz.h"
#include "reward/math/limits.h"

namespace ponder::math {
namespace {

using Value = std::optional<uint64_t>;

struct Prime {
  uint64_t p;
  uint64_t i;  // i * i = -1 (mod p)
};

constexpr Prime kPrimes[kNumPrimes] = {
    {3718366891142987381u, 850412287352429847u},
    {3336046473078811501u, 3007252819733944189u},
    {2946051903695140973u, 887348289172712148u},
    {4212165894499588577u, 4148923077023772354u},
    {2829384264200239457u, 412381669140051241u},
    {3972512673918921917u, 3710674779376570512u},
    {3066813557898097361u, 1169962856203914313u},
    {2812619659344797053u, 842717107763959285u},
    {3551056618463069453u, 945325750656055699u},
    {4604205988024592561u, 1096610661650553657u},
    {3466034479775978317u, 3028153518859252234u},
    {3578797711654338377u, 1427878324694060132u},
};

// Steele, Lea, Flood 2014: splitmix64's finaliser.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

ModularEvaluator::ModularEvaluator(const Arena& arena, int prime, uint64_t seed,
                                   Budget* budget)
    : arena_(arena),
      p_(kPrimes[prime].p),
      i_(kPrimes[prime].i),
      seed_(seed),
      budget_(*budget) {}

uint64_t ModularEvaluator::Random(uint64_t a, uint64_t b) const {
  return Mix(Mix(seed_ ^ Mix(a)) ^ b) % p_;
}

uint64_t ModularEvaluator::Raise(uint64_t base, uint64_t exponent) const {
  uint64_t result = 1;
  while (exponent > 0) {
    if (exponent & 1) result = Multiply(result, base);
    base = Multiply(base, base);
    exponent >>= 1;
  }
  return result;
}

Value ModularEvaluator::Inverse(uint64_t a) {
  if (a == 0) {
    divided_by_zero_ = true;
    return std::nullopt;
  }
  return Raise(a, p_ - 2);
}

uint64_t ModularEvaluator::OfNumber(const Rational& number, bool* defined) {
  uint64_t value = fmpz_fdiv_ui(number.num(), p_);
  *defined = true;
  if (!number.is_integer()) {
    const Value inverse = Inverse(fmpz_fdiv_ui(number.den(), p_));
    *defined = inverse.has_value();
    if (inverse.has_value()) value = Multiply(value, *inverse);
  }
  return value;
}

Value ModularEvaluator::Of(Id id) {
  if (!budget_.Spend(2)) return std::nullopt;
  const Node& node = arena_.node(id);
  switch (node.op) {
    case Op::kNumber: {
      if (!budget_.Spend(arena_.number(id).bits() / 64)) return std::nullopt;
      bool defined;
      const uint64_t value = OfNumber(arena_.number(id), &defined);
      return defined ? Value(value) : std::nullopt;
    }
    case Op::kSymbol: {
      const Rational* const bound = Bound(bindings_, node.value);
      if (bound == nullptr) return Random(1, node.value);
      bool defined;
      const uint64_t value = OfNumber(*bound, &defined);
      return defined ? Value(value) : std::nullopt;
    }
    case Op::kPi:
    case Op::kEuler:
      // Each is transcendental; that they are independent is not known.
      (node.op == Op::kPi ? met_pi_ : met_e_) = true;
      met_opaque_ |= met_pi_ && met_e_;
      return Random(2, static_cast<uint64_t>(node.op));
    case Op::kImaginary:
      return i_;
    case Op::kAdd: {
      uint64_t sum = 0;
      for (const Id part : arena_.children(id)) {
        const Value value = Of(part);
        if (!value.has_value()) return std::nullopt;
        sum = (sum + *value) % p_;
      }
      return sum;
    }
    case Op::kMul: {
      uint64_t product = 1;
      for (const Id part : arena_.children(id)) {
        const Value value = Of(part);
        if (!value.has_value()) return std::nullopt;
        product = Multiply(product, *value);
      }
      return product;
    }
    case Op::kDiv: {
      const Value above = Of(arena_.child(id, 0));
      const Value below = Of(arena_.child(id, 1));
      if (!above.has_value() || !below.has_value()) return std::nullopt;
      if (!budget_.Spend(30)) return std::nullopt;
      const Value inverse = Inverse(*below);
      if (!inverse.has_value()) return std::nullopt;
      return Multiply(*above, *inverse);
    }
    case Op::kPow:
      return Power(id);
    case Op::kPercent: {
      const Value value = Of(arena_.child(id, 0));
      if (!value.has_value()) return std::nullopt;
      return Multiply(*value, *Inverse(100));
    }
    case Op::kUnit:
      return Of(arena_.child(id, 0));
    case Op::kFunction:
      return Call(id);
    case Op::kSum:
    case Op::kProduct:
      return Series(id);
    case Op::kInfinity:
    case Op::kTuple:
    case Op::kEllipsis:
      return std::nullopt;
    default:
      return Opaque(id);
  }
}

// A number that depends on the kind of node and on its arguments' values.
Value ModularEvaluator::Opaque(Id id) {
  // A function that is only named is as good as a symbol.
  const Node& node = arena_.node(id);
  met_opaque_ |= node.op != Op::kApply;
  uint64_t hash = Mix(static_cast<uint64_t>(node.op) * 131 + node.value);
  absl::Span<const Id> parts = arena_.children(id);
  const bool binds = node.op == Op::kIntegral || node.op == Op::kLimit ||
                     node.op == Op::kSum || node.op == Op::kProduct;
  if (binds) {
    // The name of a bound variable means nothing.
    const int32_t name = arena_.node(parts[1]).value;
    Rational stand_in;
    fmpz_set_ui(stand_in.num(), Random(3, parts.size()) >> 3);
    bindings_.emplace_back(name, stand_in);
    const Value body = Of(parts[0]);
    bindings_.pop_back();
    if (!body.has_value()) return std::nullopt;
    hash = Mix(hash ^ *body);
    parts.remove_prefix(2);
  }
  for (const Id part : parts) {
    const Value value = Of(part);
    if (!value.has_value()) {
      if (!arena_.Is(part, Op::kInfinity)) return std::nullopt;
      hash = Mix(hash ^ 0x1f1f);
      continue;
    }
    hash = Mix(hash ^ *value);
  }
  return Random(4, hash);
}

Value ModularEvaluator::Power(Id id) {
  const Value base = Of(arena_.child(id, 0));
  if (!base.has_value() || !budget_.Spend(20)) return std::nullopt;
  const std::optional<Rational> exponent =
      ExactValue(arena_, arena_.child(id, 1), bindings_, &budget_);
  if (!exponent.has_value() || !exponent->is_integer()) return Opaque(id);
  if (!exponent->is_small()) return std::nullopt;
  const int64_t n = exponent->small();
  if (n == 0 && *base == 0) return std::nullopt;
  // e^n is as good as e; 0^-n isn't.
  const uint64_t power = Raise(*base, static_cast<uint64_t>(std::abs(n)));
  return n >= 0 ? Value(power) : Inverse(power);
}

Value ModularEvaluator::Call(Id id) {
  const auto function = static_cast<Function>(arena_.node(id).value);
  switch (function) {
    case Function::kFactorial: {
      const std::optional<Rational> n =
          ExactValue(arena_, arena_.child(id, 0), bindings_, &budget_);
      if (!n.has_value()) return Opaque(id);
      if (!n->is_small() || n->sign() < 0 || n->small() > kMaxFactorial ||
          !budget_.Spend(n->small() / 2)) {
        return std::nullopt;
      }
      uint64_t product = 1;
      for (int64_t k = 2; k <= n->small(); ++k) {
        product = Multiply(product, static_cast<uint64_t>(k));
      }
      return product;
    }
    case Function::kBinomial: {
      const std::optional<Rational> k =
          ExactValue(arena_, arena_.child(id, 1), bindings_, &budget_);
      if (!k.has_value()) return Opaque(id);
      constexpr int64_t kMaxBelow = 2000;
      if (!k->is_small()) return Opaque(id);
      if (k->sign() < 0) return uint64_t{0};
      if (k->small() > kMaxBelow || !budget_.Spend(k->small() * 2)) {
        return std::nullopt;
      }
      const Value n = Of(arena_.child(id, 0));
      if (!n.has_value()) return std::nullopt;
      uint64_t above = 1;
      uint64_t below = 1;
      for (int64_t j = 0; j < k->small(); ++j) {
        above = Multiply(above, (*n + p_ - static_cast<uint64_t>(j)) % p_);
        below = Multiply(below, static_cast<uint64_t>(j + 1));
      }
      return Multiply(above, *Inverse(below));
    }
    default: {
      const std::optional<Rational> exact =
          ExactValue(arena_, id, bindings_, &budget_);
      if (!exact.has_value()) return Opaque(id);
      bool defined;
      const uint64_t value = OfNumber(*exact, &defined);
      return defined ? Value(value) : std::nullopt;
    }
  }
}

Value ModularEvaluator::Series(Id id) {
  const bool is_sum = arena_.Is(id, Op::kSum);
  const std::optional<Rational> from =
      ExactValue(arena_, arena_.child(id, 2), bindings_, &budget_);
  const std::optional<Rational> to =
      ExactValue(arena_, arena_.child(id, 3), bindings_, &budget_);
  if (!from.has_value() || !to.has_value() || !from->is_small() ||
      !to->is_small() || !arena_.Is(arena_.child(id, 1), Op::kSymbol)) {
    return Opaque(id);
  }
  if (to->small() - from->small() > kMaxSumTerms) return std::nullopt;
  uint64_t total = is_sum ? 0 : 1;
  const int32_t name = arena_.node(arena_.child(id, 1)).value;
  for (int64_t k = from->small(); k <= to->small(); ++k) {
    bindings_.emplace_back(name, Rational(k));
    const Value term = Of(arena_.child(id, 0));
    bindings_.pop_back();
    if (!term.has_value()) return std::nullopt;
    total = is_sum ? (total + *term) % p_ : Multiply(total, *term);
  }
  return total;
}

double DegreeBound(const Arena& arena, Id id) {
  const Node& node = arena.node(id);
  double sum = 0;
  for (const Id part : arena.children(id)) sum += DegreeBound(arena, part);
  switch (node.op) {
    case Op::kNumber:
      return 0;
    case Op::kPow: {
      double exponent = 1;
      const Id power = arena.child(id, 1);
      if (arena.Is(power, Op::kNumber)) {
        exponent = std::abs(fmpz_get_d(arena.number(power).num()));
      } else if (sum > 0) {
        Budget budget(1000);
        const std::optional<Rational> value = ExactValue(arena, power, &budget);
        if (value.has_value()) exponent = std::abs(fmpz_get_d(value->num()));
      }
      return sum * std::max(exponent, 1.0);
    }
    case Op::kFunction:
      if (arena.Is(id, Function::kBinomial)) {
        const Id below = arena.child(id, 1);
        if (arena.Is(below, Op::kNumber)) {
          return sum * std::max(1.0, fmpz_get_d(arena.number(below).num()));
        }
      }
      return sum + 1;
    case Op::kSum:
    case Op::kProduct:
      return (sum + 1) * static_cast<double>(kMaxSumTerms);
    default:
      return node.count == 0 ? 1 : sum;
  }
}

}  // namespace ponder::math
