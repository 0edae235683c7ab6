// What an expression of a template can be: Python's values, as far as templates
// use them.

#ifndef PONDER_POLICY_JINJA_VALUE_H_
#define PONDER_POLICY_JINJA_VALUE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder::jinja {

class Scope;
class Value;
struct Statement;

// Names nothing. Prints as nothing; most other uses are errors.
struct Undefined {
  std::shared_ptr<const std::string> why;  // "'x' is undefined".
};
struct None {};
// UTF-8, well-formed. Characters are code points.
struct Text {
  std::shared_ptr<const std::string> utf8;
};
// What the filter `safe` makes. It can be printed and joined with ~; Jinja
// escapes what other operations add to it, which is not supported.
struct Markup {
  std::shared_ptr<const std::string> utf8;
};

// Everything with an order. Immutable, but for a generator.
struct Sequence {
  enum class Kind {
    kList,
    kTuple,
    kRange,
    kItems,  // Views of a dict.
    kKeys,
    kValues,
    kGenerator,  // Of filters; hands its items out once.
  };
  Kind kind = Kind::kList;
  int depth = 1;  // Containers within one another, this one included.
  std::vector<Value> items;
  bool is_consumed = false;  // A generator that was read.
};

// In order of insertion. Searched linearly; the caller pays steps for it.
struct Dict {
  int depth = 1;
  std::vector<std::pair<Value, Value>> entries;
};

// The one value that changes. Cycles through it are cut when a rendering ends.
struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
};

// `loop` inside a for.
struct Loop {
  int depth = 1;  // Containers within one another, this one included.
  int64_t index0 = 0;
  std::shared_ptr<const std::vector<Value>> items;
};

struct Macro {
  const Statement* definition = nullptr;  // Not owned; of the template.
  std::shared_ptr<Scope> scope;           // Where it was defined.
};

enum class Function {
  kRaiseException,
  kStrftimeNow,
  kNamespace,
  kRange,
  kDict
};

// A method that is not yet called.
struct Method;

class Value {
 public:
  Value() : value_(None{}) {}
  explicit Value(bool value) : value_(value) {}
  explicit Value(int64_t value) : value_(value) {}
  explicit Value(double value) : value_(value) {}
  explicit Value(std::string utf8)
      : value_(Text{std::make_shared<const std::string>(std::move(utf8))}) {}
  explicit Value(absl::string_view utf8) : Value(std::string(utf8)) {}
  explicit Value(const char* utf8) : Value(std::string(utf8)) {}
  template <typename T>
  explicit Value(T value) : value_(std::move(value)) {}

  static Value MakeUndefined(std::string why) {
    return Value(
        Undefined{std::make_shared<const std::string>(std::move(why))});
  }

  // The alternative; null if the value is another.
  template <typename T>
  const T* As() const {
    return std::get_if<T>(&value_);
  }
  template <typename T>
  bool Is() const {
    return std::holds_alternative<T>(value_);
  }

  const std::string* AsText() const {
    const Text* text = As<Text>();
    return text == nullptr ? nullptr : text->utf8.get();
  }
  const Sequence* AsSequence() const { return Pointer<Sequence>(); }
  const Dict* AsDict() const { return Pointer<Dict>(); }
  const Sequence* AsSequence(Sequence::Kind kind) const {
    const Sequence* sequence = AsSequence();
    return sequence != nullptr && sequence->kind == kind ? sequence : nullptr;
  }

 private:
  template <typename T>
  const T* Pointer() const {
    const auto* pointer = As<std::shared_ptr<T>>();
    return pointer == nullptr ? nullptr : pointer->get();
  }

  std::variant<None, Undefined, bool, int64_t, double, Text, Markup,
               std::shared_ptr<Sequence>, std::shared_ptr<Dict>,
               std::shared_ptr<Namespace>, std::shared_ptr<Loop>,
               std::shared_ptr<Macro>, Function, std::shared_ptr<Method>>
      value_;
};

struct Method {
  Value receiver;
  std::string name;
};

// Containers know their depth. INVALID_ARGUMENT beyond kMaxValueDepth.
absl::StatusOr<Value> MakeSequence(Sequence::Kind kind,
                                   std::vector<Value> items);
absl::StatusOr<Value> MakeDict(std::vector<std::pair<Value, Value>> entries);
absl::StatusOr<std::shared_ptr<Loop>> MakeLoop(std::vector<Value> items);

// Python's name of the type, for errors.
std::string TypeName(const Value& value);

// What `if` asks.
bool IsTrue(const Value& value);

}  // namespace ponder::jinja

#endif  // PONDER_POLICY_JINJA_VALUE_H_
