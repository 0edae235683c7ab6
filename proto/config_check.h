// The rules that values of a configuration must meet.

#ifndef PONDER_PROTO_CONFIG_CHECK_H_
#define PONDER_PROTO_CONFIG_CHECK_H_

#include <optional>
#include <string>

#include "proto/config.pb.h"

namespace ponder {

// A value that would train wrongly, or not at all.
struct ConfigProblem {
  std::string path;   // E.g. "stage[2].grpo.clip_low".
  std::string value;  // As given; "missing" where something must be given.
  std::string rule;   // What was wanted, e.g. "wanted at least 0".
};

// The first problem in the order of the schema; nothing if all is well.
std::optional<ConfigProblem> FindConfigProblem(const RunConfig& config);

}  // namespace ponder

#endif  // PONDER_PROTO_CONFIG_CHECK_H_
