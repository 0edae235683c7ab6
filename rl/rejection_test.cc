#include "rl/rejection.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RejectionTest : public testing::Test {
 protected:
  // A right sample of `tokens` tokens that ended by itself.
  Sample* Add(const std::string& text, int tokens) {
    Sample& sample = groups_.back().samples.emplace_back();
    sample.set_text(text);
    sample.set_finish_reason("stop");
    for (int i = 0; i < tokens; ++i) sample.add_response_ids(7);
    sample.mutable_score()->set_verdict(CORRECT);
    return &sample;
  }

  static void SetComponent(const std::string& name, double value,
                           Sample* sample) {
    ComponentScore* part = sample->mutable_score()->add_components();
    part->set_name(name);
    part->set_value(value);
  }

  // Begins another group, of this problem.
  void AddGroup(const std::string& set, const std::string& id) {
    FinishedGroup& group = groups_.emplace_back();
    group.lease.set_data_set(set);
    group.lease.mutable_problem()->set_id(id);
  }

  std::vector<FinishedGroup> groups_ = std::vector<FinishedGroup>(1);
  KeepSamples keep_;
  RejectionCounts counts_;
};

TEST_F(RejectionTest, KeepsRightWholeResponsesTheShortestFirst) {
  Add("four", 4);
  Add("wrong", 1)->mutable_score()->set_verdict(WRONG);
  Add("unscorable", 1)->mutable_score()->set_verdict(UNSCORABLE);
  Add("cut", 2)->set_finish_reason("length");
  Add("two", 2);
  Add("other four", 4);
  EXPECT_THAT(KeptSamples(keep_, groups_, &counts_),
              ElementsAre(ElementsAre(0, 4, 5)));
  EXPECT_EQ(counts_.Text(),
            "kept 3 of 6 samples, of 1 problems; dropped 2 wrong, 1 truncated");
}

TEST_F(RejectionTest, EqualResponsesCountOnce) {
  Add("a  b\n", 3);
  Add("a b", 2);
  Add("ab", 4);
  EXPECT_THAT(KeptSamples(keep_, groups_, &counts_),
              ElementsAre(ElementsAre(1, 2)));
  EXPECT_EQ(counts_.repeated, 1);
}

TEST_F(RejectionTest, NoMoreThanTheMostOfAProblem) {
  for (int i = 0; i < 6; ++i) Add(std::string(i + 1, 'x'), 6 - i);
  keep_.set_max_per_problem(2);
  EXPECT_THAT(KeptSamples(keep_, groups_, &counts_),
              ElementsAre(ElementsAre(4, 5)));
  EXPECT_EQ(counts_.beyond_most, 4);
  keep_.set_max_per_problem(0);
  EXPECT_EQ(KeptSamples(keep_, groups_, &counts_)[0].size(), 6);
  EXPECT_EQ(counts_.kept, 8);
  EXPECT_EQ(counts_.problems, 2);
}

// A problem that is drawn again has no more of its samples kept.
TEST_F(RejectionTest, GroupsOfAProblemAreOne) {
  groups_.clear();
  AddGroup("a", "1");
  Add("long one", 8);
  Add("same", 4);
  AddGroup("a", "2");
  Add("same", 4);
  AddGroup("b", "1");
  Add("same", 4);
  AddGroup("a", "1");
  Add("same", 4);
  Add("one", 1);
  keep_.set_max_per_problem(2);
  EXPECT_THAT(KeptSamples(keep_, groups_, &counts_),
              ElementsAre(ElementsAre(1), ElementsAre(0), ElementsAre(0),
                          ElementsAre(1)));
  EXPECT_EQ(counts_.Text(),
            "kept 4 of 6 samples, of 3 problems; dropped 1 repeated, 1 more "
            "than max_per_problem");
  EXPECT_EQ(counts_.ToJson()["beyond_most"], 1);
}

TEST_F(RejectionTest, RulesAreOfComponents) {
  KeepRule* format = keep_.add_rule();
  format->set_component("format");
  KeepRule* language = keep_.add_rule();
  language->set_component("language");
  language->set_min(0.9);
  SetComponent("format", 1, Add("no language", 1));
  Sample* mixed = Add("mixed", 1);
  SetComponent("format", 1, mixed);
  SetComponent("language", 0.8, mixed);
  Sample* good = Add("good", 1);
  SetComponent("format", 1, good);
  SetComponent("language", 0.9, good);
  Sample* unscored = Add("unscored", 1);
  SetComponent("language", 1, unscored);
  unscored->mutable_score()->add_components()->set_name("format");
  EXPECT_THAT(KeptSamples(keep_, groups_, &counts_),
              ElementsAre(ElementsAre(2)));
  EXPECT_EQ(counts_.against_rule, 3);
}

TEST_F(RejectionTest, LongResponsesAreDropped) {
  Add("long", 9);
  keep_.set_max_response_tokens(8);
  EXPECT_THAT(KeptSamples(keep_, groups_, &counts_), ElementsAre(IsEmpty()));
  EXPECT_EQ(counts_.too_long, 1);
  EXPECT_EQ(counts_.problems, 0);
}

}  // namespace
}  // namespace ponder
