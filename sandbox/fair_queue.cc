#include "sandbox/fair_queue.h"

#include <utility>

namespace ponder {

FairQueue::FairQueue(int num_threads) {
  for (int i = 0; i < num_threads; ++i) {
    threads_.emplace_back([this] { Serve(); });
  }
}

FairQueue::~FairQueue() {
  {
    absl::MutexLock lock(&mu_);
    closed_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void FairQueue::Push(const std::string& client, std::function<void()> work) {
  absl::MutexLock lock(&mu_);
  std::deque<std::function<void()>>& own = waiting_[client];
  if (own.empty()) turns_.push_back(client);
  own.push_back(std::move(work));
}

void FairQueue::Serve() {
  while (true) {
    std::function<void()> work;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &FairQueue::HasNews));
      if (turns_.empty()) return;  // Closed.
      const std::string client = std::move(turns_.front());
      turns_.pop_front();
      const auto own = waiting_.find(client);
      work = std::move(own->second.front());
      own->second.pop_front();
      if (own->second.empty()) {
        waiting_.erase(own);
      } else {
        turns_.push_back(client);
      }
    }
    work();
  }
}

}  // namespace ponder
