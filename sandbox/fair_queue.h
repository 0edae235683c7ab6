// Threads that serve several clients in turn.

#ifndef PONDER_SANDBOX_FAIR_QUEUE_H_
#define PONDER_SANDBOX_FAIR_QUEUE_H_

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ponder {

// Each client with work waiting gets one piece done before any gets a second.
// Its users bound what waits. Thread-safe.
class FairQueue {
 public:
  explicit FairQueue(int num_threads);
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;
  // Does what waits, then joins.
  ~FairQueue();

  // `work` is called once, on one of the threads.
  void Push(const std::string& client, std::function<void()> work)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Serve() ABSL_LOCKS_EXCLUDED(mu_);
  bool HasNews() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return closed_ || !turns_.empty();
  }

  absl::Mutex mu_;
  std::map<std::string, std::deque<std::function<void()>>> waiting_
      ABSL_GUARDED_BY(mu_);
  std::deque<std::string> turns_ ABSL_GUARDED_BY(mu_);  // Who has work waiting.
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace ponder

#endif  // PONDER_SANDBOX_FAIR_QUEUE_H_
