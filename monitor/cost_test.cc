#include "monitor/cost.h"

#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <vector>

#include "gtest/gtest.h"

namespace ponder {
namespace {

void BurnProcessorTime(double seconds) {
  const clock_t end = clock() + static_cast<clock_t>(seconds * CLOCKS_PER_SEC);
  while (clock() < end) {
  }
}

TEST(CostTest, MoneyIsTimeTimesPrice) {
  CostConfig config;
  config.set_core_hour(36);
  config.set_gpu_hour(3600);
  config.set_currency("EUR");
  const Cost cost = CostOf(config, 200, 5);
  EXPECT_DOUBLE_EQ(cost.money, 2 + 5);
  EXPECT_EQ(cost.currency, "EUR");
}

TEST(CostTest, PhasesAreThoseOfWhoSpentThem) {
  PhaseSeconds phases;
  RoleSeconds now = {.workers = 5, .rewards = 2, .all = 10};
  ChargePhases({}, now, /*evaluating=*/false, &phases);
  EXPECT_EQ(phases.generation, 5);
  EXPECT_EQ(phases.reward, 2);
  EXPECT_EQ(phases.learning, 3);
  RoleSeconds next = {.workers = 9, .rewards = 3, .all = 16};
  ChargePhases(now, next, /*evaluating=*/true, &phases);
  EXPECT_EQ(phases.evaluation, 6);
  EXPECT_EQ(phases.generation, 5);
  // A worker has ended: its 9 seconds are the trainer's children's now.
  ChargePhases(next, {.workers = 1, .rewards = 3, .all = 18},
               /*evaluating=*/false, &phases);
  EXPECT_EQ(phases.generation, 5);
  EXPECT_EQ(phases.learning, 5);
  EXPECT_EQ(phases.total(), 18);
}

TEST(CostTest, CountsChildrenThatRunAndThatHaveEnded) {
  const double start = CoreSecondsOfProcessTree();
  const auto spent = [&] { return CoreSecondsOfProcessTree() - start; };
  int ready[2], finish[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(finish), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  char byte = 0;
  if (child == 0) {
    BurnProcessorTime(0.2);
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    if (read(finish[0], &byte, 1) != 1) _exit(1);
    _exit(0);
  }
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_GE(spent(), 0.15);  // In ticks of 10 ms.
  const std::vector<double> of = CoreSecondsOfProcesses({child, 1 << 30});
  EXPECT_GE(of[0], 0.15);
  EXPECT_LT(of[0], 2);
  EXPECT_EQ(of[1], 0);
  ASSERT_EQ(write(finish[1], &byte, 1), 1);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_GE(spent(), 0.15);
  EXPECT_LT(spent(), 2);
  for (const int fd : {ready[0], ready[1], finish[0], finish[1]}) close(fd);
  EXPECT_GE(CoreSecondsOfEndedChildren(), 0.15);
  EXPECT_LE(CoreSecondsOfEndedChildren(), CoreSecondsOfProcessTree());
}

TEST(CostTest, Text) {
  EXPECT_EQ(CostText({412.3, 0, 0.00458, "USD"}),
            "412 core-seconds, 0.0046 USD");
  EXPECT_EQ(CostText({412.3, 60, 0.046, "USD"}),
            "412 core-seconds, 60 GPU-seconds, 0.046 USD");
}

}  // namespace
}  // namespace ponder
