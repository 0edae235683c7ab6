#include "monitor/metric_table.h"

#include <set>
#include <string>

#include "base/file.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

TEST(MetricTableTest, Patterns) {
  EXPECT_TRUE(MatchesMetricPattern("a/b", "a/b"));
  EXPECT_FALSE(MatchesMetricPattern("a/bc", "a/b"));
  EXPECT_FALSE(MatchesMetricPattern("a", "a/b"));
  EXPECT_TRUE(MatchesMetricPattern("a/max", "a/{mean,max}"));
  EXPECT_FALSE(MatchesMetricPattern("a/min", "a/{mean,max}"));
  EXPECT_TRUE(MatchesMetricPattern("a/b_ppl", "a/{b,c}_{ppl,log_ppl}"));
  EXPECT_TRUE(MatchesMetricPattern("v/my/set/x", "v/<set>/x"));
  EXPECT_FALSE(MatchesMetricPattern("v//x", "v/<set>/x"));
  EXPECT_FALSE(MatchesMetricPattern("v/", "v/<set>"));
  // A choice that is the beginning of another.
  EXPECT_TRUE(MatchesMetricPattern("ppl_ratio", "{ppl,ppl_ratio}"));
}

TEST(MetricTableTest, FindsNamesAndNothingElse) {
  ASSERT_NE(FindMetric("critic/rewards/mean"), nullptr);
  EXPECT_EQ(FindMetric("critic/rewards/mean")->unit, "reward");
  EXPECT_EQ(FindMetric("val-aux/gsm8k/3/avg@8/ci_low")->meaning,
            "Its 95 % interval, bootstrap over problems.");
  EXPECT_NE(FindMetric("val-core/gsm8k/pass@8"), nullptr);
  EXPECT_NE(FindMetric("experts/load/layer_03/expert_017"), nullptr);
  EXPECT_EQ(FindMetric("critic/rewards/median"), nullptr);
  EXPECT_EQ(FindMetric("health/unknown"), nullptr);
  EXPECT_EQ(FindMetric(""), nullptr);
}

TEST(MetricTableTest, EveryEntrySaysWhatItIs) {
  std::set<std::string> names;
  for (const MetricSection& section : MetricTable()) {
    EXPECT_FALSE(section.about.empty()) << section.title;
    for (const MetricInfo& metric : section.metrics) {
      EXPECT_TRUE(names.insert(std::string(metric.name)).second) << metric.name;
      EXPECT_EQ(metric.meaning.empty(), false) << metric.name;
      EXPECT_EQ(metric.meaning.back(), '.') << metric.name;
    }
  }
}

// After a change of the table: ponder metrics-doc > docs/metrics.md
TEST(MetricTableTest, TheDocumentIsUpToDate) {
  const absl::StatusOr<std::string> text = ReadFile("docs/metrics.md");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, MetricTableMarkdown())
      << "write it anew: ponder metrics-doc > docs/metrics.md";
}

}  // namespace
}  // namespace ponder
