#include "rl/expert_metrics.h"

#include <map>
#include <string>

#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

TEST(ExpertMetricsTest, LoadIsOverTheMeanOfItsLayer) {
  UpdateStats stats;
  stats.expert_tokens =
      at::tensor({0, 0, 0, 0, 6, 1, 1, 0}, at::kLong).view({2, 4});
  Metrics list;
  AddExpertMetrics(stats, LearnerConfig(), &list);
  const std::map<std::string, double> metrics(list.begin(), list.end());
  const std::map<std::string, double> want = {
      {"experts/load/layer_01/expert_000", 3},
      {"experts/load/layer_01/expert_001", 0.5},
      {"experts/load/layer_01/expert_002", 0.5},
      {"experts/load/layer_01/expert_003", 0},
      {"experts/max_violation/layer_01", 2},
      {"experts/idle/layer_01", 1}};
  EXPECT_EQ(metrics, want);
}

TEST(ExpertMetricsTest, ADensePolicyHasNone) {
  LearnerConfig config;
  config.set_expert_balance_loss_coef(1);
  Metrics list;
  AddExpertMetrics(UpdateStats(), config, &list);
  EXPECT_TRUE(list.empty());
}

}  // namespace
}  // namespace ponder
