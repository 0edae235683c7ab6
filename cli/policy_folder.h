// Which Hugging Face folder a person means who names a run or a checkpoint.

#ifndef PONDER_CLI_POLICY_FOLDER_H_
#define PONDER_CLI_POLICY_FOLDER_H_

#include <string>

#include "absl/status/statusor.h"

namespace ponder {

// `path` itself if it holds a config.json. Of a run: the policy that it
// exported at its end, or else its newest complete checkpoint, so that a
// running one can be looked at. DATA_LOSS for a checkpoint whose manifest does
// not hold; NOT_FOUND says what was looked for.
absl::StatusOr<std::string> FindPolicyFolder(const std::string& path);

}  // namespace ponder

#endif  // PONDER_CLI_POLICY_FOLDER_H_
