#include "base/nearest_name.h"

#include "gtest/gtest.h"

namespace ponder {
namespace {

TEST(NearestNameTest, CountsEdits) {
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("steps", "setps"), 1);
  EXPECT_EQ(EditDistance("random", "RANDOM"), 0);
}

TEST(NearestNameTest, HintsOrLists) {
  EXPECT_EQ(NameHint("stesp", {"seed", "steps"}), "; did you mean \"steps\"?");
  EXPECT_EQ(NameHint("wildly_off", {"seed", "steps"}), "; known: seed, steps");
  EXPECT_EQ(NameHint("x", {}), "");
}

}  // namespace
}  // namespace ponder
