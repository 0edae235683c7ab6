// JSON files of a checkpoint, read without exceptions and without guesses.

#ifndef PONDER_POLICY_FILES_JSON_H_
#define PONDER_POLICY_FILES_JSON_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace ponder {

// Parses `text`. INVALID_ARGUMENT with `where` (a file's name), line and column
// if it isn't JSON, with the key if an object has one twice, or if it is nested
// deeper than any real file (so that recursion over the value is safe). Objects
// come back sorted by key: ordered_json searches linearly, which takes minutes
// for a vocabulary.
absl::StatusOr<nlohmann::json> ParseCheckpointJson(absl::string_view text,
                                                   absl::string_view where);

}  // namespace ponder

#endif  // PONDER_POLICY_FILES_JSON_H_
