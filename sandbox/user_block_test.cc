#include "sandbox/user_block.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace ponder {
namespace {

TEST(UserBlockTest, NoTwoHaveTheSameUsers) {
  std::vector<UserBlock> blocks;
  std::set<int64_t> users;
  for (int i = 0; i < 20; ++i) {
    blocks.push_back(UserBlock::Take());
    for (int64_t u = 0; u < UserBlock::kUsers; ++u) {
      EXPECT_TRUE(users.insert(blocks.back().first() + u).second);
    }
  }
  EXPECT_GE(*users.begin(), 61000);
  EXPECT_LT(*users.rbegin(), 65000);
}

// Another process begins with the same numbers and passes over those that are
// taken, as long as whoever took them lives.
TEST(UserBlockTest, AnotherProcessTakesOthers) {
  constexpr int kBlocks = 3;
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::vector<UserBlock> theirs;
    for (int i = 0; i < kBlocks; ++i) {
      theirs.push_back(UserBlock::Take());
      const int64_t first = theirs.back().first();
      if (write(fds[1], &first, sizeof(first)) != sizeof(first)) _exit(1);
    }
    pause();
    _exit(0);
  }
  std::set<int64_t> taken;
  for (int i = 0; i < kBlocks; ++i) {
    int64_t first = 0;
    ASSERT_EQ(read(fds[0], &first, sizeof(first)), ssize_t{sizeof(first)});
    taken.insert(first);
  }
  for (int i = 0; i < kBlocks; ++i) {
    EXPECT_FALSE(taken.contains(UserBlock::Take().first()));
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(fds[0]);
  close(fds[1]);
}

}  // namespace
}  // namespace ponder
