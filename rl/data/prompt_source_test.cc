#include "rl/data/prompt_source.h"

#include <cmath>
#include <set>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using Key = std::tuple<int64_t, int64_t, int64_t>;

std::vector<Key> Take(PromptSource& source, int n) {
  std::vector<Key> keys;
  for (int i = 0; i < n; ++i) {
    const Draw draw = source.Next();
    keys.emplace_back(draw.data_set, draw.row, draw.epoch);
  }
  return keys;
}

TEST(PromptSourceTest, EveryRowOnceAnEpochInANewOrder) {
  PromptSource source({{"a", 50, 1}}, /*seed=*/3, "grpo");
  const std::vector<Key> first = Take(source, 50);
  const std::vector<Key> second = Take(source, 50);
  std::set<int64_t> rows;
  bool same_order = true;
  for (int i = 0; i < 50; ++i) {
    rows.insert(std::get<1>(first[i]));
    same_order &= std::get<1>(first[i]) == std::get<1>(second[i]);
    EXPECT_EQ(std::get<2>(first[i]), 0);
    EXPECT_EQ(std::get<2>(second[i]), 1);
  }
  EXPECT_EQ(rows.size(), 50);
  EXPECT_FALSE(same_order);
}

TEST(PromptSourceTest, SharesAreSteady) {
  const std::vector<WeightedRows> sets = {
      {"a", 7, 5}, {"b", 11, 3}, {"c", 3, 1.5}, {"d", 2, 0.5}};
  PromptSource source(sets, /*seed=*/1, "grpo");
  std::vector<int> counts(4);
  for (int n = 1; n <= 5000; ++n) {
    ++counts[source.Next().data_set];
    for (int i = 0; i < 4; ++i) {
      ASSERT_LT(std::abs(counts[i] - n * sets[i].weight / 10), 2) << n;
    }
  }
}

TEST(PromptSourceTest, SeekGoesOnFromThere) {
  const std::vector<WeightedRows> sets = {{"a", 7, 2}, {"b", 11, 1}};
  PromptSource whole(sets, /*seed=*/5, "grpo");
  Take(whole, 123);
  PromptSource resumed(sets, /*seed=*/5, "grpo");
  resumed.Seek(123);
  EXPECT_EQ(resumed.drawn(), 123);
  EXPECT_EQ(Take(whole, 40), Take(resumed, 40));
  resumed.Seek(0);
  PromptSource fresh(sets, /*seed=*/5, "grpo");
  EXPECT_EQ(Take(fresh, 40), Take(resumed, 40));
}

TEST(PromptSourceTest, SeedAndStageChangeTheOrder) {
  PromptSource a({{"a", 50, 1}}, 1, "grpo");
  PromptSource b({{"a", 50, 1}}, 2, "grpo");
  PromptSource c({{"a", 50, 1}}, 1, "sft");
  const std::vector<Key> of_a = Take(a, 50);
  EXPECT_NE(of_a, Take(b, 50));
  EXPECT_NE(of_a, Take(c, 50));
}

}  // namespace
}  // namespace ponder
