#include "rl/data/verl_ground_truth.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "proto/code_rows.h"
#include "proto/value_codec.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

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
    PONDER_ASSIGN_OR_RETURN(
        result.tests,
        TestSuiteFromInputsOutputs(truth, "reward_model.ground_truth"));
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
