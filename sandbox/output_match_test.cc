#include "sandbox/output_match.h"

#include <string>

#include "gtest/gtest.h"

namespace ponder {
namespace {

bool Exact(absl::string_view expected, absl::string_view got) {
  return OutputMatches(expected, got, std::nullopt);
}

bool Near(absl::string_view expected, absl::string_view got) {
  return OutputMatches(expected, got, 1e-6);
}

TEST(OutputMatchTest, LinesAfterRightTrim) {
  EXPECT_TRUE(Exact("3\n", "3"));
  EXPECT_TRUE(Exact("3", "3\n\n \n"));
  EXPECT_TRUE(Exact("1 2\n3\n", "1 2  \r\n3\t\n"));
  EXPECT_TRUE(Exact("", "\n"));
  EXPECT_FALSE(Exact("3\n", " 3\n"));
  EXPECT_FALSE(Exact("3\n", "\n3\n"));
  EXPECT_FALSE(Exact("1 2\n", "1  2\n"));
  EXPECT_FALSE(Exact("1\n2\n", "1\n"));
  EXPECT_FALSE(Exact("1\n", "1\n2\n"));
  EXPECT_FALSE(Exact("1\n\n2\n", "1\n2\n"));
  EXPECT_FALSE(Exact("3\n", ""));
  EXPECT_FALSE(Exact("3.0\n", "3\n"));
}

TEST(OutputMatchTest, ComparesBytes) {
  EXPECT_FALSE(Exact("3\n", "3\xff\n"));
  EXPECT_FALSE(Exact("3\n", std::string("3\0\n", 3)));
}

TEST(OutputMatchTest, FloatTolerance) {
  EXPECT_TRUE(Near("1.41421356237\n", "1.4142136\n"));
  EXPECT_TRUE(Near("1000000000 x\n", "1000000001.0 x\n"));
  // Both are written as integers: exact, with any sign.
  EXPECT_FALSE(Near("1000000000\n", "1000000001\n"));
  EXPECT_FALSE(Near("1000000000\n", "+1000000001\n"));
  EXPECT_TRUE(Near("1000000000\n", "+1000000000\n"));
  EXPECT_FALSE(Near("1.5\n", "1.6\n"));
  EXPECT_FALSE(Near("1.5\n", "nan\n"));
  EXPECT_FALSE(Near("1.5\n", "inf\n"));
  EXPECT_FALSE(Near("1.5\n", "1e400\n"));
  EXPECT_FALSE(Near("1.5\n", "1.5 1.5\n"));
  EXPECT_FALSE(Near("1.5 1.5\n", "1.5\n"));
  EXPECT_FALSE(Near("1.5\n1.5\n", "1.5 1.5\n"));
  EXPECT_FALSE(Near("yes\n", "1\n"));
}

TEST(OutputMatchTest, Checkers) {
  EXPECT_EQ(*ParseChecker(""), std::nullopt);
  EXPECT_EQ(*ParseChecker("float 1e-6"), 1e-6);
  for (const char* bad : {"float", "float x", "float -1", "float 1e-6 y",
                          "float nan", "float 2", "tokens"}) {
    EXPECT_FALSE(ParseChecker(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace ponder
