#include "base/queue.h"

#include <thread>

#include "gtest/gtest.h"

namespace ponder {
namespace {

TEST(QueueTest, HandsOutInOrderAcrossThreads) {
  Queue<int> queue(2);
  std::thread producer([&queue] {
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(queue.Push(i));
    queue.Close();
  });
  for (int i = 0; i < 100; ++i) EXPECT_EQ(queue.Pop(), i);
  EXPECT_EQ(queue.Pop(), std::nullopt);
  producer.join();
}

TEST(QueueTest, CloseWakesWaitersAndKeepsItems) {
  Queue<int> queue(1);
  ASSERT_TRUE(queue.Push(1));
  std::thread producer([&queue] { EXPECT_FALSE(queue.Push(2)); });
  queue.Close();
  producer.join();
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), std::nullopt);
  EXPECT_FALSE(queue.Push(3));
}

TEST(QueueTest, PopTimesOut) {
  Queue<int> queue(1);
  EXPECT_EQ(queue.Pop(absl::ZeroDuration()), std::nullopt);
}

}  // namespace
}  // namespace ponder
