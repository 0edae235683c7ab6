#include "proto/config_settings.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "google/protobuf/message.h"
#include "proto/text_config.h"

namespace ponder {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::EnumDescriptor;
using ::google::protobuf::EnumValueDescriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

std::vector<std::string> FieldNames(const Descriptor& message) {
  std::vector<std::string> names;
  for (int i = 0; i < message.field_count(); ++i) {
    names.push_back(message.field(i)->name());
  }
  return names;
}

// The way from `message` down to a field called `name`; empty if there is none.
std::string WayToField(const Descriptor& message, const std::string& name) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    if (field.name() == name) return name;
    if (field.message_type() == nullptr) continue;
    const std::string way = WayToField(*field.message_type(), name);
    if (!way.empty()) return absl::StrCat(field.name(), ".", way);
  }
  return "";
}

struct Segment {
  std::string name;
  std::optional<std::string> element;  // Between brackets.
};

// Cuts at the dots that are not between brackets.
std::vector<absl::string_view> SplitPath(absl::string_view path) {
  std::vector<absl::string_view> parts;
  size_t begin = 0;
  bool in_brackets = false;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '[') in_brackets = true;
    if (path[i] == ']') in_brackets = false;
    if (path[i] != '.' || in_brackets) continue;
    parts.push_back(path.substr(begin, i - begin));
    begin = i + 1;
  }
  parts.push_back(path.substr(begin));
  return parts;
}

absl::StatusOr<std::vector<Segment>> ParsePath(absl::string_view path) {
  std::vector<Segment> segments;
  for (const absl::string_view part : SplitPath(path)) {
    Segment segment;
    const size_t open = part.find('[');
    segment.name = std::string(part.substr(0, open));
    if (open != absl::string_view::npos) {
      if (part.back() != ']') {
        return absl::InvalidArgumentError("a \"[\" has no \"]\" behind it");
      }
      segment.element =
          std::string(part.substr(open + 1, part.size() - open - 2));
    }
    if (segment.name.empty()) {
      return absl::InvalidArgumentError(
          "a field name is empty; wanted e.g. seed=7 or stage[0].grpo.steps=3");
    }
    segments.push_back(segment);
  }
  return segments;
}

std::string ElementName(const Message& element) {
  if (const auto* stage = dynamic_cast<const Stage*>(&element)) {
    return StageName(*stage);
  }
  if (const auto* data_set = dynamic_cast<const DataSet*>(&element)) {
    return DataSetName(*data_set);
  }
  const FieldDescriptor* name =
      element.GetDescriptor()->FindFieldByName("name");
  if (name == nullptr) return "";
  return element.GetReflection()->GetString(element, name);
}

// The index of the element of the repeated `field` that `segment` chooses.
absl::StatusOr<int> ChooseElement(const Segment& segment,
                                  const FieldDescriptor* field,
                                  Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, field);
  std::vector<std::string> names;
  for (int i = 0; i < size; ++i) {
    names.push_back(
        ElementName(reflection.GetRepeatedMessage(message, field, i)));
  }
  if (!segment.element.has_value()) {
    if (size == 0) reflection.AddMessage(&message, field);
    if (size <= 1) return 0;
    return absl::InvalidArgumentError(absl::StrCat(
        "there are ", size, " of ", field->name(), "; say which, e.g. ",
        field->name(), "[", names[0].empty() ? "0" : names[0], "]"));
  }
  int index;
  if (absl::SimpleAtoi(*segment.element, &index)) {
    if (index >= 0 && index < size) return index;
    return absl::InvalidArgumentError(
        absl::StrCat(field->name(), " has ", size, " element",
                     size == 1 ? "" : "s", "; counting starts at 0"));
  }
  for (int i = 0; i < size; ++i) {
    if (names[i] == *segment.element) return i;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no ", field->name(), " is named \"", *segment.element, "\"",
                   NameHint(*segment.element, names)));
}

// A setting may not turn a stage of one kind into another; a value takes the
// place of the other that there may be.
absl::Status CheckOneof(const FieldDescriptor* field, const Message& message) {
  if (field->real_containing_oneof() == nullptr ||
      field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return absl::OkStatus();
  }
  const FieldDescriptor* set = message.GetReflection()->GetOneofFieldDescriptor(
      message, field->real_containing_oneof());
  if (set == nullptr || set == field) return absl::OkStatus();
  const std::string name = ElementName(message);
  return absl::InvalidArgumentError(absl::StrCat(
      name.empty() ? std::string("it") : absl::StrCat("\"", name, "\""),
      " holds ", set->name(), ", not ", field->name()));
}

// Sets or adds one value.
absl::Status SetScalar(const std::string& text, const FieldDescriptor* field,
                       Message& message) {
  const Reflection& r = *message.GetReflection();
  const auto wrong = [&](absl::string_view wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not ", wanted));
  };
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      int32_t value;
      if (!absl::SimpleAtoi(text, &value)) return wrong("a 32-bit integer");
      field->is_repeated() ? r.AddInt32(&message, field, value)
                           : r.SetInt32(&message, field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t value;
      if (!absl::SimpleAtoi(text, &value)) return wrong("a 64-bit integer");
      field->is_repeated() ? r.AddInt64(&message, field, value)
                           : r.SetInt64(&message, field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      uint64_t value;
      if (!absl::SimpleAtoi(text, &value)) {
        return wrong("a 64-bit integer of at least 0");
      }
      field->is_repeated() ? r.AddUInt64(&message, field, value)
                           : r.SetUInt64(&message, field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value;
      if (!absl::SimpleAtod(text, &value)) return wrong("a number");
      field->is_repeated() ? r.AddDouble(&message, field, value)
                           : r.SetDouble(&message, field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      bool value;
      if (!absl::SimpleAtob(text, &value)) return wrong("true or false");
      field->is_repeated() ? r.AddBool(&message, field, value)
                           : r.SetBool(&message, field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_STRING:
      field->is_repeated() ? r.AddString(&message, field, text)
                           : r.SetString(&message, field, text);
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_ENUM: {
      const EnumDescriptor& values = *field->enum_type();
      const EnumValueDescriptor* value = nullptr;
      for (int i = 0; i < values.value_count(); ++i) {
        if (absl::EqualsIgnoreCase(values.value(i)->name(), text)) {
          value = values.value(i);
        }
      }
      if (value == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("no ", values.name(), " is named \"", text, "\"",
                         NameHint(text, EnumNames(values))));
      }
      field->is_repeated() ? r.AddEnum(&message, field, value)
                           : r.SetEnum(&message, field, value);
      return absl::OkStatus();
    }
    default:
      return absl::UnimplementedError(
          absl::StrCat(field->cpp_type_name(), " cannot be set"));
  }
}

absl::Status SetField(const Segment& segment, const std::string& value,
                      const FieldDescriptor* field, Message& message) {
  if (field->message_type() != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        field->name(), " is not one value; set one of its fields: ",
        absl::StrJoin(FieldNames(*field->message_type()), ", ")));
  }
  if (segment.element.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(field->name(), " cannot be set by element; give all of ",
                     "them, separated by commas"));
  }
  if (!field->is_repeated()) return SetScalar(value, field, message);
  message.GetReflection()->ClearField(&message, field);
  if (value.empty()) return absl::OkStatus();
  for (const absl::string_view part : absl::StrSplit(value, ',')) {
    PONDER_RETURN_IF_ERROR(SetScalar(std::string(part), field, message));
  }
  return absl::OkStatus();
}

// Returns the path with every element by index.
absl::StatusOr<std::string> Apply(absl::string_view path,
                                  const std::string& value, Message& config) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<Segment> segments, ParsePath(path));
  Message* message = &config;
  std::string done;
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    const FieldDescriptor* field =
        message->GetDescriptor()->FindFieldByName(segment.name);
    if (field == nullptr) {
      return absl::InvalidArgumentError(
          UnknownFieldText(*message->GetDescriptor(), segment.name));
    }
    PONDER_RETURN_IF_ERROR(CheckOneof(field, *message));
    absl::StrAppend(&done, done.empty() ? "" : ".", segment.name);
    if (i + 1 == segments.size()) {
      PONDER_RETURN_IF_ERROR(SetField(segment, value, field, *message));
      break;
    }
    if (field->message_type() == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(segment.name, " is one value and has no field \"",
                       segments[i + 1].name, "\""));
    }
    if (field->is_repeated()) {
      PONDER_ASSIGN_OR_RETURN(const int index,
                              ChooseElement(segment, field, *message));
      absl::StrAppend(&done, "[", index, "]");
      message = message->GetReflection()->MutableRepeatedMessage(message, field,
                                                                 index);
    } else if (segment.element.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(segment.name, " exists only once; leave out [",
                       *segment.element, "]"));
    } else {
      message = message->GetReflection()->MutableMessage(message, field);
    }
  }
  return done;
}

}  // namespace

std::string UnknownFieldText(const Descriptor& message,
                             const std::string& name) {
  const std::string text =
      absl::StrCat("no field named \"", name, "\" in ", message.name());
  const std::string way = WayToField(message, name);
  if (!way.empty()) return absl::StrCat(text, "; did you mean \"", way, "\"?");
  return absl::StrCat(text, NameHint(name, FieldNames(message)));
}

std::vector<std::string> EnumNames(const EnumDescriptor& values) {
  std::vector<std::string> names;
  for (int i = 0; i < values.value_count(); ++i) {
    names.push_back(values.value(i)->name());
  }
  return names;
}

absl::StatusOr<std::string> ApplySetting(const std::string& setting,
                                         RunConfig& config) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("--set ", setting, ": no \"=\"; wanted key.path=value"));
  }
  // Applied to a copy, so that a wrong setting leaves nothing behind.
  RunConfig changed = config;
  const absl::StatusOr<std::string> path =
      Apply(absl::string_view(setting).substr(0, equals),
            setting.substr(equals + 1), changed);
  if (!path.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--set ", setting, ": ", path.status().message()));
  }
  config = std::move(changed);
  return *path;
}

}  // namespace ponder
