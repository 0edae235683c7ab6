#include "rl/data/verl_ground_truth.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "proto/value_codec.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

// A text, or a list of its lines.
Json AsLines(const Json& value) {
  if (!value.is_array()) return value;
  std::string text;
  for (const Json& line : value) {
    absl::StrAppend(&text,
                    line.is_string() ? line.get<std::string>() : DumpJson(line),
                    "\n");
  }
  return text;
}

// The list of arguments: as it is, or each line's JSON.
absl::StatusOr<Json> Arguments(const Json& input, const std::string& where) {
  if (!input.is_string()) return input;
  Json arguments = Json::array();
  const std::string text = input.get<std::string>();
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    PONDER_ASSIGN_OR_RETURN(Json argument, ParseJson(line, where));
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

absl::StatusOr<Json> Expected(const Json& output, const std::string& where) {
  if (!output.is_string()) return output;
  return ParseJson(output.get<std::string>(), where);
}

// Ponder's form of the tests.
absl::StatusOr<Json> ToTests(const Json& truth) {
  const Json& inputs = truth.at("inputs");
  const Json& outputs = truth.at("outputs");
  if (!inputs.is_array() || !outputs.is_array() ||
      inputs.size() != outputs.size()) {
    return absl::InvalidArgumentError(
        "reward_model.ground_truth: inputs and outputs must be lists of the "
        "same length");
  }
  const auto fn = truth.find("fn_name");
  const bool is_call = fn != truth.end() && !fn->is_null();
  Json tests;
  tests["kind"] = is_call ? "call" : "stdio";
  if (is_call) tests["fn"] = *fn;
  tests["hidden"] = Json::array();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!is_call) {
      tests["hidden"].push_back(
          Json::array({AsLines(inputs[i]), AsLines(outputs[i])}));
      continue;
    }
    const std::string where =
        absl::StrCat("reward_model.ground_truth, test ", i + 1);
    PONDER_ASSIGN_OR_RETURN(Json arguments, Arguments(inputs[i], where));
    PONDER_ASSIGN_OR_RETURN(Json expected, Expected(outputs[i], where));
    tests["hidden"].push_back(
        Json::array({std::move(arguments), std::move(expected)}));
  }
  return tests;
}

bool Holds(const Json& object, const char* first, const char* second) {
  return object.is_object() && object.contains(first) &&
         object.contains(second);
}

}  // namespace

absl::StatusOr<VerlGroundTruth> ParseVerlGroundTruth(const Json& value) {
  VerlGroundTruth result;
  Json truth = value;
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if (!absl::StartsWith(absl::StripAsciiWhitespace(text), "{")) return result;
    absl::StatusOr<Json> parsed = ParseJson(text, "reward_model.ground_truth");
    if (!parsed.ok()) return result;  // An answer that begins with a brace.
    truth = *std::move(parsed);
  }
  if (Holds(truth, "inputs", "outputs")) {
    PONDER_ASSIGN_OR_RETURN(const Json tests, ToTests(truth));
    PONDER_ASSIGN_OR_RETURN(result.tests, TestSuiteFromJson(tests));
    result.verifier = "code";
  } else if (Holds(truth, "target", "numbers")) {
    for (const char* name : {"target", "numbers"}) {
      Field* field = result.columns.add_fields();
      field->set_name(name);
      PONDER_ASSIGN_OR_RETURN(*field->mutable_value(),
                              ValueFromJson(truth.at(name)));
    }
    result.verifier = "countdown";
  }
  return result;
}

}  // namespace ponder
