#include "reward/verdict_cache.h"

#include <string>

#include "gtest/gtest.h"

namespace ponder {
namespace {

TEST(VerdictCacheTest, RemembersAndForgetsTheOldest) {
  VerdictCache cache(2);
  const auto a = VerdictCache::MakeKey("a", "t", "l");
  const auto b = VerdictCache::MakeKey("b", "t", "l");
  const auto c = VerdictCache::MakeKey("c", "t", "l");
  EXPECT_FALSE(cache.Find(a).has_value());
  cache.Insert(a, {true, "right"});
  cache.Insert(b, {false, "wrong"});
  EXPECT_EQ(cache.Find(a)->reason, "right");  // Now b is the oldest.
  cache.Insert(c, {false, "failed"});
  EXPECT_EQ(cache.size(), 2);
  EXPECT_TRUE(cache.Find(a).has_value());
  EXPECT_FALSE(cache.Find(b).has_value());
  EXPECT_FALSE(cache.Find(c)->correct);
}

TEST(VerdictCacheTest, KeysDependOnTheBoundaries) {
  EXPECT_NE(VerdictCache::MakeKey("ab", "c", ""),
            VerdictCache::MakeKey("a", "bc", ""));
  EXPECT_NE(VerdictCache::MakeKey("a", "b", "c"),
            VerdictCache::MakeKey("a", "b", "d"));
  EXPECT_EQ(VerdictCache::MakeKey(std::string(1000, 'x'), "b", "c"),
            VerdictCache::MakeKey(std::string(1000, 'x'), "b", "c"));
}

}  // namespace
}  // namespace ponder
