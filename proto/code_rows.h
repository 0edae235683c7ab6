// Tests of code problems out of rows as others publish them.

#ifndef PONDER_PROTO_CODE_ROWS_H_
#define PONDER_PROTO_CODE_ROWS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "proto/sandbox.pb.h"

namespace ponder {

// Nothing if the row has no tests in a form that is known:
//   tests                          Ponder's own, or a text with its JSON
//   test, entry_point              HumanEval; `prompt` comes before the program
//   test_list                      MBPP, with test_setup_code or test_imports
//   input_output                   APPS and TACO: {inputs, outputs, fn_name?},
//                                  or a text with its JSON
//   public_tests, private_tests, generated_tests
//                                  CodeContests: {input: [...], output: [...]}
//   verification_info.test_cases   open-r1: {input, output, type, fn_name?}
//   official_tests                 open-r1's Codeforces: {input, output}, with
//                                  generated_checker
//   reward_model.ground_truth      verl: as input_output
//   inputs, outputs                the same in the row itself
// INVALID_ARGUMENT for such a form with tests that are none.
absl::StatusOr<std::optional<TestSuite>> TestSuiteFromRow(
    const nlohmann::ordered_json& row);

// Of {inputs, outputs, fn_name?}. `where` is for errors.
absl::StatusOr<TestSuite> TestSuiteFromInputsOutputs(
    const nlohmann::ordered_json& tests, const std::string& where);

}  // namespace ponder

#endif  // PONDER_PROTO_CODE_ROWS_H_
