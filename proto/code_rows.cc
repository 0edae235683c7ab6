#include "proto/code_rows.h"

#include <algorithm>
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
using MaybeSuite = absl::StatusOr<std::optional<TestSuite>>;

const Json* Find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::string Text(const Json* value) {
  return value != nullptr && value->is_string() ? value->get<std::string>()
                                                : std::string();
}

// A value that may stand as a text with its JSON.
absl::StatusOr<Json> Unwrap(const Json& value, const std::string& where) {
  if (!value.is_string()) return value;
  return ParseJson(value.get_ref<const std::string&>(), where);
}

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

// APPS puts what a function returns into a list of one, other sets do not; a
// row is one or the other.
bool AreWrapped(const Json& outputs) {
  return std::all_of(outputs.begin(), outputs.end(), [](const Json& output) {
    return output.is_array() && output.size() == 1;
  });
}

TestSuite FromHumanEval(const Json& row, const std::string& test,
                        const std::string& entry_point) {
  TestSuite suite;
  suite.set_kind("assert");
  suite.set_fn(entry_point);
  suite.add_hidden()->set_code(test);
  // The head of the function that is to be written, with imports and helpers
  // before it. Definitions that come later win.
  const std::string prompt = Text(Find(row, "prompt"));
  if (absl::StrContains(prompt, absl::StrCat("def ", entry_point))) {
    suite.set_preamble(prompt);
  }
  return suite;
}

MaybeSuite FromMbpp(const Json& row, const Json& list) {
  if (!list.is_array() || list.empty()) {
    return absl::InvalidArgumentError("test_list: wanted a list of asserts");
  }
  std::string setup = Text(Find(row, "test_setup_code"));
  if (const Json* imports = Find(row, "test_imports"); imports != nullptr) {
    for (const Json& line : *imports) {
      absl::StrAppend(&setup, setup.empty() ? "" : "\n", Text(&line));
    }
  }
  TestSuite suite;
  suite.set_kind("assert");
  for (const Json& test : list) {
    suite.add_hidden()->set_code(
        absl::StrCat(setup, setup.empty() ? "" : "\n", Text(&test)));
  }
  return suite;
}

// Cases {input, output}, as texts, behind those that the suite has.
absl::Status AddCases(const Json& cases, const std::string& where,
                      TestSuite* suite) {
  for (const Json& one : cases) {
    const Json* input = Find(one, "input");
    const Json* output = Find(one, "output");
    if (input == nullptr || output == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": a case without input or output"));
    }
    TestCase* test = suite->add_hidden();
    test->set_stdin(Text(input));
    test->set_stdout(Text(output));
  }
  return absl::OkStatus();
}

MaybeSuite FromCodeContests(const Json& row) {
  TestSuite suite;
  suite.set_kind("stdio");
  for (const absl::string_view part :
       {"public_tests", "private_tests", "generated_tests"}) {
    const Json* tests = Find(row, part.data());
    if (tests == nullptr) continue;
    const Json* inputs = Find(*tests, "input");
    const Json* outputs = Find(*tests, "output");
    if (inputs == nullptr || outputs == nullptr || !inputs->is_array() ||
        !outputs->is_array() || inputs->size() != outputs->size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          part, ": input and output must be lists of the same length"));
    }
    for (size_t i = 0; i < inputs->size(); ++i) {
      TestCase* test =
          part == "public_tests" ? suite.add_visible() : suite.add_hidden();
      test->set_stdin(Text(&(*inputs)[i]));
      test->set_stdout(Text(&(*outputs)[i]));
    }
  }
  if (suite.visible().empty() && suite.hidden().empty()) return std::nullopt;
  return suite;
}

// open-r1's verification_info: cases that are all of one type.
MaybeSuite FromOpenR1(const Json& info) {
  const Json* cases = Find(info, "test_cases");
  if (cases == nullptr || !cases->is_array() || cases->empty()) {
    return std::nullopt;
  }
  TestSuite suite;
  if (Text(Find(cases->front(), "type")) == "function_call") {
    Json tests;
    tests["fn_name"] = Text(Find(cases->front(), "fn_name"));
    tests["inputs"] = tests["outputs"] = Json::array();
    for (const Json& one : *cases) {
      const Json* input = Find(one, "input");
      const Json* output = Find(one, "output");
      tests["inputs"].push_back(input == nullptr ? Json() : *input);
      tests["outputs"].push_back(output == nullptr ? Json() : *output);
    }
    PONDER_ASSIGN_OR_RETURN(
        suite, TestSuiteFromInputsOutputs(tests, "verification_info"));
  } else {
    suite.set_kind("stdio");
    PONDER_RETURN_IF_ERROR(
        AddCases(*cases, "verification_info.test_cases", &suite));
  }
  suite.set_language(Text(Find(info, "language")));
  return suite;
}

MaybeSuite FromCodeforces(const Json& row, const Json& official) {
  if (!official.is_array() || official.empty()) return std::nullopt;
  TestSuite suite;
  suite.set_kind("stdio");
  PONDER_RETURN_IF_ERROR(AddCases(official, "official_tests", &suite));
  suite.set_checker_code(Text(Find(row, "generated_checker")));
  return suite;
}

// {inputs, outputs} in verl's place or in the row itself.
MaybeSuite FromGroundTruth(const Json& row) {
  const Json* model = Find(row, "reward_model");
  const Json* truth = model == nullptr ? &row : Find(*model, "ground_truth");
  if (truth == nullptr) return std::nullopt;
  const absl::StatusOr<Json> inner =
      Unwrap(*truth, "reward_model.ground_truth");
  // A text that is no JSON is a plain answer.
  if (!inner.ok() || Find(*inner, "inputs") == nullptr ||
      Find(*inner, "outputs") == nullptr) {
    return std::nullopt;
  }
  return TestSuiteFromInputsOutputs(*inner, "reward_model.ground_truth");
}

}  // namespace

absl::StatusOr<TestSuite> TestSuiteFromInputsOutputs(const Json& tests,
                                                     const std::string& where) {
  const Json* inputs = Find(tests, "inputs");
  const Json* outputs = Find(tests, "outputs");
  if (inputs == nullptr || outputs == nullptr || !inputs->is_array() ||
      !outputs->is_array() || inputs->size() != outputs->size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": inputs and outputs must be lists of the same length"));
  }
  const std::string fn = Text(Find(tests, "fn_name"));
  Json suite;
  suite["kind"] = fn.empty() ? "stdio" : "call";
  suite["fn"] = fn;
  suite["hidden"] = Json::array();
  Json expected_values = Json::array();
  for (size_t i = 0; i < inputs->size(); ++i) {
    if (fn.empty()) {
      suite["hidden"].push_back(
          Json::array({AsLines((*inputs)[i]), AsLines((*outputs)[i])}));
      continue;
    }
    const std::string place = absl::StrCat(where, ", test ", i + 1);
    PONDER_ASSIGN_OR_RETURN(Json arguments, Arguments((*inputs)[i], place));
    PONDER_ASSIGN_OR_RETURN(Json expected, Unwrap((*outputs)[i], place));
    expected_values.push_back(expected);
    suite["hidden"].push_back(
        Json::array({std::move(arguments), std::move(expected)}));
  }
  PONDER_ASSIGN_OR_RETURN(TestSuite result, TestSuiteFromJson(suite));
  if (!fn.empty() && AreWrapped(expected_values)) {
    for (TestCase& test : *result.mutable_hidden()) {
      *test.add_also_expected() = test.expected().list().values(0);
    }
  }
  return result;
}

MaybeSuite TestSuiteFromRow(const Json& row) {
  if (const Json* tests = Find(row, "tests"); tests != nullptr) {
    PONDER_ASSIGN_OR_RETURN(const Json inner, Unwrap(*tests, "column tests"));
    return TestSuiteFromJson(inner);
  }
  const std::string test = Text(Find(row, "test"));
  const std::string entry_point = Text(Find(row, "entry_point"));
  if (!test.empty() && !entry_point.empty()) {
    return FromHumanEval(row, test, entry_point);
  }
  if (const Json* list = Find(row, "test_list"); list != nullptr) {
    return FromMbpp(row, *list);
  }
  if (const Json* tests = Find(row, "input_output"); tests != nullptr) {
    PONDER_ASSIGN_OR_RETURN(const Json inner,
                            Unwrap(*tests, "column input_output"));
    return TestSuiteFromInputsOutputs(inner, "input_output");
  }
  if (Find(row, "public_tests") != nullptr ||
      Find(row, "private_tests") != nullptr) {
    return FromCodeContests(row);
  }
  if (const Json* info = Find(row, "verification_info"); info != nullptr) {
    PONDER_ASSIGN_OR_RETURN(const Json inner,
                            Unwrap(*info, "column verification_info"));
    return FromOpenR1(inner);
  }
  if (const Json* official = Find(row, "official_tests"); official != nullptr) {
    return FromCodeforces(row, *official);
  }
  return FromGroundTruth(row);
}

}  // namespace ponder
