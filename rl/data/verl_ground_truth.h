// What stands in reward_model.ground_truth of verl's rows where it is more than
// an answer.

#ifndef PONDER_RL_DATA_VERL_GROUND_TRUTH_H_
#define PONDER_RL_DATA_VERL_GROUND_TRUTH_H_

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "proto/reward.pb.h"
#include "proto/value.pb.h"

namespace ponder {

struct VerlGroundTruth {
  std::string verifier;  // "code", "countdown", or empty: a plain answer.
  TestSuite tests;       // Of code.
  ObjectValue columns;   // Of countdown: target and numbers.
};

// `value` is the object, or a text with its JSON:
//   {"inputs": [...], "outputs": [...]}    programs that read and print, as in
//                                          verl's prime_code (APPS, TACO,
//                                          Codeforces, CodeContests)
//   ... with "fn_name": "f"                a function; an input is the list of
//                                          arguments, or a text with the JSON
//                                          of one on each line
//   {"target": 24, "numbers": [...]}       TinyZero's countdown
// Anything else is a plain answer. INVALID_ARGUMENT for tests that are none.
absl::StatusOr<VerlGroundTruth> ParseVerlGroundTruth(
    const nlohmann::ordered_json& value);

}  // namespace ponder

#endif  // PONDER_RL_DATA_VERL_GROUND_TRUTH_H_
