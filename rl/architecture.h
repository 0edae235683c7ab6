// The shape of a policy that starts from random weights.

#ifndef PONDER_RL_ARCHITECTURE_H_
#define PONDER_RL_ARCHITECTURE_H_

#include "policy/model_config.h"
#include "proto/config.pb.h"

namespace ponder {

ModelConfig ModelConfigOf(const Architecture& architecture);

}  // namespace ponder

#endif  // PONDER_RL_ARCHITECTURE_H_
