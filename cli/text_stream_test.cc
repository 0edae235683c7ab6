#include "cli/text_stream.h"

#include <memory>

#include "gtest/gtest.h"
#include "policy/text/byte_tokenizer.h"

namespace ponder {
namespace {

// What a stream has written after each of the bytes of `text`, and at the end.
std::vector<std::string> Written(const std::string& text, bool thought_opened,
                                 bool dim) {
  const auto tokenizer = *Tokenizer::FromJson(ByteTokenizerJson(320), "test");
  std::FILE* const file = std::tmpfile();
  const auto content = [file] {
    std::string result(static_cast<size_t>(std::ftell(file)), '\0');
    std::rewind(file);
    EXPECT_EQ(std::fread(result.data(), 1, result.size(), file), result.size());
    return result;
  };
  TextStream stream(tokenizer.get(), thought_opened, dim, file);
  std::vector<std::string> written;
  for (const char byte : text) {
    stream.Add(static_cast<unsigned char>(byte));
    written.push_back(content());
  }
  stream.Finish();
  written.push_back(content());
  std::fclose(file);
  return written;
}

TEST(TextStreamTest, WritesWholeCharactersAsTheyCome) {
  const auto written = Written("a\xC3\xA9\xF0\x9F\x98\x80z", false, false);
  EXPECT_EQ(written[0], "a");
  EXPECT_EQ(written[1], "a");
  EXPECT_EQ(written[2], "a\xC3\xA9");
  EXPECT_EQ(written[5], "a\xC3\xA9");
  EXPECT_EQ(written.back(), "a\xC3\xA9\xF0\x9F\x98\x80z");
}

TEST(TextStreamTest, ReplacesWhatIsNoCharacter) {
  EXPECT_EQ(Written("a\xFF"
                    "b",
                    false, false)
                .back(),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(Written("a\xC3", false, false).back(), "a\xEF\xBF\xBD");
}

TEST(TextStreamTest, DimsTheThought) {
  EXPECT_EQ(Written("x<think>1</think>2", false, true).back(),
            "x\033[2m<think>1</think>\033[0m2");
  EXPECT_EQ(Written("1</think>2", true, true).back(),
            "\033[2m1</think>\033[0m2");
  // Cut within the thought: the terminal is plain again.
  EXPECT_EQ(Written("1", true, true).back(), "\033[2m1\033[0m");
  EXPECT_EQ(Written("<think>1</think>2", false, false).back(),
            "<think>1</think>2");
}

TEST(TextStreamTest, HoldsBackWhatMayBeATag) {
  const auto written = Written("a<thin</b", false, false);
  EXPECT_EQ(written[5], "a");
  EXPECT_EQ(written.back(), "a<thin</b");
}

}  // namespace
}  // namespace ponder
