// Threads that do the work that a gRPC reaction must not.

#ifndef PONDER_REWARD_WORKER_POOL_H_
#define PONDER_REWARD_WORKER_POOL_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ponder {

// First in, first out. The queue has no bound of its own: each stream bounds
// what it has in flight. Thread-safe.
class WorkerPool {
 public:
  explicit WorkerPool(int num_threads);

  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Does what is queued, then joins.
  ~WorkerPool();

  // Never blocks.
  void Submit(std::function<void()> work) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Work() ABSL_LOCKS_EXCLUDED(mu_);
  bool HasWorkOrStopped() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return stopped_ || !queue_.empty();
  }

  absl::Mutex mu_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace ponder

#endif  // PONDER_REWARD_WORKER_POOL_H_
