#include "base/crc32c.h"

#include <string>

#include "gtest/gtest.h"

namespace ponder {
namespace {

// RFC 3720, appendix B.4, and the usual check value.
TEST(Crc32cTest, KnownValues) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62A8AB43u);
}

TEST(Crc32cTest, ExtendsPieceByPiece) {
  const std::string text = "the quick brown fox jumps over the lazy dog";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    uint32_t crc = ExtendCrc32c(0, text.data(), cut);
    crc = ExtendCrc32c(crc, text.data() + cut, text.size() - cut);
    EXPECT_EQ(crc, Crc32c(text)) << cut;
  }
}

}  // namespace
}  // namespace ponder
