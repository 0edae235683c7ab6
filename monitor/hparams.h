// A configuration as hyper-parameters: one name and one value each.

#ifndef PONDER_MONITOR_HPARAMS_H_
#define PONDER_MONITOR_HPARAMS_H_

#include <map>
#include <string>
#include <variant>

#include "proto/config.pb.h"

namespace ponder {

using Hparams = std::map<std::string, std::variant<double, bool, std::string>>;

// Every field, defaults included, as "learner.threads": fields of a stage as
// "stage[1]:grpo.optimizer.learning_rate", with its place and its name or kind;
// of other repeated messages with their name or place in brackets. Lists of
// texts are joined by commas.
Hparams HparamsOf(const RunConfig& config);

}  // namespace ponder

#endif  // PONDER_MONITOR_HPARAMS_H_
