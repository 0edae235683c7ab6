#include "monitor/cost.h"

#include <sys/wait.h>
#include <unistd.h>

#include <ctime>

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
  config.set_core_hour(3600);
  config.set_currency("EUR");
  CostMeter meter(config);
  BurnProcessorTime(0.05);
  meter.AddCoreSeconds(100);
  const Cost lap = meter.Lap();
  EXPECT_GE(lap.core_seconds, 100.04);
  EXPECT_LT(lap.core_seconds, 105);
  EXPECT_DOUBLE_EQ(lap.money, lap.core_seconds);
  EXPECT_LT(meter.Lap().core_seconds, 5);
  EXPECT_GE(meter.Total().core_seconds, 100.04);
}

TEST(CostTest, CountsChildrenThatRunAndThatHaveEnded) {
  CostMeter meter((CostConfig()));
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
  EXPECT_GE(meter.Total().core_seconds, 0.15);  // In ticks of 10 ms.
  ASSERT_EQ(write(finish[1], &byte, 1), 1);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_GE(meter.Total().core_seconds, 0.15);
  EXPECT_LT(meter.Total().core_seconds, 2);
  for (const int fd : {ready[0], ready[1], finish[0], finish[1]}) close(fd);
}

TEST(CostTest, Text) {
  EXPECT_EQ(CostText({412.3, 0.00458, "USD"}), "412 core-seconds, 0.0046 USD");
}

}  // namespace
}  // namespace ponder
