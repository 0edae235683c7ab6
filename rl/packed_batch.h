// Sequences to learn from, and how they are packed into micro-batches.

#ifndef PONDER_RL_PACKED_BATCH_H_
#define PONDER_RL_PACKED_BATCH_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "policy/model_config.h"
#include "rl/aggregation.h"

namespace ponder {

// One sequence to learn from. All lists of floats have one entry for each
// target, or none where the loss does not read them.
struct TrainSequence {
  std::vector<int32_t> ids;  // Prompt and response.
  // Places in `ids` of the tokens that the loss counts, ascending, none 0.
  std::vector<int32_t> targets;
  std::vector<float> behavior_logprobs;  // When they were sampled.
  // At the start of the step, which the ratio is against; none: behavior's.
  std::vector<float> old_logprobs;
  std::vector<float> reference_logprobs;
  std::vector<float> importance;  // rl/importance.h; none: 1.
  std::vector<float> advantages;
  // Of the critic: values before the step, and what it learns.
  std::vector<float> values;
  std::vector<float> returns;
  bool stale = false;  // An older policy than the step's first sampled it.
};

// One micro-batch without padding.
struct PackedBatch {
  std::vector<int64_t> members;     // Indices of the sequences.
  at::Tensor ids;                   // [T] int64.
  std::vector<int64_t> cu_seqlens;  // Of the sequences in `ids`.
  at::Tensor rows;     // [N] int64: rows whose hidden state predicts a target.
  at::Tensor targets;  // [N] int64: the ids that are predicted.
  std::vector<int64_t> cu_tokens;  // Of the sequences in `targets`.
};

// Indices of the sequences that have targets.
std::vector<int64_t> SequencesWithTargets(
    const std::vector<TrainSequence>& batch);

// Operations of a forward pass over the sequences `chosen`, as ForwardFlops()
// of policy/flops.h counts them.
double ForwardFlops(const ModelConfig& model,
                    const std::vector<TrainSequence>& batch,
                    const std::vector<int64_t>& chosen);

// The sequences `chosen` of the batch, at most max_tokens in each micro-batch
// (see PackByTokens). Tensors are on `device`, and so are those of the
// functions below.
std::vector<PackedBatch> PackSequences(const std::vector<TrainSequence>& batch,
                                       const std::vector<int64_t>& chosen,
                                       int64_t max_tokens, at::Device device);

// A field of the targets of `pack`, [N] float32; undefined where the sequences
// have none.
at::Tensor GatherField(const std::vector<TrainSequence>& batch,
                       const PackedBatch& pack,
                       std::vector<float> TrainSequence::*field);

// TokenWeight() of each target of `pack`, [N] float32.
at::Tensor TokenWeights(const PackedBatch& pack, const LossScale& scale);

// Cuts values [N] of the targets of `pack` into those of its sequences, which
// go where `out` has their index.
void ScatterTargets(const at::Tensor& values, const PackedBatch& pack,
                    std::vector<std::vector<float>>* out);

}  // namespace ponder

#endif  // PONDER_RL_PACKED_BATCH_H_
