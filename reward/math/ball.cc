#include "reward/math/ball.h"

#include <algorithm>
#include <vector>

#include "acb_calc.h"
#include "acb_hypgeom.h"
#include "arb.h"
#include "flint/fmpq.h"
#include "reward/math/limits.h"

namespace ponder::math {
namespace {

// FLINT and Arb keep constants such as pi for each thread; they are given back
// when the thread ends.
struct ThreadCaches {
  ~ThreadCaches() { flint_cleanup(); }
};

class Evaluator {
 public:
  Evaluator(const Arena& arena, const Bindings& point, int64_t precision,
            Budget* budget)
      : arena_(arena), bindings_(point), prec_(precision), budget_(*budget) {}

  // For integrals: values must be those of an analytic function, or not
  // finite.
  void set_analytic(bool analytic) { analytic_ = analytic; }
  void Bind(int32_t name, const Ball* value) {
    free_name_ = name;
    free_value_ = value;
  }

  // Only real values, of parts too: the square root of -1 is undefined.
  void set_real(bool real) { real_ = real; }

  Ball Of(Id id) {
    if (!Spend(kCheap)) return Undefined();
    Ball value = Complex(id);
    if (real_ && !value.is_real()) return Undefined();
    return value;
  }

 private:
  Ball Complex(Id id) {
    Ball result;
    const Node& node = arena_.node(id);
    switch (node.op) {
      case Op::kNumber:
        arb_set_fmpq(result.re(), arena_.number(id).get(), prec_);
        return result;
      case Op::kSymbol: {
        if (free_value_ != nullptr && node.value == free_name_) {
          return *free_value_;
        }
        const Rational* const bound = Bound(bindings_, node.value);
        if (bound == nullptr) return Undefined();
        arb_set_fmpq(result.re(), bound->get(), prec_);
        return result;
      }
      case Op::kPi:
        arb_const_pi(result.re(), prec_);
        return result;
      case Op::kEuler:
        arb_const_e(result.re(), prec_);
        return result;
      case Op::kImaginary:
        acb_onei(result.get());
        return result;
      case Op::kAdd:
        for (const Id part : arena_.children(id)) {
          const Ball value = Of(part);
          acb_add(result.get(), result.get(), value.get(), prec_);
        }
        return result;
      case Op::kMul:
        acb_one(result.get());
        for (const Id part : arena_.children(id)) {
          const Ball value = Of(part);
          acb_mul(result.get(), result.get(), value.get(), prec_);
        }
        return result;
      case Op::kDiv: {
        const Ball above = Of(arena_.child(id, 0));
        const Ball below = Of(arena_.child(id, 1));
        acb_div(result.get(), above.get(), below.get(), prec_);
        return result;
      }
      case Op::kPow:
        return Power(id);
      case Op::kRoot:
        return Root(id);
      case Op::kPercent:
        result = Of(arena_.child(id, 0));
        acb_div_ui(result.get(), result.get(), 100, prec_);
        return result;
      case Op::kDegree: {
        result = Of(arena_.child(id, 0));
        Ball pi;
        arb_const_pi(pi.re(), prec_);
        acb_mul(result.get(), result.get(), pi.get(), prec_);
        acb_div_ui(result.get(), result.get(), 180, prec_);
        return result;
      }
      case Op::kUnit:
        return Of(arena_.child(id, 0));
      case Op::kBased: {
        const std::optional<Rational> value =
            ExactValue(arena_, id, bindings_, &budget_);
        if (!value.has_value()) return Undefined();
        arb_set_fmpq(result.re(), value->get(), prec_);
        return result;
      }
      case Op::kApply:
        return Applied(id);
      case Op::kSum:
      case Op::kProduct:
        return Series(id);
      case Op::kIntegral:
        return Integral(id);
      case Op::kLimit:
        return Limit(id);
      case Op::kFunction:
        return Call(id, static_cast<Function>(node.value));
      default:
        return Undefined();
    }
  }

  static constexpr int64_t kCheap = 10;
  static constexpr int64_t kDear = 400;  // sin, exp, log and their like.

  bool Spend(int64_t steps) {
    return budget_.Spend(steps * std::max<int64_t>(prec_, 64) / 256 + 1);
  }

  static Ball Undefined() {
    Ball ball;
    acb_indeterminate(ball.get());
    return ball;
  }

  std::optional<Rational> Exact(Id id) {
    if (free_value_ != nullptr) {
      // The variable of an integral has no exact value.
      if (Mentions(id, free_name_)) return std::nullopt;
    }
    return ExactValue(arena_, id, bindings_, &budget_);
  }

  bool Mentions(Id id, int32_t name) {
    if (arena_.Is(id, Op::kSymbol)) return arena_.node(id).value == name;
    const absl::Span<const Id> parts = arena_.children(id);
    return std::any_of(parts.begin(), parts.end(),
                       [&](Id part) { return Mentions(part, name); });
  }

  Ball Power(Id id) {
    Ball result;
    const Id above = arena_.child(id, 1);
    const std::optional<Rational> exponent = Exact(above);
    if (!exponent.has_value() && arena_.Is(arena_.child(id, 0), Op::kEuler)) {
      if (!Spend(kDear)) return Undefined();
      const Ball power = Of(above);
      if (!Moderate(power)) return Undefined();
      acb_exp(result.get(), power.get(), prec_);
      return result;
    }
    const Ball base = Of(arena_.child(id, 0));
    if (exponent.has_value() && exponent->is_integer()) {
      if (fmpz_bits(exponent->num()) > 62 || !Spend(kDear)) return Undefined();
      if (acb_is_zero(base.get()) && exponent->sign() <= 0) return Undefined();
      acb_pow_fmpz(result.get(), base.get(), exponent->num(), prec_);
      return result;
    }
    if (!Spend(2 * kDear)) return Undefined();
    if (exponent.has_value() && acb_is_zero(base.get())) {
      return exponent->sign() > 0 ? result : Undefined();
    }
    const Ball power = Of(above);
    if (!Moderate(power)) return Undefined();
    acb_pow_analytic(result.get(), base.get(), power.get(), analytic_, prec_);
    return result;
  }

  // Not so large that its exponential has an exponent of millions of bits.
  static bool Moderate(const Ball& ball) {
    Ball magnitude;
    acb_abs(magnitude.re(), ball.get(), 64);
    arb_t bound;
    arb_init(bound);
    arb_set_ui(bound, 1);
    arb_mul_2exp_si(bound, bound, 60);
    const bool moderate = arb_lt(magnitude.re(), bound);
    arb_clear(bound);
    return moderate;
  }

  Ball Root(Id id) {
    Ball result;
    const Ball radicand = Of(arena_.child(id, 0));
    const std::optional<Rational> index = Exact(arena_.child(id, 1));
    if (!Spend(kDear / 4)) return Undefined();
    if (index.has_value() && *index == Rational(2)) {
      acb_sqrt_analytic(result.get(), radicand.get(), analytic_, prec_);
      return result;
    }
    if (index.has_value() && index->is_small() && index->sign() > 0 &&
        index->small() <= 1'000'000 && !analytic_) {
      const auto n = static_cast<uint64_t>(index->small());
      if (!Spend(kDear)) return Undefined();
      if (n % 2 == 1 && arb_is_zero(radicand.im()) &&
          arb_is_negative(radicand.re())) {
        arb_neg(result.re(), radicand.re());
        arb_root_ui(result.re(), result.re(), n, prec_);
        arb_neg(result.re(), result.re());
        return result;
      }
      acb_root_ui(result.get(), radicand.get(), n, prec_);
      return result;
    }
    const Ball order = Of(arena_.child(id, 1));
    if (!Spend(2 * kDear)) return Undefined();
    acb_inv(result.get(), order.get(), prec_);
    if (!Moderate(result)) return Undefined();
    acb_pow_analytic(result.get(), radicand.get(), result.get(), analytic_,
                     prec_);
    return result;
  }

  // A number that depends on the function's name and its arguments, to as many
  // bits as their midpoints have for certain.
  Ball Applied(Id id) {
    uint64_t hash = 0x9e3779b97f4a7c15u + arena_.node(id).value;
    for (const Id part : arena_.children(id)) {
      const Ball value = Of(part);
      if (!value.is_finite()) return Undefined();
      fmpz_t rounded;
      fmpz_init(rounded);
      arf_t scaled;
      arf_init(scaled);
      arf_mul_2exp_si(scaled, arb_midref(value.re()), 40);
      if (arf_cmpabs_2exp_si(scaled, 4000) < 0) {
        arf_get_fmpz(rounded, scaled, ARF_RND_NEAR);
      }
      hash = (hash ^ fmpz_fdiv_ui(rounded, 0xfffffffbu)) * 0xff51afd7ed558ccdu;
      hash ^= hash >> 29;
      arf_clear(scaled);
      fmpz_clear(rounded);
    }
    Ball result;
    arb_set_ui(result.re(), hash >> 40);
    arb_mul_2exp_si(result.re(), result.re(), -22);
    return result;
  }

  Ball Series(Id id) {
    const bool is_sum = arena_.Is(id, Op::kSum);
    const std::optional<Rational> from = Exact(arena_.child(id, 2));
    const std::optional<Rational> to = Exact(arena_.child(id, 3));
    if (!from.has_value() || !to.has_value() || !from->is_small() ||
        !to->is_small() || to->small() - from->small() > kMaxSumTerms) {
      return Undefined();
    }
    Ball total;
    if (!is_sum) acb_one(total.get());
    const int32_t name = arena_.node(arena_.child(id, 1)).value;
    for (int64_t k = from->small(); k <= to->small(); ++k) {
      if (budget_.exhausted()) return Undefined();
      bindings_.emplace_back(name, Rational(k));
      const Ball term = Of(arena_.child(id, 0));
      bindings_.pop_back();
      if (is_sum) {
        acb_add(total.get(), total.get(), term.get(), prec_);
      } else {
        acb_mul(total.get(), total.get(), term.get(), prec_);
      }
    }
    return total;
  }

  struct Integrand {
    Evaluator* evaluator;
    Id body;
    int32_t name;
  };

  static int Integrate(acb_ptr out, const acb_t at, void* context, slong order,
                       slong prec) {
    if (order > 1) flint_abort();  // Arb asks for 0 and 1 only.
    const auto* integrand = static_cast<const Integrand*>(context);
    Evaluator& outer = *integrand->evaluator;
    Ball value;
    acb_set(value.get(), at);
    Evaluator inner(outer.arena_, outer.bindings_, prec, &outer.budget_);
    inner.set_analytic(order == 1);
    inner.Bind(integrand->name, &value);
    const Ball result = inner.Of(integrand->body);
    acb_set(out, result.get());
    return 0;
  }

  Ball Integral(Id id) {
    // In an integral Arb would be asked to integrate for each of its points.
    if (arena_.node(id).count != 4 || free_value_ != nullptr)
      return Undefined();
    const Ball from = Of(arena_.child(id, 2));
    const Ball to = Of(arena_.child(id, 3));
    if (!from.is_finite() || !to.is_finite()) return Undefined();
    Integrand integrand{this, arena_.child(id, 0),
                        arena_.node(arena_.child(id, 1)).value};
    acb_calc_integrate_opt_t options;
    acb_calc_integrate_opt_init(options);
    options->eval_limit = 400;
    options->depth_limit = 20;
    Ball result;
    mag_t tolerance;
    mag_init(tolerance);
    mag_set_ui_2exp_si(tolerance, 1, -kIntegralBits);
    acb_calc_integrate(result.get(), Integrate, &integrand, from.get(),
                       to.get(), kIntegralBits, tolerance, options,
                       kIntegralBits + 16);
    mag_clear(tolerance);
    return budget_.exhausted() ? Undefined() : result;
  }
  static constexpr int64_t kIntegralBits = 80;

  // Where the body is continuous, its value.
  Ball Limit(Id id) {
    const std::optional<Rational> point = Exact(arena_.child(id, 2));
    if (!point.has_value()) return Undefined();
    bindings_.emplace_back(arena_.node(arena_.child(id, 1)).value, *point);
    Ball result = Of(arena_.child(id, 0));
    bindings_.pop_back();
    return result;
  }

  Ball Call(Id id, Function function) {
    Ball result;
    switch (function) {
      case Function::kGcd:
      case Function::kLcm:
      case Function::kDet:
      case Function::kNorm:
      case Function::kMod:
      case Function::kFloor:
      case Function::kCeil:
      case Function::kBinomial: {
        const std::optional<Rational> exact = Exact(id);
        if (exact.has_value()) {
          arb_set_fmpq(result.re(), exact->get(), prec_);
          return result;
        }
        if (function == Function::kGcd || function == Function::kLcm ||
            function == Function::kDet || function == Function::kNorm) {
          return Undefined();
        }
        break;
      }
      default:
        break;
    }
    std::vector<Ball> x;
    for (const Id part : arena_.children(id)) x.push_back(Of(part));
    for (const Ball& value : x) {
      if (!value.is_finite()) return Undefined();
    }
    if (!Spend(kDear) || !Moderate(x[0])) return Undefined();
    Ball inverse;
    const auto invert = [&] { acb_inv(inverse.get(), x[0].get(), prec_); };
    acb_ptr r = result.get();
    acb_srcptr a = x[0].get();
    // Inverse functions have cuts, across which they are not analytic.
    const bool cut =
        function >= Function::kArcsin && function <= Function::kArccsc;
    const bool hyperbolic_cut =
        function >= Function::kArsinh && function <= Function::kArcsch;
    if (analytic_ && (cut || hyperbolic_cut)) {
      if (function != Function::kArctan || !arb_is_zero(x[0].im())) {
        if (function != Function::kArctan) return Undefined();
        if (!arb_contains_zero(x[0].im())) return Undefined();
      }
    }
    switch (function) {
      case Function::kSin:
        acb_sin(r, a, prec_);
        break;
      case Function::kCos:
        acb_cos(r, a, prec_);
        break;
      case Function::kTan:
        acb_tan(r, a, prec_);
        break;
      case Function::kCot:
        acb_cot(r, a, prec_);
        break;
      case Function::kSec:
        acb_sec(r, a, prec_);
        break;
      case Function::kCsc:
        acb_csc(r, a, prec_);
        break;
      case Function::kArcsin:
        acb_asin(r, a, prec_);
        break;
      case Function::kArccos:
        acb_acos(r, a, prec_);
        break;
      case Function::kArctan:
        acb_atan(r, a, prec_);
        break;
      case Function::kArccot:
        invert();
        acb_atan(r, inverse.get(), prec_);
        break;
      case Function::kArcsec:
        invert();
        acb_acos(r, inverse.get(), prec_);
        break;
      case Function::kArccsc:
        invert();
        acb_asin(r, inverse.get(), prec_);
        break;
      case Function::kSinh:
        acb_sinh(r, a, prec_);
        break;
      case Function::kCosh:
        acb_cosh(r, a, prec_);
        break;
      case Function::kTanh:
        acb_tanh(r, a, prec_);
        break;
      case Function::kCoth:
        acb_coth(r, a, prec_);
        break;
      case Function::kSech:
        acb_sech(r, a, prec_);
        break;
      case Function::kCsch:
        acb_csch(r, a, prec_);
        break;
      case Function::kArsinh:
        acb_asinh(r, a, prec_);
        break;
      case Function::kArcosh:
        acb_acosh(r, a, prec_);
        break;
      case Function::kArtanh:
        acb_atanh(r, a, prec_);
        break;
      case Function::kArcoth:
        invert();
        acb_atanh(r, inverse.get(), prec_);
        break;
      case Function::kArsech:
        invert();
        acb_acosh(r, inverse.get(), prec_);
        break;
      case Function::kArcsch:
        invert();
        acb_asinh(r, inverse.get(), prec_);
        break;
      case Function::kExp:
        acb_exp(r, a, prec_);
        break;
      case Function::kLn:
        acb_log_analytic(r, a, analytic_, prec_);
        break;
      case Function::kLog: {
        // Without a base it is the natural logarithm, as SymPy has it.
        acb_log_analytic(r, a, analytic_, prec_);
        if (x.size() == 2) {
          if (!Spend(kDear)) return Undefined();
          Ball base;
          acb_log_analytic(base.get(), x[1].get(), analytic_, prec_);
          acb_div(r, r, base.get(), prec_);
        }
        break;
      }
      case Function::kAbs:
        if (arb_is_zero(x[0].im())) {
          acb_real_abs(r, a, analytic_, prec_);
        } else if (analytic_) {
          acb_real_abs(r, a, true, prec_);
        } else {
          acb_abs(result.re(), a, prec_);
        }
        break;
      case Function::kFloor:
      case Function::kCeil:
        if (!analytic_ && NearestInteger(x[0], &result)) break;
        if (function == Function::kFloor) {
          acb_real_floor(r, a, analytic_, prec_);
        } else {
          acb_real_ceil(r, a, analytic_, prec_);
        }
        break;
      case Function::kSign:
        acb_real_sgn(r, a, analytic_, prec_);
        break;
      case Function::kFactorial:
        if (!SmallForGamma(x[0])) return Undefined();
        if (!Spend(3000)) return Undefined();
        acb_add_ui(r, a, 1, prec_);
        acb_gamma(r, r, prec_);
        break;
      case Function::kDoubleFactorial:
        return Undefined();
      case Function::kBinomial: {
        if (!SmallForGamma(x[0]) || !SmallForGamma(x[1])) return Undefined();
        if (!Spend(9000)) return Undefined();
        Ball below;
        acb_add_ui(r, a, 1, prec_);
        acb_gamma(r, r, prec_);
        acb_add_ui(below.get(), x[1].get(), 1, prec_);
        acb_rgamma(below.get(), below.get(), prec_);
        acb_mul(r, r, below.get(), prec_);
        acb_sub(below.get(), a, x[1].get(), prec_);
        acb_add_ui(below.get(), below.get(), 1, prec_);
        acb_rgamma(below.get(), below.get(), prec_);
        acb_mul(r, r, below.get(), prec_);
        break;
      }
      case Function::kMod: {
        acb_div(r, a, x[1].get(), prec_);
        acb_real_floor(r, r, analytic_, prec_);
        acb_mul(r, r, x[1].get(), prec_);
        acb_sub(r, a, r, prec_);
        break;
      }
      case Function::kMax:
      case Function::kMin:
        acb_set(r, a);
        for (size_t k = 1; k < x.size(); ++k) {
          if (function == Function::kMax) {
            acb_real_max(r, r, x[k].get(), analytic_, prec_);
          } else {
            acb_real_min(r, r, x[k].get(), analytic_, prec_);
          }
        }
        break;
      case Function::kRe:
        if (analytic_) return Undefined();
        arb_set(result.re(), x[0].re());
        break;
      case Function::kIm:
        if (analytic_) return Undefined();
        arb_set(result.re(), x[0].im());
        break;
      case Function::kGcd:
      case Function::kLcm:
      case Function::kDet:
      case Function::kNorm:
        return Undefined();
    }
    return result;
  }

  // Sets *result to the integer that x is as far as can be told, which is how
  // numbers are found equal: log_2 8 is 3.
  static bool NearestInteger(const Ball& x, Ball* result) {
    constexpr int64_t kBits = 100;
    if (!arb_is_zero(x.im()) ||
        arf_cmpabs_2exp_si(arb_midref(x.re()), 200) > 0 ||
        mag_cmp_2exp_si(arb_radref(x.re()), -kBits) > 0 ||
        mag_is_zero(arb_radref(x.re()))) {
      return false;
    }
    fmpz_t nearest;
    fmpz_init(nearest);
    arf_get_fmpz(nearest, arb_midref(x.re()), ARF_RND_NEAR);
    const bool is_integer = arb_contains_fmpz(x.re(), nearest);
    if (is_integer) arb_set_fmpz(result->re(), nearest);
    fmpz_clear(nearest);
    return is_integer;
  }

  // The cost of gamma grows with its argument.
  static bool SmallForGamma(const Ball& x) {
    return arf_cmpabs_2exp_si(arb_midref(x.re()), 30) < 0 &&
           arf_cmpabs_2exp_si(arb_midref(x.im()), 10) < 0;
  }

  const Arena& arena_;
  Bindings bindings_;
  const int64_t prec_;
  Budget& budget_;
  bool analytic_ = false;
  bool real_ = false;
  int32_t free_name_ = -1;
  const Ball* free_value_ = nullptr;
};

}  // namespace

Ball BallValue(const Arena& arena, Id id, const Bindings& point, Field field,
               int64_t precision_bits, Budget* budget) {
  thread_local ThreadCaches caches;
  static_cast<void>(caches);
  Evaluator evaluator(arena, point, precision_bits, budget);
  evaluator.set_real(field == Field::kReal);
  return evaluator.Of(id);
}

}  // namespace ponder::math
