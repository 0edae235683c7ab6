// JSON text to and from the typed values and tests of a data row. Nothing is
// lost: integers beyond 64 bits keep their digits, fields keep their order.

#ifndef PONDER_PROTO_VALUE_CODEC_H_
#define PONDER_PROTO_VALUE_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "proto/reward.pb.h"
#include "proto/value.pb.h"

namespace ponder {

// Deepest nesting of lists and objects. protobuf refuses messages deeper than
// 100, and a level of JSON is two levels of messages.
inline constexpr int kMaxJsonDepth = 40;

// Parses one JSON text. INVALID_ARGUMENT names `where` (a file, or a file and
// its line) and the place in the text. An integer beyond 64 bits becomes what
// BigIntToJson() makes of its digits; of a repeated key the last value counts.
absl::StatusOr<nlohmann::ordered_json> ParseJson(absl::string_view text,
                                                 absl::string_view where);

// The text of `json` on one line, big integers as digits.
std::string DumpJson(const nlohmann::ordered_json& json);

// JSON has no type for integers beyond 64 bits in memory; they are held as a
// binary value (which no JSON text gives) with the decimal digits in it.
nlohmann::ordered_json BigIntToJson(absl::string_view digits);
bool IsBigInt(const nlohmann::ordered_json& json);
std::string BigIntDigits(const nlohmann::ordered_json& json);

// INVALID_ARGUMENT if it is nested too deeply.
absl::StatusOr<Value> ValueFromJson(const nlohmann::ordered_json& json);
nlohmann::ordered_json ValueToJson(const Value& value);

// Tests of a code problem:
//   {"kind": "stdio",  "checker": "float 1e-6",
//    "visible": [["1 2\n", "3\n"]], "hidden": [...]}
//   {"kind": "call",   "fn": "add", "visible": [[[1, 2], 3]], ...}
//   {"kind": "assert", "fn": "add", "visible": ["assert add(1, 2) == 3"], ...}
// A case may be an object too: {"stdin", "stdout"}, {"args", "expected"} or
// {"code"}. "checker_code", "language" and "preamble" are as in TestSuite.
// Further keys of the suite are passed over (tasks have a "prompt").
// INVALID_ARGUMENT names the case and what is wrong with it.
absl::StatusOr<TestSuite> TestSuiteFromJson(const nlohmann::ordered_json& json);

}  // namespace ponder

#endif  // PONDER_PROTO_VALUE_CODEC_H_
