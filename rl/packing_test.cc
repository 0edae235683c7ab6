#include "rl/packing.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PackByTokensTest, FirstFitByDescendingLength) {
  EXPECT_THAT(PackByTokens({3, 7, 5, 2, 3}, 10),
              ElementsAre(ElementsAre(1, 0), ElementsAre(2, 4, 3)));
}

TEST(PackByTokensTest, TiesGoByIndex) {
  EXPECT_THAT(PackByTokens({4, 4, 4}, 8),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2)));
}

TEST(PackByTokensTest, ALongSequenceIsABatchOfItsOwn) {
  EXPECT_THAT(PackByTokens({2, 50, 3}, 10),
              ElementsAre(ElementsAre(1), ElementsAre(2, 0)));
}

TEST(PackByTokensTest, NothingIsNoBatch) {
  EXPECT_THAT(PackByTokens({}, 10), IsEmpty());
}

TEST(PackByTokensTest, EveryIndexOnceAndEveryBatchWithinItsBudget) {
  RandomStream random(StreamKey().Add("packing").key());
  for (int round = 0; round < 50; ++round) {
    std::vector<int64_t> lengths(static_cast<size_t>(random.Int(1, 200)));
    for (int64_t& length : lengths) length = random.Int(1, 120);
    const auto batches = PackByTokens(lengths, 100);
    std::vector<int64_t> all;
    int64_t half_empty = 0;
    for (const auto& batch : batches) {
      int64_t tokens = 0;
      for (const int64_t i : batch) tokens += lengths[i];
      EXPECT_TRUE(tokens <= 100 || batch.size() == 1);
      half_empty += tokens <= 50;
      all.insert(all.end(), batch.begin(), batch.end());
    }
    EXPECT_LE(half_empty, 1);  // Two of them would have been one.
    std::sort(all.begin(), all.end());
    std::vector<int64_t> wanted(lengths.size());
    std::iota(wanted.begin(), wanted.end(), 0);
    EXPECT_EQ(all, wanted);
  }
}

}  // namespace
}  // namespace ponder
