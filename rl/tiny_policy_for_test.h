// A policy that is small enough to train within a unit test.

#ifndef PONDER_RL_TINY_POLICY_FOR_TEST_H_
#define PONDER_RL_TINY_POLICY_FOR_TEST_H_

#include <cstdint>

#include "policy/decoder.h"
#include "policy/model_config.h"
#include "policy/random_checkpoint.h"
#include "policy/text/byte_tokenizer.h"

namespace ponder {

inline ModelConfig TinyModelConfig() {
  ModelConfig c;
  c.model_type = "qwen2";
  c.vocab_size = 320;
  c.hidden_size = 32;
  c.intermediate_size = 48;
  c.num_layers = 2;
  c.num_heads = 4;
  c.num_kv_heads = 2;
  c.head_dim = 8;
  c.max_position_embeddings = 128;
  c.qkv_bias = true;
  c.tie_word_embeddings = true;
  c.eos_token_ids = {kByteEndOfTextId};
  return c;
}

inline Checkpoint TinyCheckpoint(uint64_t seed = 5) {
  return RandomCheckpoint(TinyModelConfig(), /*embedding_std=*/0.3,
                          /*matrix_gain=*/1.5, seed, /*chat_template=*/"");
}

}  // namespace ponder

#endif  // PONDER_RL_TINY_POLICY_FOR_TEST_H_
