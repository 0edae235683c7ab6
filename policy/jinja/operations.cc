#include "policy/jinja/operations.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "policy/jinja/methods.h"
#include "policy/jinja/python_text.h"

namespace ponder::jinja {
namespace {

using NamespacePtr = std::shared_ptr<Namespace>;
using LoopPtr = std::shared_ptr<Loop>;

absl::Status Error(absl::string_view message) {
  return absl::InvalidArgumentError(message);
}

absl::Status Unsupported(absl::string_view what, const Value& a) {
  if (const Undefined* undefined = a.As<Undefined>()) {
    return Error(*undefined->why);
  }
  return Error(absl::StrCat(what, " is not supported for ", TypeName(a)));
}

absl::Status Unsupported(absl::string_view what, const Value& a,
                         const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (const Undefined* undefined = value->As<Undefined>()) {
      return Error(*undefined->why);
    }
  }
  return Error(absl::StrCat(what, " is not supported for ", TypeName(a),
                            " and ", TypeName(b)));
}

absl::Status BeyondInteger() {
  return Error("an integer beyond 64 bits is not supported");
}

// Whether Python compares them as numbers.
bool IsNumber(const Value& value) {
  return value.Is<bool>() || value.Is<int64_t>() || value.Is<double>();
}

// -1, 0, 1; nothing if one is not a number. Exact for integers beside floats.
std::optional<int> CompareNumbers(const Value& a, const Value& b) {
  const auto order = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  const std::optional<int64_t> integer_a = IntegerOf(a);
  const std::optional<int64_t> integer_b = IntegerOf(b);
  if (integer_a && integer_b) return order(*integer_a, *integer_b);
  const long double x = integer_a ? static_cast<long double>(*integer_a)
                                  : static_cast<long double>(*NumberOf(a));
  const long double y = integer_b ? static_cast<long double>(*integer_b)
                                  : static_cast<long double>(*NumberOf(b));
  if (std::isnan(x) || std::isnan(y)) return std::nullopt;
  return order(x, y);
}

absl::Status AppendRepr(const Value& value, int depth, std::string* text,
                        Budget& budget);

absl::Status AppendItems(const Sequence& sequence, int depth, std::string* text,
                         Budget& budget) {
  bool is_first = true;
  for (const Value& item : sequence.items) {
    if (!is_first) *text += ", ";
    is_first = false;
    PONDER_RETURN_IF_ERROR(AppendRepr(item, depth, text, budget));
  }
  return absl::OkStatus();
}

absl::Status AppendSequence(const Sequence& sequence, int depth,
                            std::string* text, Budget& budget) {
  const char* begin = "[";
  const char* end = "]";
  switch (sequence.kind) {
    case Sequence::Kind::kList:
      break;
    case Sequence::Kind::kTuple:
      begin = "(";
      end = sequence.items.size() == 1 ? ",)" : ")";
      break;
    case Sequence::Kind::kItems:
      begin = "dict_items([";
      end = "])";
      break;
    case Sequence::Kind::kKeys:
      begin = "dict_keys([";
      end = "])";
      break;
    case Sequence::Kind::kValues:
      begin = "dict_values([";
      end = "])";
      break;
    case Sequence::Kind::kRange:
      return Error("a range can't be printed; the filter list makes it a list");
    case Sequence::Kind::kGenerator:
      return Error(
          "a generator can't be printed; the filter list makes it a list");
  }
  *text += begin;
  PONDER_RETURN_IF_ERROR(AppendItems(sequence, depth, text, budget));
  *text += end;
  return absl::OkStatus();
}

template <typename Entries>
absl::Status AppendEntries(const Entries& entries, int depth, std::string* text,
                           Budget& budget) {
  *text += "{";
  bool is_first = true;
  for (const auto& [key, value] : entries) {
    if (!is_first) *text += ", ";
    is_first = false;
    PONDER_RETURN_IF_ERROR(AppendRepr(Value(key), depth, text, budget));
    *text += ": ";
    PONDER_RETURN_IF_ERROR(AppendRepr(value, depth, text, budget));
  }
  *text += "}";
  return absl::OkStatus();
}

// `depth` counts down: a namespace may hold itself.
absl::Status AppendRepr(const Value& value, int depth, std::string* text,
                        Budget& budget) {
  if (depth == 0)
    return Error("a namespace that holds itself can't be printed");
  const size_t length = text->size();
  if (const std::string* content = value.AsText()) {
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(4 * content->size()));
    *text += TextRepr(*content);
  } else if (const Sequence* sequence = value.AsSequence()) {
    PONDER_RETURN_IF_ERROR(AppendSequence(*sequence, depth - 1, text, budget));
  } else if (const Dict* dict = value.AsDict()) {
    PONDER_RETURN_IF_ERROR(
        AppendEntries(dict->entries, depth - 1, text, budget));
  } else if (const NamespacePtr* names = value.As<NamespacePtr>()) {
    *text += "<Namespace ";
    PONDER_RETURN_IF_ERROR(
        AppendEntries((*names)->attributes, depth - 1, text, budget));
    *text += ">";
  } else if (value.Is<Undefined>()) {
    *text += "Undefined";
  } else if (const Markup* markup = value.As<Markup>()) {
    absl::StrAppend(text, "Markup(", TextRepr(*markup->utf8), ")");
  } else {
    PONDER_ASSIGN_OR_RETURN(const std::string plain, ToText(value, budget));
    *text += plain;
  }
  return budget.SpendBytes(text->size() - length);
}

absl::StatusOr<bool> EqualSequences(const Sequence& a, const Sequence& b,
                                    Budget& budget) {
  const bool both_ranges =
      a.kind == Sequence::Kind::kRange && b.kind == Sequence::Kind::kRange;
  if (a.kind != b.kind) return false;
  if (a.kind != Sequence::Kind::kList && a.kind != Sequence::Kind::kTuple &&
      !both_ranges) {
    if (&a == &b) return true;
    return Error("comparing views of a dict or generators is not supported");
  }
  if (a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    PONDER_ASSIGN_OR_RETURN(const bool same,
                            Equals(a.items[i], b.items[i], budget));
    if (!same) return false;
  }
  return true;
}

absl::StatusOr<bool> EqualDicts(const Dict& a, const Dict& b, Budget& budget) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    PONDER_ASSIGN_OR_RETURN(const Value* other, Find(b, key, budget));
    if (other == nullptr) return false;
    PONDER_ASSIGN_OR_RETURN(const bool same, Equals(value, *other, budget));
    if (!same) return false;
  }
  return true;
}

// Python's floor division and modulo.
int64_t FloorDivide(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}
int64_t Modulo(int64_t a, int64_t b) {
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
double Modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) rest += b;
  } else {
    rest = std::copysign(0.0, b);
  }
  return rest;
}
double FloorDivide(double a, double b) {
  const double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0 && (b < 0) != (rest < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

absl::StatusOr<Value> CalculateIntegers(Operator operation, int64_t a,
                                        int64_t b) {
  int64_t result = 0;
  bool overflows = false;
  switch (operation) {
    case Operator::kAdd:
      overflows = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      overflows = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      overflows = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kDivide:
      if (b == 0) return Error("division by zero");
      // Beyond 2^53 Python rounds the quotient once, this would round thrice.
      if (std::max(std::abs(static_cast<double>(a)),
                   std::abs(static_cast<double>(b))) > 9007199254740992.0) {
        return Error("dividing integers beyond 2^53 is not supported");
      }
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kFloorDivide:
    case Operator::kModulo:
      if (b == 0) return Error("division by zero");
      if (b == -1) {
        if (operation == Operator::kModulo) return Value(int64_t{0});
        overflows = __builtin_sub_overflow(int64_t{0}, a, &result);
        break;
      }
      return Value(operation == Operator::kModulo ? Modulo(a, b)
                                                  : FloorDivide(a, b));
    case Operator::kPower: {
      if (b < 0) return Error("** with a negative exponent is not supported");
      result = 1;
      if (a == 0 || a == 1) return Value(b == 0 ? int64_t{1} : a);
      if (a == -1) return Value(b % 2 == 0 ? int64_t{1} : int64_t{-1});
      for (int64_t i = 0; i < b && !overflows; ++i) {
        overflows = __builtin_mul_overflow(result, a, &result);
      }
      break;
    }
    default:
      return Error("this operator is not supported");
  }
  if (overflows) return BeyondInteger();
  return Value(result);
}

absl::StatusOr<Value> CalculateFloats(Operator operation, double a, double b) {
  switch (operation) {
    case Operator::kAdd:
      return Value(a + b);
    case Operator::kSubtract:
      return Value(a - b);
    case Operator::kMultiply:
      return Value(a * b);
    case Operator::kDivide:
      if (b == 0) return Error("division by zero");
      return Value(a / b);
    case Operator::kFloorDivide:
      if (b == 0) return Error("division by zero");
      return Value(FloorDivide(a, b));
    case Operator::kModulo:
      if (b == 0) return Error("division by zero");
      return Value(Modulo(a, b));
    default:
      return Error("this operator is not supported for floats");
  }
}

absl::StatusOr<Value> Concatenate(const Value& a, const Value& b,
                                  Budget& budget) {
  const std::string* text_a = a.AsText();
  const std::string* text_b = b.AsText();
  if (text_a != nullptr && text_b != nullptr) {
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(text_a->size() + text_b->size()));
    return Value(absl::StrCat(*text_a, *text_b));
  }
  for (const Sequence::Kind kind :
       {Sequence::Kind::kList, Sequence::Kind::kTuple}) {
    const Sequence* list_a = a.AsSequence(kind);
    const Sequence* list_b = b.AsSequence(kind);
    if (list_a == nullptr || list_b == nullptr) continue;
    PONDER_RETURN_IF_ERROR(
        budget.Spend(list_a->items.size() + list_b->items.size()));
    std::vector<Value> items = list_a->items;
    items.insert(items.end(), list_b->items.begin(), list_b->items.end());
    return MakeSequence(kind, std::move(items));
  }
  return Unsupported("+", a, b);
}

absl::StatusOr<Value> Repeat(const Value& value, int64_t count,
                             Budget& budget) {
  const size_t times = static_cast<size_t>(std::max<int64_t>(count, 0));
  if (const std::string* text = value.AsText()) {
    if (text->empty() || times == 0) return Value("");
    if (times > kMaxOutputBytes / text->size()) {
      return Error("the text that * makes is too long");
    }
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(times * text->size()));
    std::string result;
    result.reserve(times * text->size());
    for (size_t i = 0; i < times; ++i) result += *text;
    return Value(std::move(result));
  }
  const Sequence* sequence = value.AsSequence();
  if (sequence == nullptr || (sequence->kind != Sequence::Kind::kList &&
                              sequence->kind != Sequence::Kind::kTuple)) {
    return Unsupported("*", value);
  }
  std::vector<Value> items;
  if (!sequence->items.empty() && times > 0) {
    if (times > kMaxSteps) return Error("the list that * makes is too long");
    PONDER_RETURN_IF_ERROR(budget.Spend(times * sequence->items.size()));
    items.reserve(times * sequence->items.size());
    for (size_t i = 0; i < times; ++i) {
      items.insert(items.end(), sequence->items.begin(), sequence->items.end());
    }
  }
  return MakeSequence(sequence->kind, std::move(items));
}

Value NoSuch(const Value& value, absl::string_view what) {
  return Value::MakeUndefined(absl::StrCat(TypeName(value), " has no ", what));
}

absl::StatusOr<Value> LoopAttribute(const Loop& loop, absl::string_view name) {
  const int64_t length = static_cast<int64_t>(loop.items->size());
  if (name == "index") return Value(loop.index0 + 1);
  if (name == "index0") return Value(loop.index0);
  if (name == "revindex") return Value(length - loop.index0);
  if (name == "revindex0") return Value(length - loop.index0 - 1);
  if (name == "first") return Value(loop.index0 == 0);
  if (name == "last") return Value(loop.index0 + 1 == length);
  if (name == "length") return Value(length);
  // Of recursion, which is not supported.
  if (name == "depth") return Value(int64_t{1});
  if (name == "depth0") return Value(int64_t{0});
  if (name == "previtem") {
    if (loop.index0 == 0) {
      return Value::MakeUndefined("there is no previous item");
    }
    return (*loop.items)[static_cast<size_t>(loop.index0) - 1];
  }
  if (name == "nextitem") {
    if (loop.index0 + 1 == length) {
      return Value::MakeUndefined("there is no next item");
    }
    return (*loop.items)[static_cast<size_t>(loop.index0) + 1];
  }
  return Error(absl::StrCat("loop.", name, " is not supported"));
}

const Value* FindAttribute(const Namespace& names, absl::string_view name) {
  for (const auto& [key, value] : names.attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

// The method `name` of a value, or undefined.
absl::StatusOr<Value> GetMethod(const Value& value, absl::string_view name) {
  PONDER_ASSIGN_OR_RETURN(const bool is_method, HasMethod(value, name));
  if (!is_method) return NoSuch(value, absl::StrCat("attribute '", name, "'"));
  return Value(std::make_shared<Method>(Method{value, std::string(name)}));
}

// Where a slice of `length` items begins and how many it takes.
struct SliceBounds {
  int64_t begin = 0;
  int64_t step = 1;
  int64_t count = 0;
};

absl::StatusOr<SliceBounds> ResolveSlice(int64_t length, const Value& begin,
                                         const Value& end, const Value& step) {
  const auto part = [](const Value& value,
                       int64_t if_none) -> absl::StatusOr<int64_t> {
    if (value.Is<None>()) return if_none;
    if (const std::optional<int64_t> integer = IntegerOf(value)) {
      return *integer;
    }
    return Unsupported("a slice", value);
  };
  SliceBounds bounds;
  PONDER_ASSIGN_OR_RETURN(bounds.step, part(step, 1));
  if (bounds.step == 0) return Error("the step of a slice is zero");
  if (bounds.step == std::numeric_limits<int64_t>::min()) {
    return BeyondInteger();
  }
  const bool backwards = bounds.step < 0;
  // As CPython's PySlice_AdjustIndices.
  const auto clamp = [&](int64_t index) {
    if (index < 0) {
      index += length;
      return index < 0 ? (backwards ? int64_t{-1} : int64_t{0}) : index;
    }
    return index >= length ? (backwards ? length - 1 : length) : index;
  };
  int64_t first = backwards ? length - 1 : 0;
  int64_t last = backwards ? -1 : length;
  if (!begin.Is<None>()) {
    PONDER_ASSIGN_OR_RETURN(first, part(begin, 0));
    first = clamp(first);
  }
  if (!end.Is<None>()) {
    PONDER_ASSIGN_OR_RETURN(last, part(end, 0));
    last = clamp(last);
  }
  bounds.begin = first;
  if (backwards && last < first) {
    bounds.count = (first - last - 1) / -bounds.step + 1;
  } else if (!backwards && first < last) {
    bounds.count = (last - first - 1) / bounds.step + 1;
  }
  return bounds;
}

}  // namespace

std::optional<int64_t> IntegerOf(const Value& value) {
  if (const int64_t* integer = value.As<int64_t>()) return *integer;
  if (const bool* truth = value.As<bool>()) return *truth ? 1 : 0;
  return std::nullopt;
}

std::optional<double> NumberOf(const Value& value) {
  if (const double* number = value.As<double>()) return *number;
  if (const std::optional<int64_t> integer = IntegerOf(value)) {
    return static_cast<double>(*integer);
  }
  return std::nullopt;
}

const std::string* TextOf(const Value& value) {
  if (const Markup* markup = value.As<Markup>()) return markup->utf8.get();
  return value.AsText();
}

absl::StatusOr<std::string> ToText(const Value& value, Budget& budget) {
  if (const std::string* text = TextOf(value)) {
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(text->size()));
    return *text;
  }
  if (value.Is<Undefined>()) return "";
  if (value.Is<None>()) return "None";
  if (const bool* truth = value.As<bool>()) return *truth ? "True" : "False";
  if (const int64_t* integer = value.As<int64_t>()) {
    return absl::StrCat(*integer);
  }
  if (const double* number = value.As<double>()) return FloatRepr(*number);
  if (value.AsSequence() != nullptr || value.AsDict() != nullptr ||
      value.Is<NamespacePtr>()) {
    return Repr(value, budget);
  }
  return Error(absl::StrCat("a ", TypeName(value), " can't be printed"));
}

absl::StatusOr<std::string> Repr(const Value& value, Budget& budget) {
  std::string text;
  // Lists in one another, and a namespace around each.
  PONDER_RETURN_IF_ERROR(AppendRepr(value, 2 * kMaxValueDepth, &text, budget));
  return text;
}

absl::StatusOr<bool> Equals(const Value& a, const Value& b, Budget& budget) {
  PONDER_RETURN_IF_ERROR(budget.Spend(1));
  if (IsNumber(a) && IsNumber(b)) return CompareNumbers(a, b) == 0;
  const std::string* text_a = TextOf(a);
  const std::string* text_b = TextOf(b);
  if (text_a != nullptr && text_b != nullptr) {
    if (text_a->size() != text_b->size()) return false;
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(text_a->size()));
    return *text_a == *text_b;
  }
  if (a.Is<None>() || b.Is<None>()) return a.Is<None>() && b.Is<None>();
  if (a.Is<Undefined>() || b.Is<Undefined>()) {
    return a.Is<Undefined>() && b.Is<Undefined>();
  }
  if (a.AsSequence() != nullptr && b.AsSequence() != nullptr) {
    return EqualSequences(*a.AsSequence(), *b.AsSequence(), budget);
  }
  if (a.AsDict() != nullptr && b.AsDict() != nullptr) {
    return EqualDicts(*a.AsDict(), *b.AsDict(), budget);
  }
  if (a.Is<NamespacePtr>() && b.Is<NamespacePtr>()) {
    return *a.As<NamespacePtr>() == *b.As<NamespacePtr>();
  }
  if (TypeName(a) != TypeName(b)) return false;
  return Unsupported("==", a, b);
}

absl::StatusOr<bool> IsLess(const Value& a, const Value& b, Budget& budget) {
  PONDER_RETURN_IF_ERROR(budget.Spend(1));
  if (IsNumber(a) && IsNumber(b)) return CompareNumbers(a, b) == -1;
  const std::string* text_a = a.AsText();
  const std::string* text_b = b.AsText();
  if (text_a != nullptr && text_b != nullptr) {
    PONDER_RETURN_IF_ERROR(
        budget.SpendBytes(std::min(text_a->size(), text_b->size())));
    // The order of UTF-8 is that of code points.
    return *text_a < *text_b;
  }
  for (const Sequence::Kind kind :
       {Sequence::Kind::kList, Sequence::Kind::kTuple}) {
    const Sequence* list_a = a.AsSequence(kind);
    const Sequence* list_b = b.AsSequence(kind);
    if (list_a == nullptr || list_b == nullptr) continue;
    const size_t common = std::min(list_a->items.size(), list_b->items.size());
    for (size_t i = 0; i < common; ++i) {
      PONDER_ASSIGN_OR_RETURN(
          const bool same, Equals(list_a->items[i], list_b->items[i], budget));
      if (!same) return IsLess(list_a->items[i], list_b->items[i], budget);
    }
    return list_a->items.size() < list_b->items.size();
  }
  return Unsupported("comparing", a, b);
}

absl::StatusOr<bool> Contains(const Value& container, const Value& item,
                              Budget& budget) {
  PONDER_RETURN_IF_ERROR(budget.Spend(1));
  if (const std::string* text = TextOf(container)) {
    const std::string* part = TextOf(item);
    if (part == nullptr) return Unsupported("in", item, container);
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(text->size()));
    return absl::StrContains(*text, *part);
  }
  if (const Dict* dict = container.AsDict()) {
    if (!IsHashable(item)) return Unsupported("in", item, container);
    PONDER_ASSIGN_OR_RETURN(const Value* found, Find(*dict, item, budget));
    return found != nullptr;
  }
  if (container.AsSequence() != nullptr) {
    PONDER_ASSIGN_OR_RETURN(const std::vector<Value> items,
                            ItemsOf(container, budget));
    for (const Value& candidate : items) {
      PONDER_ASSIGN_OR_RETURN(const bool same, Equals(candidate, item, budget));
      if (same) return true;
    }
    return false;
  }
  if (container.Is<Undefined>()) return false;  // It iterates as nothing.
  return Unsupported("in", item, container);
}

absl::StatusOr<bool> Compare(Operator comparison, const Value& a,
                             const Value& b, Budget& budget) {
  const bool with_nan =
      IsNumber(a) && IsNumber(b) && !CompareNumbers(a, b).has_value();
  absl::StatusOr<bool> result;
  bool negated = false;
  switch (comparison) {
    case Operator::kEqual:
    case Operator::kNotEqual:
      result = Equals(a, b, budget);
      negated = comparison == Operator::kNotEqual;
      break;
    case Operator::kLess:
      return IsLess(a, b, budget);
    case Operator::kGreater:
      return IsLess(b, a, budget);
    case Operator::kLessEqual:
    case Operator::kGreaterEqual:
      if (with_nan) return false;
      result = comparison == Operator::kLessEqual ? IsLess(b, a, budget)
                                                  : IsLess(a, b, budget);
      negated = true;
      break;
    case Operator::kIn:
    case Operator::kNotIn:
      result = Contains(b, a, budget);
      negated = comparison == Operator::kNotIn;
      break;
    default:
      return Error("this comparison is not supported");
  }
  if (!result.ok()) return result;
  return *result != negated;
}

absl::StatusOr<Value> Calculate(Operator operation, const Value& a,
                                const Value& b, Budget& budget) {
  const std::optional<int64_t> integer_a = IntegerOf(a);
  const std::optional<int64_t> integer_b = IntegerOf(b);
  if (integer_a && integer_b) {
    return CalculateIntegers(operation, *integer_a, *integer_b);
  }
  const std::optional<double> number_a = NumberOf(a);
  const std::optional<double> number_b = NumberOf(b);
  if (number_a && number_b) {
    return CalculateFloats(operation, *number_a, *number_b);
  }
  if (operation == Operator::kAdd) return Concatenate(a, b, budget);
  if (operation == Operator::kMultiply && integer_b) {
    return Repeat(a, *integer_b, budget);
  }
  if (operation == Operator::kMultiply && integer_a) {
    return Repeat(b, *integer_a, budget);
  }
  constexpr absl::string_view kSpellings[] = {"+",  "-", "*", "/",
                                              "//", "%", "**"};
  return Unsupported(kSpellings[static_cast<int>(operation)], a, b);
}

absl::StatusOr<Value> Negate(const Value& value) {
  if (const std::optional<int64_t> integer = IntegerOf(value)) {
    if (*integer == std::numeric_limits<int64_t>::min()) {
      return BeyondInteger();
    }
    return Value(-*integer);
  }
  if (const double* number = value.As<double>()) return Value(-*number);
  return Unsupported("a minus sign", value);
}

absl::StatusOr<std::vector<Value>> ItemsOf(const Value& value, Budget& budget) {
  if (value.Is<Undefined>()) return std::vector<Value>();
  if (const std::string* text = value.AsText()) {
    // Each is a text of its own.
    PONDER_RETURN_IF_ERROR(budget.Spend(4 * text->size()));
    std::vector<Value> items;
    for (const absl::string_view character : CodePoints(*text)) {
      items.emplace_back(character);
    }
    return items;
  }
  if (const auto* sequence = value.As<std::shared_ptr<Sequence>>()) {
    PONDER_RETURN_IF_ERROR(budget.Spend((*sequence)->items.size()));
    if ((*sequence)->kind == Sequence::Kind::kGenerator) {
      if ((*sequence)->is_consumed) return std::vector<Value>();
      (*sequence)->is_consumed = true;
    }
    return (*sequence)->items;
  }
  if (const Dict* dict = value.AsDict()) {
    PONDER_RETURN_IF_ERROR(budget.Spend(dict->entries.size()));
    std::vector<Value> keys;
    for (const auto& [key, unused] : dict->entries) keys.push_back(key);
    return keys;
  }
  return Unsupported("iterating", value);
}

absl::StatusOr<int64_t> LengthOf(const Value& value, Budget& budget) {
  if (const std::string* text = TextOf(value)) {
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(text->size()));
    return NumCodePoints(*text);
  }
  const Sequence* sequence = value.AsSequence();
  if (sequence != nullptr && sequence->kind != Sequence::Kind::kGenerator) {
    return static_cast<int64_t>(sequence->items.size());
  }
  if (const Dict* dict = value.AsDict()) {
    return static_cast<int64_t>(dict->entries.size());
  }
  if (const LoopPtr* loop = value.As<LoopPtr>()) {
    return static_cast<int64_t>((*loop)->items->size());
  }
  if (value.Is<Undefined>()) return 0;
  return Unsupported("the length", value);
}

bool IsHashable(const Value& value) {
  if (value.AsDict() != nullptr) return false;
  const Sequence* sequence = value.AsSequence();
  if (sequence == nullptr) return true;
  if (sequence->kind != Sequence::Kind::kTuple) return false;
  return std::all_of(sequence->items.begin(), sequence->items.end(),
                     IsHashable);
}

absl::StatusOr<const Value*> Find(const Dict& dict, const Value& key,
                                  Budget& budget) {
  PONDER_RETURN_IF_ERROR(budget.Spend(1 + dict.entries.size() / 8));
  const std::string* text = key.AsText();
  for (const auto& [candidate, value] : dict.entries) {
    if (text != nullptr) {
      const std::string* other = candidate.AsText();
      if (other != nullptr && *other == *text) return &value;
      continue;
    }
    PONDER_ASSIGN_OR_RETURN(const bool same, Equals(candidate, key, budget));
    if (same) return &value;
  }
  return nullptr;
}

absl::Status Insert(std::vector<std::pair<Value, Value>>& entries, Value key,
                    Value value, Budget& budget) {
  if (!IsHashable(key)) return Unsupported("a key of a dict", key);
  for (auto& [candidate, old] : entries) {
    PONDER_ASSIGN_OR_RETURN(const bool same, Equals(candidate, key, budget));
    if (same) {
      old = std::move(value);
      return absl::OkStatus();
    }
  }
  PONDER_RETURN_IF_ERROR(budget.Spend(1));
  entries.emplace_back(std::move(key), std::move(value));
  return absl::OkStatus();
}

absl::StatusOr<Value> GetAttribute(const Value& value, absl::string_view name,
                                   Budget& budget) {
  PONDER_RETURN_IF_ERROR(budget.Spend(4));
  if (value.Is<Undefined>()) {
    return Unsupported(absl::StrCat("attribute '", name, "'"), value);
  }
  if (const NamespacePtr* names = value.As<NamespacePtr>()) {
    PONDER_RETURN_IF_ERROR(budget.Spend((*names)->attributes.size() / 8));
    const Value* found = FindAttribute(**names, name);
    if (found != nullptr) return *found;
    return NoSuch(value, absl::StrCat("attribute '", name, "'"));
  }
  if (const LoopPtr* loop = value.As<LoopPtr>()) {
    return LoopAttribute(**loop, name);
  }
  if (const Dict* dict = value.AsDict()) {
    PONDER_ASSIGN_OR_RETURN(Value method, GetMethod(value, name));
    if (!method.Is<Undefined>()) return method;
    PONDER_ASSIGN_OR_RETURN(const Value* found,
                            Find(*dict, Value(name), budget));
    if (found != nullptr) return *found;
    return Value::MakeUndefined(absl::StrCat("dict has no key '", name, "'"));
  }
  return GetMethod(value, name);
}

absl::StatusOr<Value> GetItem(const Value& value, const Value& key,
                              Budget& budget) {
  if (value.Is<Undefined>()) return Unsupported("an item", value);
  const std::string* name = key.AsText();
  if (const Dict* dict = value.AsDict()) {
    if (IsHashable(key)) {
      PONDER_ASSIGN_OR_RETURN(const Value* found, Find(*dict, key, budget));
      if (found != nullptr) return *found;
    }
    if (name == nullptr) return NoSuch(value, "such key");
    PONDER_ASSIGN_OR_RETURN(Value method, GetMethod(value, *name));
    if (!method.Is<Undefined>()) return method;
    return Value::MakeUndefined(absl::StrCat("dict has no key '", *name, "'"));
  }
  if (name != nullptr) return GetAttribute(value, *name, budget);
  std::optional<int64_t> index = IntegerOf(key);
  if (!index.has_value()) return NoSuch(value, "such item");
  if (const std::string* text = value.AsText()) {
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(text->size()));
    const int64_t length = NumCodePoints(*text);
    if (*index < 0) *index += length;
    if (*index < 0 || *index >= length) return NoSuch(value, "such character");
    return Slice(value, Value(*index), Value(*index + 1), Value(), budget);
  }
  const Sequence* sequence = value.AsSequence();
  if (sequence != nullptr && (sequence->kind == Sequence::Kind::kList ||
                              sequence->kind == Sequence::Kind::kTuple ||
                              sequence->kind == Sequence::Kind::kRange)) {
    const int64_t length = static_cast<int64_t>(sequence->items.size());
    if (*index < 0) *index += length;
    if (*index < 0 || *index >= length) return NoSuch(value, "such item");
    return sequence->items[static_cast<size_t>(*index)];
  }
  return NoSuch(value, "such item");
}

absl::StatusOr<Value> Slice(const Value& value, const Value& begin,
                            const Value& end, const Value& step,
                            Budget& budget) {
  if (const std::string* text = value.AsText()) {
    PONDER_RETURN_IF_ERROR(budget.SpendBytes(text->size()));
    const int64_t length = NumCodePoints(*text);
    PONDER_ASSIGN_OR_RETURN(const SliceBounds bounds,
                            ResolveSlice(length, begin, end, step));
    if (bounds.count == 0) return Value("");
    const bool is_ascii = static_cast<size_t>(length) == text->size();
    if (is_ascii && bounds.step == 1) {
      return Value(text->substr(static_cast<size_t>(bounds.begin),
                                static_cast<size_t>(bounds.count)));
    }
    PONDER_RETURN_IF_ERROR(budget.Spend(text->size() / 8));
    const std::vector<absl::string_view> characters = CodePoints(*text);
    std::string result;
    for (int64_t i = 0; i < bounds.count; ++i) {
      absl::StrAppend(
          &result,
          characters[static_cast<size_t>(bounds.begin + i * bounds.step)]);
    }
    return Value(std::move(result));
  }
  const Sequence* sequence = value.AsSequence();
  if (sequence == nullptr || (sequence->kind != Sequence::Kind::kList &&
                              sequence->kind != Sequence::Kind::kTuple &&
                              sequence->kind != Sequence::Kind::kRange)) {
    return Unsupported("a slice", value);
  }
  PONDER_ASSIGN_OR_RETURN(
      const SliceBounds bounds,
      ResolveSlice(static_cast<int64_t>(sequence->items.size()), begin, end,
                   step));
  PONDER_RETURN_IF_ERROR(budget.Spend(static_cast<size_t>(bounds.count)));
  std::vector<Value> items;
  for (int64_t i = 0; i < bounds.count; ++i) {
    items.push_back(
        sequence->items[static_cast<size_t>(bounds.begin + i * bounds.step)]);
  }
  return MakeSequence(sequence->kind, std::move(items));
}

}  // namespace ponder::jinja
