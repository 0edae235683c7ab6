// The keys of a config.json.

#ifndef PONDER_POLICY_CONFIG_KEYS_H_
#define PONDER_POLICY_CONFIG_KEYS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace ponder {

// Refuses by name what a configuration asks for and Ponder would pass over: a
// key that no supported family has, or one of a variant that is not computed.
// `config` is an object; `where` names its file. Keys that are null ask for
// nothing.
absl::Status CheckConfigKeys(const nlohmann::json& config,
                             absl::string_view where);

}  // namespace ponder

#endif  // PONDER_POLICY_CONFIG_KEYS_H_
