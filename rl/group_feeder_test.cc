#include "rl/group_feeder.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;

// Answers whatever was given out, the newest policy's version on each lease;
// in the order of giving out, or from the last to the first.
class FakeSampler final : public GroupSampler {
 public:
  void Enqueue(std::vector<Lease> leases) override {
    for (Lease& lease : leases) {
      lease.set_policy_version(version);
      out.push_back(std::move(lease));
    }
  }

  absl::StatusOr<FinishedGroup> Wait(
      const std::function<bool(const std::string&)>& wanted) override {
    for (size_t i = 0; i < out.size(); ++i) {
      const size_t at = backwards ? out.size() - 1 - i : i;
      if (!wanted(out[at].group_id())) continue;
      FinishedGroup group;
      group.lease = out[at];
      out.erase(out.begin() + static_cast<int64_t>(at));
      return group;
    }
    return absl::DeadlineExceededError("nothing is out");
  }

  void Cancel(const std::vector<std::string>& group_ids) override {
    for (const std::string& id : group_ids) {
      cancelled.push_back(id);
      std::erase_if(out, [&](const Lease& l) { return l.group_id() == id; });
    }
  }

  int64_t version = 1;
  bool backwards = false;
  std::deque<Lease> out;
  std::vector<std::string> cancelled;
};

class GroupFeederTest : public testing::Test {
 protected:
  GroupFeeder& Feeder(const GroupFeeder::Options& options) {
    feeder_ = std::make_unique<GroupFeeder>(
        &sampler_, options,
        [this]() -> absl::StatusOr<Lease> {
          Lease lease;
          lease.set_group_id(absl::StrCat(drawn_++));
          return lease;
        },
        [this] { return drawn_; },
        [this](const FinishedGroup& group) {
          return !dull_.contains(group.lease.group_id());
        });
    return *feeder_;
  }

  // A step, after which a new policy is there.
  StepGroups Step() {
    absl::StatusOr<StepGroups> step = feeder_->Next(sampler_.version);
    EXPECT_TRUE(step.ok()) << step.status();
    last_version_ = sampler_.version++;
    return *std::move(step);
  }

  static std::vector<std::string> Ids(const StepGroups& step) {
    std::vector<std::string> ids;
    for (const FinishedGroup& group : step.groups) {
      ids.push_back(group.lease.group_id());
    }
    return ids;
  }

  int64_t MaxStaleness(const StepGroups& step) const {
    int64_t most = 0;
    for (const FinishedGroup& group : step.groups) {
      most = std::max(most, last_version_ - group.lease.policy_version());
    }
    return most;
  }

  FakeSampler sampler_;
  int64_t drawn_ = 0;
  int64_t last_version_ = 0;
  std::set<std::string> dull_;  // Groups without spread.
  std::unique_ptr<GroupFeeder> feeder_;
};

TEST_F(GroupFeederTest, SynchronousStepsHaveTheirOwnPrompts) {
  sampler_.backwards = true;  // The order of coming back does not matter.
  Feeder({.prompts_per_step = 3});
  for (int step = 0; step < 3; ++step) {
    const StepGroups groups = Step();
    EXPECT_THAT(Ids(groups),
                ElementsAre(absl::StrCat(3 * step), absl::StrCat(3 * step + 1),
                            absl::StrCat(3 * step + 2)));
    EXPECT_EQ(MaxStaleness(groups), 0);
    EXPECT_EQ(feeder_->cursor(), drawn_);
    EXPECT_TRUE(sampler_.out.empty());
  }
}

TEST_F(GroupFeederTest, StalenessIsBounded) {
  for (const int64_t bound : {1, 2, 8}) {
    sampler_ = FakeSampler();
    sampler_.backwards = true;
    drawn_ = 0;
    Feeder({.prompts_per_step = 4, .max_staleness = bound});
    for (int64_t step = 0; step < 20; ++step) {
      const StepGroups groups = Step();
      EXPECT_EQ(Ids(groups).front(), absl::StrCat(4 * step));
      EXPECT_EQ(groups.groups.size(), 4u);
      // In the first steps nothing older is there.
      EXPECT_EQ(MaxStaleness(groups), std::min(step, bound));
      EXPECT_EQ(groups.too_old, 0);
      // While this step is learnt from, the next ones are being sampled.
      EXPECT_EQ(drawn_, (step + 1 + bound) * 4);
      EXPECT_EQ(feeder_->cursor(), (step + 1) * 4);
    }
    feeder_.reset();
    EXPECT_EQ(sampler_.cancelled.size(), static_cast<size_t>(4 * bound));
    EXPECT_TRUE(sampler_.out.empty());
  }
}

TEST_F(GroupFeederTest, DynamicSamplingReplacesGroupsWithoutSpread) {
  dull_ = {"0", "2", "3"};
  Feeder({.prompts_per_step = 2, .round_prompts = 2, .max_rounds = 10});
  const StepGroups step = Step();
  EXPECT_THAT(Ids(step), ElementsAre("1", "4"));
  EXPECT_EQ(step.without_spread.size(), 3);
  EXPECT_FALSE(step.too_few);
}

// Rounds of 6 for steps of 2: what is left goes to the next steps, one step
// older, and what is older still is dropped.
TEST_F(GroupFeederTest, SurplusGroupsAreCarriedOver) {
  dull_ = {"1"};
  Feeder({.prompts_per_step = 2, .round_prompts = 6, .max_rounds = 10});
  EXPECT_THAT(Ids(Step()), ElementsAre("0", "2"));
  EXPECT_EQ(drawn_, 6);
  EXPECT_EQ(feeder_->cursor(), 3);  // 3, 4 and 5 are not lost.
  const StepGroups second = Step();
  EXPECT_THAT(Ids(second), ElementsAre("3", "4"));
  EXPECT_EQ(MaxStaleness(second), 1);
  EXPECT_EQ(drawn_, 6);
  const StepGroups third = Step();
  EXPECT_THAT(Ids(third), ElementsAre("6", "7"));
  EXPECT_EQ(third.too_old, 1);  // 5.
}

TEST_F(GroupFeederTest, TooFewGroupsAreTrainedOn) {
  for (int i = 0; i < 100; ++i) {
    if (i != 4) dull_.insert(absl::StrCat(i));
  }
  Feeder({.prompts_per_step = 3, .round_prompts = 3, .max_rounds = 4});
  const StepGroups step = Step();
  EXPECT_TRUE(step.too_few);
  EXPECT_THAT(Ids(step), ElementsAre("4"));
  EXPECT_EQ(step.without_spread.size(), 12);
  // The next step starts afresh and has its own share of prompts, not more.
  dull_.clear();
  EXPECT_EQ(Step().groups.size(), 3u);
  EXPECT_EQ(Step().groups.size(), 3u);
}

TEST_F(GroupFeederTest, DynamicAndAsynchronous) {
  for (int i = 0; i < 400; i += 3) dull_.insert(absl::StrCat(i));
  sampler_.backwards = true;
  Feeder({.prompts_per_step = 4,
          .max_staleness = 2,
          .round_prompts = 4,
          .max_rounds = 10});
  for (int step = 0; step < 30; ++step) {
    const StepGroups groups = Step();
    EXPECT_EQ(groups.groups.size(), 4u);
    EXPECT_LE(MaxStaleness(groups), 2);
    EXPECT_EQ(groups.too_old, 0);
  }
}

TEST_F(GroupFeederTest, StragglersAreCancelled) {
  sampler_.backwards = true;  // The first two are the slowest.
  Feeder({.prompts_per_step = 4, .extra_prompts = 2});
  const StepGroups step = Step();
  EXPECT_THAT(Ids(step), ElementsAre("2", "3", "4", "5"));
  EXPECT_EQ(step.cancelled, 2);
  EXPECT_THAT(sampler_.cancelled, ElementsAre("0", "1"));
  EXPECT_THAT(Ids(Step()), ElementsAre("8", "9", "10", "11"));
}

TEST_F(GroupFeederTest, AResumedStageGoesOnAtTheCursor) {
  drawn_ = 12;
  Feeder({.prompts_per_step = 3, .max_staleness = 1, .steps_done = 4});
  const StepGroups step = Step();
  EXPECT_THAT(Ids(step), ElementsAre("12", "13", "14"));
  EXPECT_EQ(drawn_, 18);
  EXPECT_EQ(feeder_->cursor(), 15);
}

TEST_F(GroupFeederTest, ErrorsOfTheSamplerComeThrough) {
  Feeder({.prompts_per_step = 2});
  sampler_.out.clear();
  class Broken final : public GroupSampler {
    void Enqueue(std::vector<Lease>) override {}
    absl::StatusOr<FinishedGroup> Wait(
        const std::function<bool(const std::string&)>&) override {
      return absl::CancelledError("stopped");
    }
    void Cancel(const std::vector<std::string>&) override {}
  };
  Broken broken;
  GroupFeeder feeder(
      &broken, {.prompts_per_step = 2}, [] { return Lease(); },
      [] { return int64_t{0}; }, [](const FinishedGroup&) { return true; });
  EXPECT_TRUE(absl::IsCancelled(feeder.Next(1).status()));
}

}  // namespace
}  // namespace ponder
