// How much memory and time a run will need, before it starts.

#ifndef PONDER_RL_MEMORY_PLAN_H_
#define PONDER_RL_MEMORY_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "policy/model_config.h"
#include "proto/config.pb.h"

namespace ponder {

struct MemoryItem {
  std::string what;
  int64_t bytes = 0;
};

// Peak resident memory of one kind of process.
struct ProcessPlan {
  std::string process;
  int64_t count = 1;
  std::vector<MemoryItem> items;

  void Add(std::string what, int64_t item_bytes);
  int64_t bytes() const;
};

struct MemoryPlan {
  std::vector<ProcessPlan> processes;

  // Of all processes together.
  int64_t bytes() const;
  // A table for people.
  std::string Text() const;
};

// Upper bounds from the shapes: weights, gradients, moments, activations of a
// full micro-batch, a chunk of logits, the key-value cache of full slots with
// responses of full length.
MemoryPlan PlanMemory(const RunConfig& config, const ModelConfig& model);

// OK if the plan fits into the memory of this machine; else RESOURCE_EXHAUSTED
// with the smallest change that would fit, where there is one.
absl::Status CheckMemory(const RunConfig& config, const ModelConfig& model);

// "stage grpo: at most 41 s a step ...": from the shapes and from a product of
// matrices that is timed here and now, for about half a second.
std::string ExpectedStepTimes(const RunConfig& config,
                              const ModelConfig& model);

}  // namespace ponder

#endif  // PONDER_RL_MEMORY_PLAN_H_
