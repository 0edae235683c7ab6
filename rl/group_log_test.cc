#include "rl/group_log.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

FinishedGroup Group(const std::string& id, int samples) {
  FinishedGroup group;
  group.lease.set_group_id(id);
  for (int i = 0; i < samples; ++i) {
    group.lease.add_samples()->set_key(static_cast<uint64_t>(100 + i));
    Sample& sample = group.samples.emplace_back();
    sample.set_index(i);
    sample.set_key(static_cast<uint64_t>(100 + i));
    sample.set_text(absl::StrCat(id, "-", i));
  }
  return group;
}

class GroupLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = absl::StrCat(testing::TempDir(), "/group_log_", getpid());
    std::filesystem::remove(path_);
  }

  void Write(const std::vector<FinishedGroup>& groups) const {
    const auto log = *GroupLog::Open(path_, "weights");
    GroupLog::Spent spent = log->spent();
    for (const FinishedGroup& group : groups) {
      spent.seconds += 1;
      spent.phases.generation += 2;
      spent.phases.reward += 3;
      log->Append(group, spent);
    }
    EXPECT_TRUE(log->status().ok());
  }

  std::string path_;
};

TEST_F(GroupLogTest, GivesBackWhatWasAppended) {
  Write({Group("a", 2), Group("b", 3)});
  Write({Group("c", 1)});
  const auto log = *GroupLog::Open(path_, "weights");
  FinishedGroup got;
  for (const auto& wanted : {Group("c", 1), Group("a", 2), Group("b", 3)}) {
    ASSERT_TRUE(log->Take(wanted.lease, &got)) << wanted.lease.group_id();
    ASSERT_EQ(got.samples.size(), wanted.samples.size());
    EXPECT_EQ(got.samples.back().text(), wanted.samples.back().text());
  }
  EXPECT_FALSE(log->Take(Group("a", 2).lease, &got));
  // What all of them took.
  EXPECT_EQ(log->spent().seconds, 3);
  EXPECT_EQ(log->spent().phases.generation, 6);
  EXPECT_EQ(log->spent().phases.reward, 9);
}

TEST_F(GroupLogTest, GroupsOfOtherWeightsAreDropped) {
  Write({Group("a", 2)});
  FinishedGroup got;
  {
    const auto other = *GroupLog::Open(path_, "others");
    EXPECT_FALSE(other->Take(Group("a", 2).lease, &got));
    EXPECT_EQ(other->spent().seconds, 0);
  }
  EXPECT_EQ(std::filesystem::file_size(path_), 0);
}

TEST_F(GroupLogTest, DropsARecordThatWasNotFinished) {
  Write({Group("a", 2), Group("b", 2)});
  const std::string whole = *ReadFile(path_);
  for (size_t cut = 1; cut < whole.size() / 2; ++cut) {
    ASSERT_TRUE(
        WriteFileAtomically(path_, whole.substr(0, whole.size() - cut)).ok());
    Write({Group("c", 1)});
    const auto log = *GroupLog::Open(path_, "weights");
    FinishedGroup got;
    EXPECT_TRUE(log->Take(Group("a", 2).lease, &got)) << cut;
    EXPECT_FALSE(log->Take(Group("b", 2).lease, &got)) << cut;
    EXPECT_TRUE(log->Take(Group("c", 1).lease, &got)) << cut;
  }
}

TEST_F(GroupLogTest, OtherSamplesThanTheLeasesAreNotTaken) {
  Write({Group("a", 2), Group("b", 2)});
  const auto log = *GroupLog::Open(path_, "weights");
  FinishedGroup got;
  EXPECT_FALSE(log->Take(Group("a", 3).lease, &got));
  Lease other = Group("b", 2).lease;
  other.mutable_samples(1)->set_key(7);
  EXPECT_FALSE(log->Take(other, &got));
}

}  // namespace
}  // namespace ponder
