#include "reward/repetition_penalty.h"

#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

TEST(RepetitionPenaltyTest, CountsNgramsThatWereThereBefore) {
  EXPECT_EQ(RepetitionPenalty("one two three four five", 3), 0);
  // the cat sat | cat sat the | sat the cat | the cat sat: 3 of 4 distinct.
  EXPECT_EQ(RepetitionPenalty("the cat sat the cat sat", 3), -0.25);
  EXPECT_EQ(RepetitionPenalty("wait wait wait wait wait", 1), -0.8);
  // 8 bigrams, one distinct.
  EXPECT_EQ(RepetitionPenalty("no no no no no no no no no", 2), -0.875);
}

TEST(RepetitionPenaltyTest, CaseAndSpaceDoNotMatter) {
  EXPECT_EQ(RepetitionPenalty("The Cat\nsat  the\tCAT sat", 3), -0.25);
}

TEST(RepetitionPenaltyTest, TooShortIsNoRepetition) {
  EXPECT_EQ(RepetitionPenalty("", 3), 0);
  EXPECT_EQ(RepetitionPenalty("a a", 3), 0);
  EXPECT_EQ(RepetitionPenalty("a a a", 3), 0);
}

TEST(RepetitionPenaltyTest, ScriptsWithoutSpaces) {
  // U+8BA1 U+7B97 twice: 4 words, bigrams ab ba ab.
  const std::string text = "\xe8\xae\xa1\xe7\xae\x97\xe8\xae\xa1\xe7\xae\x97";
  EXPECT_NEAR(RepetitionPenalty(text, 2), -1.0 / 3, 1e-15);
}

TEST(RepetitionPenaltyTest, AnyBytes) {
  EXPECT_NEAR(RepetitionPenalty("\xff \xff \xff", 1), -2.0 / 3, 1e-15);
}

// The rolled hashes against sets of n-grams.
TEST(RepetitionPenaltyTest, AgreesWithTheDefinition) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const int n = 1 + static_cast<int>(random() % 5);
    std::vector<std::string> words(random() % 60);
    for (std::string& word : words) word = absl::StrCat("w", random() % 4);
    std::set<std::vector<std::string>> distinct;
    int total = 0;
    for (size_t i = 0; i + n <= words.size(); ++i, ++total) {
      distinct.insert({words.begin() + i, words.begin() + i + n});
    }
    const double want =
        total == 0 ? 0 : static_cast<double>(distinct.size()) / total - 1;
    EXPECT_DOUBLE_EQ(RepetitionPenalty(absl::StrJoin(words, " "), n), want);
  }
}

}  // namespace
}  // namespace ponder
