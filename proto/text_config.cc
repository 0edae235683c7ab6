#include "proto/text_config.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "proto/config_check.h"
#include "proto/config_settings.h"

namespace ponder {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FileDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;
using ::google::protobuf::TextFormat;

// `LINE:COLUMN`, counted from 1; protobuf counts from 0 and has -1 for none.
std::string Position(int line, int column) {
  if (line < 0) return "1:1";
  return absl::StrCat(line + 1, ":", column + 1);
}

// The enum type of a field called `name`, wherever in the schema it is.
const google::protobuf::EnumDescriptor* FindEnumOfField(
    const std::string& name) {
  const FileDescriptor& file = *RunConfig::descriptor()->file();
  for (int i = 0; i < file.message_type_count(); ++i) {
    const FieldDescriptor* field = file.message_type(i)->FindFieldByName(name);
    if (field != nullptr && field->enum_type() != nullptr) {
      return field->enum_type();
    }
  }
  return nullptr;
}

constexpr absl::string_view kUnknownValue = "Unknown enumeration value of ";

// Protobuf's message in our words, with the nearest known name.
std::string ImproveParserMessage(const std::string& message) {
  // Message type "TYPE" has no field named "NAME".
  // Unknown enumeration value of "VALUE" for field "NAME".
  const std::vector<std::string> parts = absl::StrSplit(message, '"');
  if (parts.size() == 5 && parts[2] == " has no field named ") {
    const Descriptor* type =
        RunConfig::descriptor()->file()->pool()->FindMessageTypeByName(
            parts[1]);
    if (type != nullptr) return UnknownFieldText(*type, parts[3]);
  }
  if (parts.size() == 5 && parts[0] == kUnknownValue) {
    const auto* values = FindEnumOfField(parts[3]);
    if (values != nullptr) {
      return absl::StrCat("no ", values->name(), " is named \"", parts[1], "\"",
                          NameHint(parts[1], EnumNames(*values)));
    }
  }
  return std::string(absl::StripSuffix(message, "."));
}

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(const std::string& text)
      : lines_(absl::StrSplit(text, '\n')) {}

  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (!text_.empty()) return;
    // An unknown value is only noticed behind it.
    if (absl::StartsWith(message, kUnknownValue) && line >= 0) {
      const std::vector<std::string> parts = absl::StrSplit(message, '"');
      const size_t begin = lines_[line].rfind(parts[1], column);
      if (begin != std::string::npos) column = static_cast<int>(begin);
    }
    text_ = absl::StrCat(Position(line, column), ": ",
                         ImproveParserMessage(message));
  }
  const std::string& text() const { return text_; }

 private:
  const std::vector<std::string> lines_;
  std::string text_;
};

// Where in the file the field at `path` ("stage[2].grpo.steps") was given, or
// else the innermost message around it that was. TextFormat's tree has only
// what the file gives, with elements counted in the file's order.
std::string FindPosition(const TextFormat::ParseInfoTree& root,
                         const std::string& path) {
  const TextFormat::ParseInfoTree* tree = &root;
  const Descriptor* type = RunConfig::descriptor();
  TextFormat::ParseLocation location(-1, -1);
  for (const absl::string_view part : absl::StrSplit(path, '.')) {
    if (tree == nullptr || type == nullptr) break;
    const size_t open = part.find('[');
    const FieldDescriptor* field =
        type->FindFieldByName(std::string(part.substr(0, open)));
    if (field == nullptr) break;
    int index = field->is_repeated() ? 0 : -1;
    if (open != absl::string_view::npos &&
        !absl::SimpleAtoi(part.substr(open + 1, part.size() - open - 2),
                          &index)) {
      break;
    }
    const TextFormat::ParseLocation here = tree->GetLocation(field, index);
    if (here.line < 0) break;
    location = here;
    type = field->message_type();
    if (type == nullptr) break;
    tree = tree->GetTreeForNested(field, index);
  }
  return Position(location.line, location.column);
}

std::string ProblemText(const ConfigProblem& problem) {
  return absl::StrCat(problem.path, ": ", problem.value, "; ", problem.rule);
}

// Writes the default of every unset field out, in messages that exist as well
// as in those that do not; only alternatives (a stage's kind) are not chosen.
void FillDefaults(Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  const Reflection& r = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (field->is_repeated()) {
      if (field->message_type() == nullptr) continue;
      for (int k = 0; k < r.FieldSize(message, field); ++k) {
        FillDefaults(*r.MutableRepeatedMessage(&message, field, k));
      }
      continue;
    }
    if (field->message_type() != nullptr) {
      const bool is_choice = field->real_containing_oneof() != nullptr;
      if (r.HasField(message, field) || !is_choice) {
        FillDefaults(*r.MutableMessage(&message, field));
      }
      continue;
    }
    if (r.HasField(message, field) || !field->has_default_value()) continue;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        r.SetInt32(&message, field, field->default_value_int32());
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        r.SetInt64(&message, field, field->default_value_int64());
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        r.SetUInt64(&message, field, field->default_value_uint64());
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        r.SetDouble(&message, field, field->default_value_double());
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        r.SetBool(&message, field, field->default_value_bool());
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        r.SetString(&message, field, field->default_value_string());
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        r.SetEnum(&message, field, field->default_value_enum());
        break;
      default:
        break;
    }
  }
}

}  // namespace

absl::StatusOr<RunConfig> LoadRunConfig(
    const std::string& path, const std::vector<std::string>& settings) {
  RunConfig config;
  TextFormat::ParseInfoTree locations;
  if (!path.empty()) {
    PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
    FirstError error(text);
    TextFormat::Parser parser;
    parser.RecordErrorsTo(&error);
    parser.WriteLocationsTo(&locations);
    if (!parser.ParseFromString(text, &config)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", error.text()));
    }
  }
  std::map<std::string, std::string> set_by;  // From the field's path.
  for (const std::string& setting : settings) {
    PONDER_ASSIGN_OR_RETURN(const std::string field,
                            ApplySetting(setting, config));
    set_by[field] = setting;
  }
  const std::optional<ConfigProblem> problem = FindConfigProblem(config);
  if (!problem.has_value()) return config;
  const std::string text = ProblemText(*problem);
  const auto setting = set_by.find(problem->path);
  if (setting != set_by.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--set ", setting->second, ": ", text));
  }
  if (path.empty()) return absl::InvalidArgumentError(text);
  return absl::InvalidArgumentError(absl::StrCat(
      path, ":", FindPosition(locations, problem->path), ": ", text));
}

absl::Status ValidateRunConfig(const RunConfig& config) {
  const std::optional<ConfigProblem> problem = FindConfigProblem(config);
  if (!problem.has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(ProblemText(*problem));
}

std::string RunConfigToText(const RunConfig& config) {
  RunConfig full = config;
  FillDefaults(full);
  std::string text;
  TextFormat::Printer printer;
  printer.SetUseUtf8StringEscaping(true);
  printer.PrintToString(full, &text);
  return text;
}

std::string StageKind(const Stage& stage) {
  const FieldDescriptor* kind = stage.GetReflection()->GetOneofFieldDescriptor(
      stage, Stage::descriptor()->FindOneofByName("kind"));
  return kind == nullptr ? "" : kind->name();
}

std::string StageName(const Stage& stage) {
  return stage.has_name() ? stage.name() : StageKind(stage);
}

const SupervisedStage* SupervisedOf(const Stage& stage) {
  if (stage.has_pretrain()) return &stage.pretrain();
  if (stage.has_sft()) return &stage.sft();
  return nullptr;
}

bool TrainsPolicy(const Stage& stage) {
  return SupervisedOf(stage) != nullptr || stage.has_grpo();
}

bool EvaluatesPolicy(const Stage& stage, const RunConfig& config) {
  return stage.has_eval() || (TrainsPolicy(stage) && stage.evaluate() &&
                              config.eval_data_size() > 0);
}

bool IsNamed(const DataSet& set,
             const google::protobuf::RepeatedPtrField<std::string>& names) {
  return names.empty() ||
         std::find(names.begin(), names.end(), DataSetName(set)) != names.end();
}

bool ReadsData(const Stage& stage, const DataSet& set) {
  if (const SupervisedStage* supervised = SupervisedOf(stage)) {
    return IsNamed(set, supervised->data());
  }
  return (stage.has_grpo() && IsNamed(set, stage.grpo().data())) ||
         (stage.has_sample() && IsNamed(set, stage.sample().data()));
}

std::string PromptTemplate(const PromptConfig& prompt) {
  return prompt.has_template_() ? prompt.template_() : "{prompt}";
}

bool HasTeacher(const GrpoStage& stage) {
  return stage.teacher_policy_case() != GrpoStage::TEACHER_POLICY_NOT_SET;
}

std::string DataSetName(const DataSet& data_set) {
  if (data_set.has_name()) return data_set.name();
  return std::filesystem::path(data_set.path()).stem().string();
}

std::string ExpandRunPath(const std::string& path,
                          const std::string& run_folder) {
  absl::string_view rest = path;
  if (!absl::ConsumePrefix(&rest, "$RUN")) return path;
  return absl::StrCat(run_folder, rest);
}

}  // namespace ponder
