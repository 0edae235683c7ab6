// A policy that starts from random weights.

#ifndef PONDER_POLICY_RANDOM_CHECKPOINT_H_
#define PONDER_POLICY_RANDOM_CHECKPOINT_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "policy/checkpoint.h"

namespace ponder {

// A checkpoint with random float32 weights and Ponder's byte-level tokenizer,
// whose vocabulary is padded to config.vocab_size. `chat_template` is Jinja.
// Weights as RandomWeights() says.
Checkpoint RandomCheckpoint(ModelConfig config, double embedding_std,
                            double matrix_gain, uint64_t seed,
                            absl::string_view chat_template);

}  // namespace ponder

#endif  // PONDER_POLICY_RANDOM_CHECKPOINT_H_
