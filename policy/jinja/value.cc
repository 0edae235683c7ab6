#include "policy/jinja/value.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "policy/jinja/limits.h"

namespace ponder::jinja {
namespace {

int DepthOf(const Value& value) {
  if (const Sequence* sequence = value.AsSequence()) return sequence->depth;
  if (const Dict* dict = value.AsDict()) return dict->depth;
  if (const auto* loop = value.As<std::shared_ptr<Loop>>()) {
    return (*loop)->depth;
  }
  if (const auto* method = value.As<std::shared_ptr<Method>>()) {
    return 1 + DepthOf((*method)->receiver);
  }
  return 0;
}

absl::Status CheckDepth(int depth) {
  if (depth <= kMaxValueDepth) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("lists and dicts are nested deeper than ", kMaxValueDepth));
}

}  // namespace

absl::StatusOr<Value> MakeSequence(Sequence::Kind kind,
                                   std::vector<Value> items) {
  auto sequence = std::make_shared<Sequence>();
  sequence->kind = kind;
  for (const Value& item : items) {
    sequence->depth = std::max(sequence->depth, 1 + DepthOf(item));
  }
  const absl::Status status = CheckDepth(sequence->depth);
  if (!status.ok()) return status;
  sequence->items = std::move(items);
  return Value(std::move(sequence));
}

absl::StatusOr<Value> MakeDict(std::vector<std::pair<Value, Value>> entries) {
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, value] : entries) {
    dict->depth = std::max({dict->depth, 1 + DepthOf(key), 1 + DepthOf(value)});
  }
  const absl::Status status = CheckDepth(dict->depth);
  if (!status.ok()) return status;
  dict->entries = std::move(entries);
  return Value(std::move(dict));
}

absl::StatusOr<std::shared_ptr<Loop>> MakeLoop(std::vector<Value> items) {
  auto loop = std::make_shared<Loop>();
  for (const Value& item : items) {
    loop->depth = std::max(loop->depth, 1 + DepthOf(item));
  }
  const absl::Status status = CheckDepth(loop->depth);
  if (!status.ok()) return status;
  loop->items = std::make_shared<const std::vector<Value>>(std::move(items));
  return loop;
}

std::string TypeName(const Value& value) {
  if (value.Is<None>()) return "NoneType";
  if (value.Is<Undefined>()) return "Undefined";
  if (value.Is<bool>()) return "bool";
  if (value.Is<int64_t>()) return "int";
  if (value.Is<double>()) return "float";
  if (value.Is<Text>()) return "str";
  if (value.Is<Markup>()) return "Markup";
  if (const Sequence* sequence = value.AsSequence()) {
    switch (sequence->kind) {
      case Sequence::Kind::kList:
        return "list";
      case Sequence::Kind::kTuple:
        return "tuple";
      case Sequence::Kind::kRange:
        return "range";
      case Sequence::Kind::kItems:
        return "dict_items";
      case Sequence::Kind::kKeys:
        return "dict_keys";
      case Sequence::Kind::kValues:
        return "dict_values";
      case Sequence::Kind::kGenerator:
        return "generator";
    }
  }
  if (value.AsDict() != nullptr) return "dict";
  if (value.Is<std::shared_ptr<Namespace>>()) return "Namespace";
  if (value.Is<std::shared_ptr<Loop>>()) return "LoopContext";
  if (value.Is<std::shared_ptr<Macro>>()) return "Macro";
  return "function";
}

bool IsTrue(const Value& value) {
  if (value.Is<None>() || value.Is<Undefined>()) return false;
  if (const bool* truth = value.As<bool>()) return *truth;
  if (const int64_t* integer = value.As<int64_t>()) return *integer != 0;
  if (const double* number = value.As<double>()) return *number != 0;
  if (const std::string* text = value.AsText()) return !text->empty();
  if (const Markup* markup = value.As<Markup>()) return !markup->utf8->empty();
  if (const Sequence* sequence = value.AsSequence()) {
    return sequence->kind == Sequence::Kind::kGenerator ||
           !sequence->items.empty();
  }
  if (const Dict* dict = value.AsDict()) return !dict->entries.empty();
  if (const auto* loop = value.As<std::shared_ptr<Loop>>()) {
    return !(*loop)->items->empty();
  }
  return true;
}

}  // namespace ponder::jinja
