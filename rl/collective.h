// Learner processes that work on one update together.

#ifndef PONDER_RL_COLLECTIVE_H_
#define PONDER_RL_COLLECTIVE_H_

#include <vector>

#include "ATen/core/Tensor.h"

namespace ponder {

// All processes call the same methods in the same order, with tensors of the
// same shapes and types. A process that is gone makes the others throw
// c10::Error, after a timeout at the latest. Not thread-safe.
class Collective {
 public:
  Collective() = default;
  Collective(const Collective&) = delete;
  Collective& operator=(const Collective&) = delete;
  virtual ~Collective() = default;

  virtual int rank() const = 0;  // From 0; 0 is the trainer.
  virtual int size() const = 0;

  // Replaces the contiguous tensor by its sum over the processes, which is the
  // same bits in each.
  virtual void Sum(at::Tensor tensor) = 0;
  // Replaces the contiguous tensor by that of process 0.
  virtual void Broadcast(at::Tensor tensor) = 0;
};

}  // namespace ponder

#endif  // PONDER_RL_COLLECTIVE_H_
