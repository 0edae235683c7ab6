#include "policy/text/unicode.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ponder {
namespace {

TEST(UnicodeTest, ValidUtf8Length) {
  EXPECT_EQ(ValidUtf8Length(""), 0);
  EXPECT_EQ(ValidUtf8Length("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), 10);
  EXPECT_EQ(ValidUtf8Length("ab\xFF"), 2);
  EXPECT_EQ(ValidUtf8Length("\xC0\x80"), 0);          // Overlong.
  EXPECT_EQ(ValidUtf8Length("\xE0\x9F\xBF"), 0);      // Overlong.
  EXPECT_EQ(ValidUtf8Length("\xED\xA0\x80"), 0);      // A surrogate.
  EXPECT_EQ(ValidUtf8Length("\xF4\x90\x80\x80"), 0);  // Above U+10FFFF.
  EXPECT_EQ(ValidUtf8Length("x\xE2\x82"), 1);         // Cut off.
}

// The example of the Unicode standard, table 3-11, and one cut off.
TEST(UnicodeTest, ReplacesEachMaximalSubpart) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(ReplaceInvalidUtf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"),
            r + r + r + r + "A");
  EXPECT_EQ(ReplaceInvalidUtf8("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(ReplaceInvalidUtf8("ok \xF0\x9F\x98"), "ok " + r);
  EXPECT_EQ(ReplaceInvalidUtf8("\xC3\xA9"), "\xC3\xA9");
  // Offsets: 'a', the two bytes of an e with an accent, a stray byte, 'b'.
  std::vector<size_t> offsets = {0, 1, 2, 3, 4, 5};
  EXPECT_EQ(ReplaceInvalidUtf8("a\xC3\xA9\xFF"
                               "b",
                               &offsets),
            "a\xC3\xA9" + r + "b");
  EXPECT_EQ(offsets, (std::vector<size_t>{0, 1, 3, 3, 6, 7}));
}

TEST(UnicodeTest, CodePointsAtBothEnds) {
  EXPECT_EQ(FirstCodePoint("\xE2\x82\xAC-").value, 0x20AC);
  EXPECT_EQ(FirstCodePoint("\xE2\x82\xAC-").num_bytes, 3);
  EXPECT_EQ(LastCodePoint("-\xF0\x9F\x98\x80").value, 0x1F600);
  EXPECT_EQ(LastCodePoint("").num_bytes, 0);
}

TEST(UnicodeTest, Nfc) {
  EXPECT_EQ(ToNfc("plain"), "plain");
  EXPECT_EQ(ToNfc("e\xCC\x81"), "\xC3\xA9");
  EXPECT_EQ(ToNfc(std::string("\0e\xCC\x81", 4)), std::string("\0\xC3\xA9", 3));
  EXPECT_EQ(ToNfc("\xEF\xAC\x81"), "\xEF\xAC\x81");  // The fi ligature stays.
  // Two marks, in canonical order and not; the second one is of Unicode 14.
  EXPECT_EQ(ToNfc("a\u0301\u0323"), "\u1EA1\u0301");
  EXPECT_EQ(ToNfc("a\u08E1\u089B"), "a\u08E1\u089B");
  EXPECT_EQ(ToNfc("a\u089B\u0301e\u0301"), "a\u089B\u0301\u00E9");
}

}  // namespace
}  // namespace ponder
