#include "sandbox/fair_queue.h"

#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;

TEST(FairQueueTest, ClientsTakeTurns) {
  absl::Mutex mu;
  std::vector<std::string> done;
  {
    FairQueue queue(/*num_threads=*/1);
    absl::Notification begun;
    absl::Notification all_wait;
    queue.Push("a", [&] {
      begun.Notify();
      all_wait.WaitForNotification();
    });
    begun.WaitForNotification();
    const auto push = [&](const std::string& client, const std::string& name) {
      queue.Push(client, [&mu, &done, name] {
        absl::MutexLock lock(&mu);
        done.push_back(name);
      });
    };
    push("a", "a1");
    push("a", "a2");
    push("a", "a3");
    push("b", "b1");
    push("b", "b2");
    push("c", "c1");
    all_wait.Notify();
  }  // Does what waits.
  EXPECT_THAT(done, ElementsAre("a1", "b1", "c1", "a2", "b2", "a3"));
}

TEST(FairQueueTest, RunsOnAsManyThreadsAsItHas) {
  FairQueue queue(/*num_threads=*/3);
  absl::Notification begun[3];
  absl::Notification go;
  for (absl::Notification& one : begun) {
    queue.Push("a", [&one, &go] {
      one.Notify();
      go.WaitForNotification();
    });
  }
  // Each waits for the others, so they run at the same time or never.
  for (absl::Notification& one : begun) one.WaitForNotification();
  go.Notify();
}

}  // namespace
}  // namespace ponder
