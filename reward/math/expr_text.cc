#include "reward/math/expr_text.h"

#include "absl/strings/str_cat.h"
#include "flint/flint.h"

namespace ponder::math {
namespace {

constexpr const char* kFunctionNames[] = {
    "sin",      "cos",    "tan",       "cot",
    "sec",      "csc",    "arcsin",    "arccos",
    "arctan",   "arccot", "arcsec",    "arccsc",
    "sinh",     "cosh",   "tanh",      "coth",
    "sech",     "csch",   "arsinh",    "arcosh",
    "artanh",   "arcoth", "arsech",    "arcsch",
    "exp",      "ln",     "log",       "abs",
    "floor",    "ceil",   "factorial", "double_factorial",
    "binomial", "gcd",    "lcm",       "mod",
    "max",      "min",    "sign",      "re",
    "im",       "det",    "norm"};

constexpr const char* kRelations[] = {" = ",  " != ", " < ",
                                      " <= ", " > ",  " >= "};

class Writer {
 public:
  Writer(const Arena& arena, size_t max_bytes)
      : arena_(arena), max_bytes_(max_bytes) {}

  void Write(Id id) {
    if (out_.size() > max_bytes_) return;
    const Node& node = arena_.node(id);
    switch (node.op) {
      case Op::kNumber: {
        char* const text = fmpq_get_str(nullptr, 10, arena_.number(id).get());
        out_ += text;
        flint_free(text);
        break;
      }
      case Op::kSymbol:
      case Op::kNamedSet:
        out_ += arena_.name(id);
        break;
      case Op::kPi:
        out_ += "pi";
        break;
      case Op::kEuler:
        out_ += "e";
        break;
      case Op::kImaginary:
        out_ += "i";
        break;
      case Op::kInfinity:
        out_ += "infinity";
        break;
      case Op::kEllipsis:
        out_ += "...";
        break;
      case Op::kAdd:
        List(id, "(", " + ", ")");
        break;
      case Op::kMul:
        List(id, "(", "*", ")");
        break;
      case Op::kDiv:
        List(id, "(", "/", ")");
        break;
      case Op::kPow:
        List(id, "(", "^", ")");
        break;
      case Op::kRatio:
        List(id, "", ":", "");
        break;
      case Op::kRoot:
        List(id, "root(", ", ", ")");
        break;
      case Op::kFunction:
        List(id, absl::StrCat(kFunctionNames[node.value], "("), ", ", ")");
        break;
      case Op::kApply:
        List(id, absl::StrCat(arena_.name(id), "("), ", ", ")");
        break;
      case Op::kPlusMinus:
        List(id, node.flag == 1 ? "-+" : "+-", "", "");
        break;
      case Op::kSum:
        List(id, "sum(", ", ", ")");
        break;
      case Op::kProduct:
        List(id, "product(", ", ", ")");
        break;
      case Op::kIntegral:
        List(id, "integral(", ", ", ")");
        break;
      case Op::kLimit:
        List(id, "limit(", ", ", ")");
        break;
      case Op::kPercent:
        List(id, "", "", " percent");
        break;
      case Op::kDegree:
        List(id, "", "", " degrees");
        break;
      case Op::kUnit:
        List(id, "", "", absl::StrCat(" [", arena_.name(id), "]"));
        break;
      case Op::kBased:
        List(id, "", " to the base ", "");
        break;
      case Op::kTuple:
        List(id,
             node.flag & kOpenReal     ? "]"
             : node.flag & kOpenClosed ? "["
                                       : "(",
             ", ",
             node.flag & kOpenReal      ? "["
             : node.flag & kCloseClosed ? "]"
                                        : ")");
        break;
      case Op::kList:
        List(id, "", node.flag & kAlternatives ? " or " : ", ", "");
        break;
      case Op::kSet:
        List(id, "{", ", ", "}");
        break;
      case Op::kSetBuilder:
        List(id, "{", " | ", "}");
        break;
      case Op::kUnion:
        List(id, "(", " union ", ")");
        break;
      case Op::kIntersection:
        List(id, "(", " intersected with ", ")");
        break;
      case Op::kSetMinus:
        List(id, "(", " without ", ")");
        break;
      case Op::kMember:
        List(id, "", " in ", "");
        break;
      case Op::kCongruence:
        List(id, "", " = ", " (congruent)");
        break;
      case Op::kMatrix:
        List(id, absl::StrCat("matrix of ", node.value, " columns ("), ", ",
             ")");
        break;
      case Op::kRelation:
        for (int k = 0; k < node.count; ++k) {
          if (k > 0)
            out_ += kRelations[static_cast<int>(arena_.relation(id, k - 1))];
          Write(arena_.child(id, k));
        }
        break;
    }
  }

  std::string Take() {
    if (out_.size() > max_bytes_) {
      out_.resize(max_bytes_);
      out_ += "...";
    }
    return std::move(out_);
  }

 private:
  void List(Id id, absl::string_view open, absl::string_view between,
            absl::string_view close) {
    absl::StrAppend(&out_, open);
    for (int k = 0; k < arena_.node(id).count; ++k) {
      if (k > 0) absl::StrAppend(&out_, between);
      Write(arena_.child(id, k));
    }
    absl::StrAppend(&out_, close);
  }

  const Arena& arena_;
  const size_t max_bytes_;
  std::string out_;
};

}  // namespace

std::string ExprText(const Arena& arena, Id id, size_t max_bytes) {
  Writer writer(arena, max_bytes);
  writer.Write(id);
  return writer.Take();
}

}  // namespace ponder::math
