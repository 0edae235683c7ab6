#include "base/philox.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace ponder {
namespace {

// Known answers of Random123's kat_vectors for philox4x32-10.
TEST(PhiloxTest, KnownAnswers) {
  EXPECT_EQ(Philox4x32(0, 0, 0),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c,
                                     0x9b00dbd8}));
  EXPECT_EQ(Philox4x32(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6,
                                     0x6d5451fd}));
  EXPECT_EQ(
      Philox4x32(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88),
      (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420,
                               0x24126ea1}));
}

TEST(PhiloxTest, UniformHasTheRightMeanAndRange) {
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    const double u = UniformDouble(7, i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
}

TEST(StreamKeyTest, DependsOnEveryPartAndItsPlace) {
  std::set<uint64_t> keys;
  keys.insert(StreamKey().Add(1).Add("a").key());
  keys.insert(StreamKey().Add("a").Add(1).key());
  keys.insert(StreamKey().Add(1).Add("b").key());
  keys.insert(StreamKey().Add(1).Add("a").Add("").key());
  keys.insert(StreamKey().Add("ab").Add("c").key());
  keys.insert(StreamKey().Add("a").Add("bc").key());
  EXPECT_EQ(keys.size(), 6u);
}

TEST(RandomStreamTest, IntCoversItsRangeAndShuffleKeepsTheItems) {
  RandomStream random(3);
  std::set<int64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.Int(-2, 3));
  EXPECT_EQ(seen, (std::set<int64_t>{-2, -1, 0, 1, 2, 3}));

  std::vector<int> items(100);
  std::iota(items.begin(), items.end(), 0);
  std::vector<int> shuffled = items;
  random.Shuffle(shuffled);
  EXPECT_NE(shuffled, items);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, items);
}

}  // namespace
}  // namespace ponder
