#include "policy/text/regex_splitter.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Split(absl::string_view pattern,
                               absl::string_view text) {
  const auto splitter = RegexSplitter::Create(pattern);
  EXPECT_TRUE(splitter.ok()) << splitter.status();
  std::vector<std::string> pieces;
  (*splitter)->Split(text, [&](absl::string_view piece) {
    EXPECT_FALSE(piece.empty());
    pieces.emplace_back(piece);
  });
  return pieces;
}

TEST(RegexSplitterTest, KeepsMatchesAndWhatIsBetween) {
  EXPECT_THAT(Split(R"(\p{N}{1,3})", "ab1234c"),
              ElementsAre("ab", "123", "4", "c"));
  EXPECT_THAT(Split("x*", "axb"), ElementsAre("a", "x", "b"));
  EXPECT_THAT(Split("b", ""), ElementsAre());
}

TEST(RegexSplitterTest, ReadsPatternsAsOniguruma) {
  // U+180E is not white space, U+0085 is.
  EXPECT_THAT(Split(R"(\s)", "a\xE1\xA0\x8E"), ElementsAre("a\xE1\xA0\x8E"));
  EXPECT_THAT(Split(R"(\s)", "a\xC2\x85"), ElementsAre("a", "\xC2\x85"));
  EXPECT_THAT(Split(R"([^\S\n]+)", "a \t\n"), ElementsAre("a", " \t", "\n"));
  EXPECT_THAT(Split(R"(x$)", "x\nx"), ElementsAre("x", "\n", "x"));
  // The long s is an s whatever its case.
  EXPECT_THAT(Split("(?i:'s)", "a'\xC5\xBF"), ElementsAre("a", "'\xC5\xBF"));
}

TEST(RegexSplitterTest, RefusesWhatWouldMeanSomethingElse) {
  const auto error = [](absl::string_view pattern) {
    return std::string(RegexSplitter::Create(pattern).status().message());
  };
  for (const char* pattern :
       {R"(\w+)", R"(\h)", R"([\v])", R"(\p{Han})", R"(\pL)", R"(\p{L)",
        R"(a{1,2}+)", R"(a{2}?)", "[a[b]]", "[a&&b]", "[]a]", "(?x:a)",
        "(?<name>a)", R"(\b)", R"(\)"}) {
    EXPECT_THAT(error(pattern), HasSubstr("is not supported")) << pattern;
  }
  EXPECT_THAT(error("(a"), HasSubstr("\"(a\" is wrong: missing closing"));
  EXPECT_THAT(error("[a"), HasSubstr("is wrong"));
}

TEST(RegexSplitterTest, EscapedTextMatchesItself) {
  EXPECT_THAT(Split(EscapeRegex("a.[b"), "xa.[bya-[b"),
              ElementsAre("x", "a.[b", "ya-[b"));
}

// More than the stack of compiled expressions holds.
TEST(RegexSplitterTest, LongBacktrackingEnds) {
  const std::string text = std::string(1 << 20, 'a') + "!";
  EXPECT_THAT(Split("(?:a|b)*!", text), ElementsAre(text));
}

}  // namespace
}  // namespace ponder
