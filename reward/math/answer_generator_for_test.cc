#include "reward/math/answer_generator_for_test.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ponder::math {
namespace {

using Kind = Term::Kind;

Term Make(Kind kind, std::vector<Term> parts) {
  Term term;
  term.kind = kind;
  term.parts = std::move(parts);
  return term;
}

Term Integer(int64_t number) {
  Term term;
  term.number = number;
  return term;
}

bool IsScalar(const Term& term) { return term.kind < Kind::kTuple; }

// At the point number `point`. NaN where it isn't defined.
double ValueOf(const Term& term, int point) {
  const auto part = [&](int k) { return ValueOf(term.parts[k], point); };
  switch (term.kind) {
    case Kind::kInteger:
      return static_cast<double>(term.number);
    case Kind::kFraction:
    case Kind::kDecimal:
      return static_cast<double>(term.number) /
             static_cast<double>(term.denominator);
    case Kind::kPi:
      return M_PI;
    case Kind::kVariable: {
      // Different for each name and point, of both signs.
      const double base = (term.name - 'a') * 0.3721 + point * 1.618 + 0.577;
      return std::fmod(base, 3.1) * (point % 3 == 2 ? -1 : 1) + 0.05;
    }
    case Kind::kSum: {
      double sum = 0;
      for (size_t k = 0; k < term.parts.size(); ++k) sum += part(k);
      return sum;
    }
    case Kind::kProduct: {
      double product = 1;
      for (size_t k = 0; k < term.parts.size(); ++k) product *= part(k);
      return product;
    }
    case Kind::kQuotient: {
      const double below = part(1);
      return std::abs(below) < 1e-9 ? NAN : part(0) / below;
    }
    case Kind::kPower:
      return std::pow(part(0), part(1));
    case Kind::kNegated:
      return -part(0);
    case Kind::kSquareRoot: {
      const double inside = part(0);
      return inside < -1e-12 ? NAN : std::sqrt(std::max(inside, 0.0));
    }
    case Kind::kSine:
      return std::sin(part(0));
    case Kind::kCosine:
      return std::cos(part(0));
    case Kind::kLogarithm: {
      const double inside = part(0);
      return inside < 1e-9 ? NAN : std::log(inside);
    }
    case Kind::kAbsolute:
      return std::abs(part(0));
    default:
      return NAN;
  }
}

constexpr int kPoints = 6;

bool ScalarsDiffer(const Term& a, const Term& b) {
  for (int point = 0; point < kPoints; ++point) {
    const double x = ValueOf(a, point);
    const double y = ValueOf(b, point);
    if (!std::isfinite(x) || !std::isfinite(y)) continue;
    // Decimals are compared with six places, rounded.
    if (std::abs(x - y) > 1e-3 * std::max({1.0, std::abs(x), std::abs(y)})) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool IsDefined(const Term& term) {
  if (!IsScalar(term)) {
    return std::all_of(term.parts.begin(), term.parts.end(), IsDefined);
  }
  int defined = 0;
  for (int point = 0; point < kPoints; ++point) {
    const double value = ValueOf(term, point);
    if (std::isfinite(value) && std::abs(value) < 1e9) ++defined;
  }
  // A function may have a domain, but both signs of variables are tried.
  return defined == kPoints;
}

bool DiffersInValue(const Term& a, const Term& b) {
  if (a.kind == Kind::kSet && b.kind == Kind::kSet) {
    // As sets: some element of one is none of the other's.
    const auto missing = [](const Term& x, const Term& y) {
      return std::any_of(x.parts.begin(), x.parts.end(), [&](const Term& item) {
        return std::all_of(
            y.parts.begin(), y.parts.end(),
            [&](const Term& other) { return DiffersInValue(item, other); });
      });
    };
    return missing(a, b) || missing(b, a);
  }
  if (IsScalar(a) && IsScalar(b)) return ScalarsDiffer(a, b);
  if (a.kind != b.kind || a.parts.size() != b.parts.size()) return true;
  if (a.open_closed != b.open_closed || a.close_closed != b.close_closed ||
      a.relation != b.relation) {
    return true;
  }
  for (size_t k = 0; k < a.parts.size(); ++k) {
    if (DiffersInValue(a.parts[k], b.parts[k])) return true;
  }
  return false;
}

// --- Generation
// ---------------------------------------------------------------

Term AnswerGenerator::Number() {
  Term term;
  switch (draw_(4)) {
    case 0: {
      static constexpr int64_t kDenominators[] = {2, 3, 4, 5, 7, 8, 10, 12};
      term.kind = Kind::kFraction;
      term.number = 1 + draw_(40);
      term.denominator = kDenominators[draw_(8)];
      return term;
    }
    case 1:
      term.kind = Kind::kDecimal;
      term.number = 1 + draw_(2000);
      term.denominator = Chance(2) ? 10 : 100;
      return term;
    default:
      term.number = Chance(8) ? 1000 + draw_(90000) : draw_(60);
      return term;
  }
}

Term AnswerGenerator::Constant(int depth) {
  if (depth <= 0 || Chance(2)) return Number();
  switch (draw_(6)) {
    case 0:
      return Make(Kind::kPi, {});
    case 1:
      return Make(Kind::kSquareRoot, {Integer(2 + draw_(60))});
    case 2:
      return Make(Kind::kSum, {Constant(depth - 1), Constant(depth - 1)});
    case 3:
      return Make(Kind::kProduct, {Number(), Constant(depth - 1)});
    case 4:
      return Make(Kind::kNegated, {Constant(depth - 1)});
    default:
      return Make(Kind::kQuotient,
                  {Constant(depth - 1), Integer(2 + draw_(30))});
  }
}

Term AnswerGenerator::Scalar(int depth) {
  if (depth <= 0 || Chance(5)) {
    if (Chance(2)) return Number();
    Term variable = Make(Kind::kVariable, {});
    variable.name = "xyabt"[draw_(5)];
    return variable;
  }
  const int d = depth - 1;
  switch (draw_(12)) {
    case 0:
    case 1:
      return Make(Kind::kSum, {Scalar(d), Scalar(d)});
    case 2:
      return Make(Kind::kSum, {Scalar(d), Scalar(d), Number()});
    case 3:
    case 4:
      return Make(Kind::kProduct, {Scalar(d), Scalar(d)});
    case 5:
      return Make(Kind::kQuotient, {Scalar(d), Integer(1 + draw_(20))});
    case 6: {
      // Above 0 wherever it is defined.
      Term below = Make(
          Kind::kSum,
          {Make(Kind::kPower, {Scalar(d), Integer(2)}), Integer(1 + draw_(9))});
      return Make(Kind::kQuotient, {Scalar(d), std::move(below)});
    }
    case 7:
      return Make(Kind::kPower, {Scalar(d), Integer(2 + draw_(2))});
    case 8:
      return Make(Kind::kNegated, {Scalar(d)});
    case 9:
      return Make(Kind::kSquareRoot, {Integer(2 + draw_(60))});
    case 10:
      return Make(Chance(2) ? Kind::kSine : Kind::kCosine, {Scalar(d)});
    default:
      return Chance(2) ? Make(Kind::kPi, {})
                       : Make(Kind::kAbsolute, {Scalar(d)});
  }
}

Term AnswerGenerator::Answer() {
  switch (draw_(12)) {
    case 0:
    case 1: {
      std::vector<Term> parts;
      for (uint32_t k = 2 + draw_(2); k > 0; --k) parts.push_back(Constant(1));
      return Make(Kind::kTuple, std::move(parts));
    }
    case 2: {
      std::vector<Term> parts;
      for (uint32_t k = 2 + draw_(3); k > 0; --k) parts.push_back(Constant(1));
      return Make(Kind::kSet, std::move(parts));
    }
    case 3:
    case 4: {
      // From a smaller to a larger number.
      const auto low = static_cast<int64_t>(draw_(20)) - 10;
      Term interval = Make(
          Kind::kInterval,
          {Integer(low), Integer(low + 1 + static_cast<int64_t>(draw_(9)))});
      interval.open_closed = Chance(2);
      interval.close_closed = Chance(2);
      if (Chance(2)) return interval;
      Term second = interval;
      second.parts[0] = Integer(interval.parts[1].number + 2);
      second.parts[1] = Integer(interval.parts[1].number + 3 + draw_(5));
      return Make(Kind::kUnion, {std::move(interval), std::move(second)});
    }
    case 5: {
      Term x = Make(Kind::kVariable, {});
      x.name = 'z';  // Not in Scalar().
      Term right = Scalar(2);
      return Make(Kind::kEquation, {std::move(x), std::move(right)});
    }
    case 6: {
      Term inequality =
          Make(Kind::kInequality, {Make(Kind::kVariable, {}), Constant(1)});
      inequality.relation = static_cast<int>(draw_(4));
      return inequality;
    }
    case 7:
      return Make(Kind::kMatrix,
                  {Constant(1), Constant(1), Constant(1), Constant(1)});
    default:
      return Scalar(3);
  }
}

// --- Rewriting
// ----------------------------------------------------------------

Term AnswerGenerator::Rewritten(const Term& term, int depth) {
  Term copy = term;
  for (Term& part : copy.parts) part = Rewritten(part, depth + 1);
  if (!IsScalar(copy)) {
    switch (copy.kind) {
      case Kind::kSet:
      case Kind::kUnion:
        std::rotate(copy.parts.begin(), copy.parts.begin() + 1,
                    copy.parts.end());
        return copy;
      case Kind::kEquation: {
        if (Chance(2)) {
          const Term factor = Integer(2 + draw_(5));
          for (Term& side : copy.parts) {
            side = Make(Kind::kProduct, {factor, side});
          }
        }
        return copy;
      }
      case Kind::kInequality: {
        if (Chance(2)) {
          // a < b is b > a
          std::swap(copy.parts[0], copy.parts[1]);
          copy.relation = (copy.relation + 2) % 4;
        }
        if (Chance(3)) {
          for (Term& side : copy.parts) side = Make(Kind::kNegated, {side});
          copy.relation = (copy.relation + 2) % 4;
        }
        return copy;
      }
      default:
        return copy;
    }
  }
  // Where numbers are written, rules that only reorder are kept apart from
  // rules that need the value of a term.
  switch (draw_(8)) {
    case 0:
      if (copy.kind == Kind::kSum || copy.kind == Kind::kProduct) {
        std::reverse(copy.parts.begin(), copy.parts.end());
      }
      return copy;
    case 1: {
      if (copy.kind != Kind::kInteger || copy.number > 1000) return copy;
      const int64_t more = 1 + draw_(9);
      return Make(Kind::kSum, {Integer(copy.number + more),
                               Make(Kind::kNegated, {Integer(more)})});
    }
    case 2: {
      if (copy.kind != Kind::kFraction) return copy;
      const int64_t factor = 2 + draw_(4);
      copy.number *= factor;
      copy.denominator *= factor;
      return copy;
    }
    case 3:
      // c (a + b) = c a + c b
      if (copy.kind == Kind::kProduct && copy.parts.size() == 2 &&
          copy.parts[1].kind == Kind::kSum) {
        std::vector<Term> terms;
        for (const Term& addend : copy.parts[1].parts) {
          terms.push_back(Make(Kind::kProduct, {copy.parts[0], addend}));
        }
        return Make(Kind::kSum, std::move(terms));
      }
      return copy;
    case 4:
      if (copy.kind == Kind::kPower && copy.parts[1].kind == Kind::kInteger &&
          copy.parts[1].number == 2) {
        return Make(Kind::kProduct, {copy.parts[0], copy.parts[0]});
      }
      return copy;
    case 5:
      if (copy.kind == Kind::kSine) {
        Term quarter = Make(Kind::kQuotient, {Make(Kind::kPi, {}), Integer(2)});
        return Make(
            Kind::kCosine,
            {Make(Kind::kSum, {std::move(quarter),
                               Make(Kind::kNegated, {copy.parts[0]})})});
      }
      if (copy.kind == Kind::kSquareRoot &&
          copy.parts[0].kind == Kind::kInteger) {
        const int64_t k = 2 + draw_(3);
        Term larger =
            Make(Kind::kSquareRoot, {Integer(copy.parts[0].number * k * k)});
        return Make(Kind::kQuotient, {std::move(larger), Integer(k)});
      }
      return copy;
    case 6:
      if (copy.kind == Kind::kDecimal) copy.kind = Kind::kFraction;
      return copy;
    default:
      return copy;
  }
}

int AnswerGenerator::CountLeaves(const Term& term) const {
  int count = 1;
  for (const Term& part : term.parts) count += CountLeaves(part);
  return count;
}

bool AnswerGenerator::ChangeLeaf(Term* term, int* index) {
  if ((*index)-- == 0) {
    switch (term->kind) {
      case Kind::kInteger:
        term->number += Chance(2) ? 1 : 10;
        return true;
      case Kind::kFraction:
        (Chance(2) ? term->number : term->denominator) += 1;
        return true;
      case Kind::kDecimal:
        term->number += 1;
        return true;
      case Kind::kVariable:
        term->name = term->name == 'x' ? 'y' : 'x';
        return true;
      case Kind::kNegated:
        *term = Term(term->parts[0]);
        return true;
      case Kind::kSum:
        term->parts[0] = Make(Kind::kNegated, {term->parts[0]});
        return true;
      case Kind::kSine:
        term->kind = Kind::kCosine;
        return true;
      case Kind::kTuple:
        std::swap(term->parts[0], term->parts[1]);
        return true;
      case Kind::kInterval:
        term->open_closed = !term->open_closed;
        return true;
      case Kind::kInequality:
        term->relation = (term->relation + 1 + draw_(3)) % 4;
        return true;
      case Kind::kMatrix:
        std::swap(term->parts[0], term->parts[3]);
        return true;
      default:
        return false;
    }
  }
  for (Term& part : term->parts) {
    if (*index < 0) return false;
    if (ChangeLeaf(&part, index)) return true;
  }
  return false;
}

Term AnswerGenerator::NearMiss(const Term& term) {
  Term copy = term;
  int index = static_cast<int>(draw_(CountLeaves(term)));
  ChangeLeaf(&copy, &index);
  return copy;
}

// --- Writing
// ------------------------------------------------------------------

std::string AnswerGenerator::Space() {
  static constexpr const char* kSpaces[] = {"", "", "", " ", "\\,", " ", "\\ "};
  return kSpaces[draw_(7)];
}

std::string AnswerGenerator::Group(const std::string& inside) {
  switch (draw_(3)) {
    case 0:
      return absl::StrCat("\\left(", inside, "\\right)");
    case 1:
      return absl::StrCat("\\left( ", inside, " \\right)");
    default:
      return absl::StrCat("(", inside, ")");
  }
}

// As a part of a product or the base of a power.
std::string AnswerGenerator::Factor(const Term& term) {
  switch (term.kind) {
    case Kind::kInteger:
    case Kind::kPi:
    case Kind::kVariable:
    case Kind::kSquareRoot:
    case Kind::kAbsolute:
      return term.number < 0 ? Group(Written(term)) : Written(term);
    default:
      return Group(Written(term));
  }
}

std::string AnswerGenerator::Written(const Term& term) {
  const auto list = [&](absl::string_view between) {
    std::string out;
    for (size_t k = 0; k < term.parts.size(); ++k) {
      if (k > 0) absl::StrAppend(&out, between, Space());
      absl::StrAppend(&out, Written(term.parts[k]));
    }
    return out;
  };
  switch (term.kind) {
    case Kind::kInteger: {
      return absl::StrCat(term.number);
    }
    case Kind::kFraction: {
      static constexpr const char* kNames[] = {"\\frac", "\\dfrac", "\\tfrac"};
      if (Chance(4)) return absl::StrCat(term.number, "/", term.denominator);
      if (term.number < 10 && term.number > 0 && term.denominator < 10 &&
          Chance(4)) {
        return absl::StrCat("\\frac", term.number, term.denominator);
      }
      return absl::StrCat(kNames[draw_(3)], "{", term.number, "}{",
                          term.denominator, "}");
    }
    case Kind::kDecimal: {
      const int64_t whole = term.number / term.denominator;
      const int64_t rest = term.number % term.denominator;
      // 1.05 and .05
      std::string digits =
          absl::StrCat(whole == 0 && Chance(6) ? "" : absl::StrCat(whole), ".",
                       term.denominator == 100 && rest < 10 ? "0" : "", rest);
      if (Chance(8)) digits += '0';
      return digits;
    }
    case Kind::kPi:
      return Chance(3) ? "{\\pi}" : "\\pi ";
    case Kind::kVariable:
      return std::string(1, term.name);
    case Kind::kSum: {
      std::string out;
      for (size_t k = 0; k < term.parts.size(); ++k) {
        const Term& part = term.parts[k];
        if (k > 0 && part.kind == Kind::kNegated) {
          absl::StrAppend(&out, Space(), "-", Space(), Factor(part.parts[0]));
          continue;
        }
        // +- would be both signs.
        std::string written = Written(part);
        if (k > 0 && written[0] == '-') written = Group(written);
        absl::StrAppend(&out, k > 0 ? absl::StrCat(Space(), "+", Space()) : "",
                        written);
      }
      return out;
    }
    case Kind::kProduct: {
      static constexpr const char* kDots[] = {"\\cdot ", "\\times ", "*"};
      std::string out;
      for (size_t k = 0; k < term.parts.size(); ++k) {
        if (k > 0) absl::StrAppend(&out, Space(), kDots[draw_(3)]);
        absl::StrAppend(&out, Factor(term.parts[k]));
      }
      return out;
    }
    case Kind::kQuotient:
      if (Chance(4)) {
        return absl::StrCat(Factor(term.parts[0]), "/", Factor(term.parts[1]));
      }
      return absl::StrCat("\\frac{", Written(term.parts[0]), "}{",
                          Written(term.parts[1]), "}");
    case Kind::kPower: {
      const std::string exponent = Written(term.parts[1]);
      return exponent.size() == 1 && Chance(2)
                 ? absl::StrCat(Factor(term.parts[0]), "^", exponent)
                 : absl::StrCat(Factor(term.parts[0]), "^{", exponent, "}");
    }
    case Kind::kNegated:
      return absl::StrCat("-", Space(), Factor(term.parts[0]));
    case Kind::kSquareRoot:
      return Chance(4) ? absl::StrCat("sqrt(", Written(term.parts[0]), ")")
                       : absl::StrCat("\\sqrt{", Written(term.parts[0]), "}");
    case Kind::kSine:
      return absl::StrCat("\\sin", Group(Written(term.parts[0])));
    case Kind::kCosine:
      return absl::StrCat("\\cos", Group(Written(term.parts[0])));
    case Kind::kLogarithm:
      return absl::StrCat("\\ln", Group(Written(term.parts[0])));
    case Kind::kAbsolute:
      return Chance(2)
                 ? absl::StrCat("\\left|", Written(term.parts[0]), "\\right|")
                 : absl::StrCat("\\lvert ", Written(term.parts[0]), "\\rvert");
    case Kind::kTuple:
      return Group(list(","));
    case Kind::kSet:
      return absl::StrCat("\\{", list(","), "\\}");
    case Kind::kInterval:
      return absl::StrCat(term.open_closed ? "[" : "(", list(","),
                          term.close_closed ? "]" : ")");
    case Kind::kUnion:
      return list(" \\cup ");
    case Kind::kEquation:
      return list("=");
    case Kind::kInequality: {
      static constexpr const char* kRelations[][2] = {{"<", "\\lt "},
                                                      {"\\le ", "\\leq "},
                                                      {">", "\\gt "},
                                                      {"\\ge ", "\\geq "}};
      return list(kRelations[term.relation][draw_(2)]);
    }
    case Kind::kMatrix: {
      const char* const name = Chance(2) ? "pmatrix" : "bmatrix";
      return absl::StrCat("\\begin{", name, "}", Written(term.parts[0]), "&",
                          Written(term.parts[1]), "\\\\ ",
                          Written(term.parts[2]), "&", Written(term.parts[3]),
                          "\\end{", name, "}");
    }
  }
  return "";
}

}  // namespace ponder::math
