#include "policy/jinja/json_text.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "policy/jinja/operations.h"
#include "policy/jinja/python_text.h"

namespace ponder::jinja {
namespace {

std::string JsonNumber(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return FloatRepr(number);
}

class Writer {
 public:
  Writer(const JsonFormat& format, Budget& budget)
      : format_(format),
        separator_(format.item_separator.value_or(
            format.indent.has_value() ? "," : ", ")),
        budget_(budget) {}

  // Values are at most kMaxValueDepth deep, so is the recursion.
  absl::Status Write(const Value& value) {
    if (const std::string* text = value.AsText()) {
      PONDER_RETURN_IF_ERROR(budget_.SpendBytes(8 * text->size()));
    }
    return WriteAny(value);
  }

  std::string Take() { return std::move(text_); }

 private:
  absl::Status WriteAny(const Value& value) {
    if (const std::string* text = value.AsText()) {
      text_ += JsonText(*text, format_.ensure_ascii);
    } else if (value.Is<None>()) {
      text_ += "null";
    } else if (const bool* truth = value.As<bool>()) {
      text_ += *truth ? "true" : "false";
    } else if (const int64_t* integer = value.As<int64_t>()) {
      absl::StrAppend(&text_, *integer);
    } else if (const double* number = value.As<double>()) {
      text_ += JsonNumber(*number);
    } else if (const Dict* dict = value.AsDict()) {
      return WriteDict(*dict);
    } else if (value.AsSequence(Sequence::Kind::kList) != nullptr ||
               value.AsSequence(Sequence::Kind::kTuple) != nullptr) {
      return WriteList(*value.AsSequence());
    } else if (const Undefined* undefined = value.As<Undefined>()) {
      return absl::InvalidArgumentError(*undefined->why);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("a ", TypeName(value), " has no JSON"));
    }
    return absl::OkStatus();
  }

  absl::Status WriteList(const Sequence& list) {
    Begin('[');
    bool is_first = true;
    for (const Value& item : list.items) {
      PONDER_RETURN_IF_ERROR(BeginItem(&is_first));
      PONDER_RETURN_IF_ERROR(Write(item));
    }
    return End(']', is_first);
  }

  absl::Status WriteDict(const Dict& dict) {
    std::vector<std::pair<Value, Value>> entries = dict.entries;
    PONDER_RETURN_IF_ERROR(budget_.Spend(entries.size()));
    if (format_.sort_keys) {
      absl::Status status;
      std::stable_sort(
          entries.begin(), entries.end(), [&](const auto& a, const auto& b) {
            const absl::StatusOr<bool> less = IsLess(a.first, b.first, budget_);
            if (!less.ok()) status = less.status();
            return less.ok() && *less;
          });
      PONDER_RETURN_IF_ERROR(status);
    }
    Begin('{');
    bool is_first = true;
    for (const auto& [key, value] : entries) {
      PONDER_RETURN_IF_ERROR(BeginItem(&is_first));
      PONDER_ASSIGN_OR_RETURN(const std::string name, KeyText(key));
      absl::StrAppend(&text_, JsonText(name, format_.ensure_ascii),
                      format_.key_separator);
      PONDER_RETURN_IF_ERROR(Write(value));
    }
    return End('}', is_first);
  }

  absl::StatusOr<std::string> KeyText(const Value& key) const {
    if (const std::string* text = key.AsText()) return *text;
    if (key.Is<None>()) return "null";
    if (const bool* truth = key.As<bool>()) return *truth ? "true" : "false";
    if (const int64_t* integer = key.As<int64_t>()) {
      return absl::StrCat(*integer);
    }
    if (const double* number = key.As<double>()) return JsonNumber(*number);
    return absl::InvalidArgumentError(
        absl::StrCat("a key of JSON can't be a ", TypeName(key)));
  }

  void Begin(char bracket) {
    text_.push_back(bracket);
    ++depth_;
  }
  absl::Status BeginItem(bool* is_first) {
    if (!*is_first) text_ += separator_;
    *is_first = false;
    return BreakLine();
  }
  absl::Status End(char bracket, bool is_empty) {
    --depth_;
    if (!is_empty) PONDER_RETURN_IF_ERROR(BreakLine());
    text_.push_back(bracket);
    return absl::OkStatus();
  }
  absl::Status BreakLine() {
    if (!format_.indent.has_value()) return budget_.Spend(1);
    PONDER_RETURN_IF_ERROR(budget_.SpendBytes(format_.indent->size() * depth_));
    text_ += "\n";
    for (size_t i = 0; i < depth_; ++i) text_ += *format_.indent;
    return absl::OkStatus();
  }

  const JsonFormat& format_;
  const std::string separator_;
  Budget& budget_;
  std::string text_;
  size_t depth_ = 0;
};

}  // namespace

absl::StatusOr<std::string> ToJson(const Value& value, const JsonFormat& format,
                                   Budget& budget) {
  Writer writer(format, budget);
  PONDER_RETURN_IF_ERROR(writer.Write(value));
  return writer.Take();
}

}  // namespace ponder::jinja
