#include "reward/math/exact.h"

#include <cstdlib>
#include <string>

#include "flint/arith.h"
#include "flint/fmpz.h"
#include "reward/math/limits.h"

namespace ponder::math {
namespace {

using Value = std::optional<Rational>;

Value Power(const Rational& base, const Rational& exponent) {
  if (!exponent.is_small()) return std::nullopt;
  const int64_t n = exponent.small();
  if (base.is_zero()) {
    if (n > 0) return Rational(0);
    return std::nullopt;  // 0^0 and 1/0
  }
  const int64_t bits = base.bits();
  const bool unit = fmpz_is_pm1(base.num()) && fmpz_is_one(base.den());
  if (unit) return Rational(base.sign() < 0 && n % 2 != 0 ? -1 : 1);
  if (std::abs(n) > kMaxExactBits || bits * std::abs(n) > 2 * kMaxExactBits) {
    return std::nullopt;
  }
  Rational result;
  fmpq_pow_si(result.get(), base.get(), n);
  return result;
}

// The real root, if it is rational.
Value Root(const Rational& radicand, const Rational& index) {
  if (!index.is_small()) return std::nullopt;
  const int64_t n = index.small();
  if (n < 2 || n > 64) return std::nullopt;
  if (radicand.sign() < 0 && n % 2 == 0) return std::nullopt;
  Rational result = radicand;
  const bool negative = radicand.sign() < 0;
  if (negative) fmpq_neg(result.get(), result.get());
  Rational root;
  if (!fmpz_root(root.num(), result.num(), n) ||
      !fmpz_root(root.den(), result.den(), n)) {
    return std::nullopt;
  }
  if (negative) fmpq_neg(root.get(), root.get());
  return root;
}

Rational Floor(const Rational& a) {
  Rational result;
  fmpz_fdiv_q(result.num(), a.num(), a.den());
  return result;
}

Rational Ceiling(const Rational& a) {
  Rational result;
  fmpz_cdiv_q(result.num(), a.num(), a.den());
  return result;
}

// a - b * floor(a / b), which has the sign of b.
Value Modulo(const Rational& a, const Rational& b) {
  if (b.is_zero()) return std::nullopt;
  Rational quotient;
  fmpq_div(quotient.get(), a.get(), b.get());
  Rational result = Floor(quotient);
  fmpq_mul(result.get(), result.get(), b.get());
  fmpq_sub(result.get(), a.get(), result.get());
  return result;
}

// Of rationals: gcd(a/b, c/d) = gcd(ad, bc) / bd.
Rational Gcd(const Rational& a, const Rational& b) {
  Rational result;
  fmpq_gcd(result.get(), a.get(), b.get());
  return result;
}

Rational Lcm(const Rational& a, const Rational& b) {
  if (a.is_zero() || b.is_zero()) return Rational(0);
  Rational result;
  fmpq_mul(result.get(), a.get(), b.get());
  fmpq_abs(result.get(), result.get());
  const Rational divisor = Gcd(a, b);
  fmpq_div(result.get(), result.get(), divisor.get());
  return result;
}

class Evaluator {
 public:
  Evaluator(const Arena& arena, const Bindings& bindings, Budget* budget)
      : arena_(arena), bindings_(bindings), budget_(*budget) {}

  Value Of(Id id) {
    Value value = Unbounded(id);
    if (value.has_value() && value->bits() > kMaxExactBits) return std::nullopt;
    return value;
  }

 private:
  Value Unbounded(Id id) {
    if (!budget_.Spend(2)) return std::nullopt;
    const Node& node = arena_.node(id);
    switch (node.op) {
      case Op::kNumber:
        return arena_.number(id);
      case Op::kSymbol: {
        const Rational* const bound = Bound(bindings_, node.value);
        if (bound == nullptr) return std::nullopt;
        return *bound;
      }
      case Op::kAdd:
      case Op::kMul: {
        Rational total(node.op == Op::kMul ? 1 : 0);
        for (const Id part : arena_.children(id)) {
          const Value value = Of(part);
          if (!value.has_value()) return std::nullopt;
          if (!budget_.Spend(value->bits() / 32 + 2)) return std::nullopt;
          if (node.op == Op::kMul) {
            fmpq_mul(total.get(), total.get(), value->get());
          } else {
            fmpq_add(total.get(), total.get(), value->get());
          }
          if (total.bits() > 2 * kMaxExactBits) return std::nullopt;
        }
        return total;
      }
      case Op::kDiv: {
        Value above = Of(arena_.child(id, 0));
        if (!above.has_value()) return std::nullopt;
        const Value below = Of(arena_.child(id, 1));
        if (!below.has_value() || below->is_zero()) return std::nullopt;
        if (!budget_.Spend(above->bits() / 16 + below->bits() / 16)) {
          return std::nullopt;
        }
        fmpq_div(above->get(), above->get(), below->get());
        return above;
      }
      case Op::kPow:
      case Op::kRoot: {
        const Value base = Of(arena_.child(id, 0));
        if (!base.has_value()) return std::nullopt;
        const Value exponent = Of(arena_.child(id, 1));
        if (!exponent.has_value() || !budget_.Spend(200)) return std::nullopt;
        if (node.op == Op::kRoot) return Root(*base, *exponent);
        if (exponent->is_integer()) return Power(*base, *exponent);
        // 4^{3/2}
        if (base->sign() <= 0) return std::nullopt;
        Rational index;
        fmpz_set(index.num(), exponent->den());
        Rational power;
        fmpz_set(power.num(), exponent->num());
        const Value root = Root(*base, index);
        if (!root.has_value()) return std::nullopt;
        return Power(*root, power);
      }
      case Op::kPercent: {
        Value value = Of(arena_.child(id, 0));
        if (!value.has_value()) return std::nullopt;
        fmpq_div_fmpz(value->get(), value->get(), Rational(100).num());
        return value;
      }
      case Op::kUnit:
        return Of(arena_.child(id, 0));
      case Op::kBased: {
        const Value radix = Of(arena_.child(id, 1));
        if (!radix.has_value() || !radix->is_small()) return std::nullopt;
        return BasedValue(arena_.NameOf(node.value), radix->small());
      }
      case Op::kFunction:
        return Call(id, static_cast<Function>(node.value));
      default:
        return std::nullopt;
    }
  }

  Value Call(Id id, Function function) {
    switch (function) {
      case Function::kAbs:
      case Function::kFloor:
      case Function::kCeil:
      case Function::kFactorial:
      case Function::kDoubleFactorial:
      case Function::kBinomial:
      case Function::kGcd:
      case Function::kLcm:
      case Function::kMod:
      case Function::kMax:
      case Function::kMin:
      case Function::kSign:
      case Function::kRe:
      case Function::kIm:
        break;
      default:
        return std::nullopt;
    }
    std::vector<Rational> values;
    for (const Id part : arena_.children(id)) {
      Value value = Of(part);
      if (!value.has_value()) return std::nullopt;
      values.push_back(*std::move(value));
    }
    if (!budget_.Spend(static_cast<int64_t>(values.size()) * 20)) {
      return std::nullopt;
    }
    Rational result = values[0];
    switch (function) {
      case Function::kAbs:
        fmpq_abs(result.get(), result.get());
        return result;
      case Function::kFloor:
        return Floor(result);
      case Function::kCeil:
        return Ceiling(result);
      case Function::kSign:
        return Rational(result.sign());
      case Function::kIm:
        return Rational(0);
      case Function::kFactorial:
        return Factorial(result, 1);
      case Function::kDoubleFactorial:
        return Factorial(result, 2);
      case Function::kBinomial:
        return Binomial(result, values[1]);
      case Function::kMod:
        return Modulo(result, values[1]);
      case Function::kGcd:
      case Function::kLcm:
      case Function::kMax:
      case Function::kMin:
        for (size_t k = 1; k < values.size(); ++k) {
          if (!budget_.Spend(result.bits() / 8 + 20)) return std::nullopt;
          if (function == Function::kGcd) {
            result = Gcd(result, values[k]);
          } else if (function == Function::kLcm) {
            result = Lcm(result, values[k]);
          } else {
            const int order = fmpq_cmp(values[k].get(), result.get());
            if (function == Function::kMax ? order > 0 : order < 0) {
              result = values[k];
            }
          }
          if (result.bits() > 2 * kMaxExactBits) return std::nullopt;
        }
        return result;
      default:
        return result;
    }
  }

  Value Factorial(const Rational& n, int64_t step) {
    if (!n.is_small() || n.sign() < 0) return std::nullopt;
    // log2(n!) > n log2(n / e)
    constexpr int64_t kLargest = 1000;
    if (n.small() > kLargest || !budget_.Spend(500)) return std::nullopt;
    Rational result;
    if (step == 1) {
      fmpz_fac_ui(result.num(), static_cast<unsigned>(n.small()));
    } else {
      fmpz_one(result.num());
      for (int64_t k = n.small(); k > 1; k -= step) {
        fmpz_mul_si(result.num(), result.num(), k);
      }
    }
    return result;
  }

  Value Binomial(const Rational& n, const Rational& k) {
    if (!n.is_small() || !k.is_small() || n.sign() < 0) return std::nullopt;
    if (k.sign() < 0 || k.small() > n.small()) return Rational(0);
    const int64_t smaller = std::min(k.small(), n.small() - k.small());
    if (smaller > 500 || n.small() > (int64_t{1} << 40)) return std::nullopt;
    if (!budget_.Spend(500)) return std::nullopt;
    Rational result;
    fmpz_bin_uiui(result.num(), static_cast<uint64_t>(n.small()),
                  static_cast<uint64_t>(smaller));
    return result;
  }

  const Arena& arena_;
  const Bindings& bindings_;
  Budget& budget_;
};

}  // namespace

const Rational* Bound(const Bindings& bindings, int32_t name) {
  for (auto it = bindings.rbegin(); it != bindings.rend(); ++it) {
    if (it->first == name) return &it->second;
  }
  return nullptr;
}

std::optional<Rational> ExactValue(const Arena& arena, Id id,
                                   const Bindings& bindings, Budget* budget) {
  return Evaluator(arena, bindings, budget).Of(id);
}

std::optional<Rational> BasedValue(absl::string_view digits, int64_t radix) {
  if (radix < 2 || radix > 36 || digits.size() > 400) return std::nullopt;
  Rational value;
  Rational scale(1);
  bool point = false;
  for (const char c : digits) {
    if (c == '.') {
      if (point) return std::nullopt;
      point = true;
      continue;
    }
    int64_t digit = 99;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'A' && c <= 'Z') digit = c - 'A' + 10;
    if (c >= 'a' && c <= 'z') digit = c - 'a' + 10;
    if (digit >= radix) return std::nullopt;
    fmpz_mul_si(value.num(), value.num(), radix);
    fmpz_add_si(value.num(), value.num(), digit);
    if (point) fmpz_mul_si(scale.num(), scale.num(), radix);
  }
  fmpq_div(value.get(), value.get(), scale.get());
  return value;
}

}  // namespace ponder::math
