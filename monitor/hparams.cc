#include "monitor/hparams.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace ponder {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

void AddMessage(const std::string& path, const Message& message, Hparams* out);

std::string Joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : absl::StrCat(path, ".", name);
}

// What the message calls itself: its field `name`.
std::string NameOf(const Message& message) {
  const FieldDescriptor* field =
      message.GetDescriptor()->FindFieldByName("name");
  if (field == nullptr || field->is_repeated() ||
      field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
    return "";
  }
  return message.GetReflection()->GetString(message, field);
}

void AddStage(const Stage& stage, int index, Hparams* out) {
  const FieldDescriptor* kind = stage.GetReflection()->GetOneofFieldDescriptor(
      stage, stage.GetDescriptor()->FindOneofByName("kind"));
  std::string name = stage.name();
  if (name.empty() && kind != nullptr) name = kind->name();
  // Two stages may have one kind and no names.
  const std::string path = absl::StrCat("stage[", index, "]:", name);
  (*out)[Joined(path, "evaluate")] = stage.evaluate();
  if (stage.has_init_from()) {
    (*out)[Joined(path, "init_from")] = stage.init_from();
  }
  if (stage.has_policy()) {
    AddMessage(Joined(path, "policy"), stage.policy(), out);
  }
  if (kind == nullptr) return;
  AddMessage(path, stage.GetReflection()->GetMessage(stage, kind), out);
}

void AddScalar(const std::string& path, const Message& message,
               const FieldDescriptor& field, Hparams* out) {
  const Reflection& r = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      (*out)[path] = r.GetBool(message, &field);
      return;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      (*out)[path] = r.GetDouble(message, &field);
      return;
    case FieldDescriptor::CPPTYPE_INT32:
      (*out)[path] = static_cast<double>(r.GetInt32(message, &field));
      return;
    case FieldDescriptor::CPPTYPE_INT64:
      (*out)[path] = static_cast<double>(r.GetInt64(message, &field));
      return;
    case FieldDescriptor::CPPTYPE_UINT64:
      (*out)[path] = static_cast<double>(r.GetUInt64(message, &field));
      return;
    case FieldDescriptor::CPPTYPE_ENUM:
      (*out)[path] = r.GetEnum(message, &field)->name();
      return;
    case FieldDescriptor::CPPTYPE_STRING:
      (*out)[path] = r.GetString(message, &field);
      return;
    default:  // The schema has no others.
      return;
  }
}

void AddRepeated(const std::string& path, const Message& message,
                 const FieldDescriptor& field, Hparams* out) {
  const Reflection& r = *message.GetReflection();
  std::vector<std::string> texts;
  for (int i = 0; i < r.FieldSize(message, &field); ++i) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Message& element = r.GetRepeatedMessage(message, &field, i);
      const std::string name = NameOf(element);
      AddMessage(
          absl::StrCat(path, "[", name.empty() ? absl::StrCat(i) : name, "]"),
          element, out);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      texts.push_back(r.GetRepeatedString(message, &field, i));
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      texts.push_back(r.GetRepeatedEnum(message, &field, i)->name());
    }
  }
  if (!texts.empty()) (*out)[path] = absl::StrJoin(texts, ",");
}

void AddMessage(const std::string& path, const Message& message, Hparams* out) {
  const Reflection& r = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const std::string name = Joined(path, field.name());
    if (path.empty() && field.name() == "stage") continue;
    if (field.is_repeated()) {
      AddRepeated(name, message, field, out);
    } else if (field.containing_oneof() != nullptr &&
               !r.HasField(message, &field)) {
      continue;
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      AddMessage(name, r.GetMessage(message, &field), out);
    } else {
      AddScalar(name, message, field, out);
    }
  }
}

}  // namespace

Hparams HparamsOf(const RunConfig& config) {
  Hparams hparams;
  AddMessage("", config, &hparams);
  for (int i = 0; i < config.stage_size(); ++i) {
    AddStage(config.stage(i), i, &hparams);
  }
  return hparams;
}

}  // namespace ponder
