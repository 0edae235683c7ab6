// Properties of the verifier on random answers, of which 100,000 pairs each are
// compared.

#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "reward/math/answer_generator_for_test.h"
#include "reward/math/compare.h"

namespace ponder::math {
namespace {

constexpr int kPairs = 100'000;
constexpr int kFailuresToShow = 10;

// Marsaglia's xorshift64*: the same numbers everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint32_t operator()(uint32_t bound) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<uint32_t>((state_ * 0x2545f4914f6cdd1du) >> 33) % bound;
  }

 private:
  uint64_t state_;
};

Match Compared(const std::string& gold, const std::string& answer) {
  Budget budget;
  return CompareAnswers(gold, answer, {}, &budget).match;
}

class VerifyPropertyTest : public testing::Test {
 protected:
  // The next answer that has a value.
  Term Next(AnswerGenerator* generator) {
    while (true) {
      Term term = generator->Answer();
      if (IsDefined(term)) return term;
    }
  }

  void Fail(const std::string& gold, const std::string& answer, Match match) {
    if (++failures_ <= kFailuresToShow) {
      ADD_FAILURE() << gold << "   |   " << answer << "   gives "
                    << static_cast<int>(match);
    }
  }

  int failures_ = 0;
};

TEST_F(VerifyPropertyTest, RewrittenAnswersAreAccepted) {
  AnswerGenerator generator{Random(1)};
  for (int pair = 0; pair < kPairs; ++pair) {
    const Term term = Next(&generator);
    const std::string gold = generator.Written(term);
    const std::string answer = generator.Written(generator.Rewritten(term));
    const Match match = Compared(gold, answer);
    if (match != Match::kSame) Fail(gold, answer, match);
  }
  EXPECT_EQ(failures_, 0);
}

TEST_F(VerifyPropertyTest, NearMissesAreRefused) {
  AnswerGenerator generator{Random(2)};
  int compared = 0;
  for (int pair = 0; compared < kPairs; ++pair) {
    ASSERT_LT(pair, 4 * kPairs) << "too few near misses differ";
    const Term term = Next(&generator);
    const Term miss = generator.NearMiss(term);
    if (!IsDefined(miss) || !DiffersInValue(term, miss)) continue;
    ++compared;
    const std::string gold = generator.Written(term);
    const std::string answer = generator.Written(generator.Rewritten(miss));
    const Match match = Compared(gold, answer);
    if (match == Match::kSame) Fail(gold, answer, match);
  }
  EXPECT_EQ(failures_, 0);
}

TEST_F(VerifyPropertyTest, ComparisonIsSymmetric) {
  AnswerGenerator generator{Random(3)};
  for (int pair = 0; pair < kPairs; ++pair) {
    const Term term = Next(&generator);
    const Term other =
        pair % 2 == 0 ? generator.NearMiss(term) : generator.Rewritten(term);
    const std::string a = generator.Written(term);
    const std::string b = generator.Written(other);
    const Match there = Compared(a, b);
    const Match back = Compared(b, a);
    if ((there == Match::kSame) != (back == Match::kSame)) Fail(a, b, there);
  }
  EXPECT_EQ(failures_, 0);
}

TEST_F(VerifyPropertyTest, SpacesMeanNothing) {
  AnswerGenerator generator{Random(4)};
  Random random(5);
  for (int pair = 0; pair < kPairs; ++pair) {
    const Term term = Next(&generator);
    const std::string gold = generator.Written(term);
    // Spaces around operators and brackets.
    std::string answer;
    for (size_t i = 0; i < gold.size(); ++i) {
      const bool escaped = i > 0 && gold[i - 1] == '\\';
      const bool around = absl::StrContains("+=()[],", gold.substr(i, 1));
      if (around && !escaped && random(2) == 0) {
        absl::StrAppend(&answer, " ", gold.substr(i, 1), "  ");
      } else {
        answer += gold[i];
      }
    }
    const Match match = Compared(gold, answer);
    if (match != Match::kSame) Fail(gold, answer, match);
  }
  EXPECT_EQ(failures_, 0);
}

}  // namespace
}  // namespace ponder::math
