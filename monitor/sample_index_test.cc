#include "monitor/sample_index.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kAll = 1 << 30;

class SampleIndexTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = absl::StrCat(testing::TempDir(), "/samples_", getpid(), ".jsonl");
    std::filesystem::remove(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  void Append(const std::string& text) const {
    std::ofstream(path_, std::ios::app | std::ios::binary) << text;
  }

  // `more`: further fields, each with a comma behind it.
  static std::string Line(int step, const std::string& problem,
                          const std::string& verdict, double reward,
                          const std::string& more = "") {
    return absl::StrCat("{\"step\":", step, ",\"group\":0,\"problem\":\"",
                        problem, "\",\"verdict\":\"", verdict,
                        "\",\"reward\":", reward,
                        ",\"finish_reason\":\"stop\",\"extracted\":\"7\",",
                        more, "\"prompt\":\"?\",\"response\":\"x\"}\n");
  }

  static std::vector<int> Matching(const SampleIndex& index,
                                   SampleFilter filter) {
    std::vector<int> found;
    for (size_t i = 0; i < index.samples().size(); ++i) {
      if (index.Matches(filter, index.samples()[i])) {
        found.push_back(static_cast<int>(i));
      }
    }
    return found;
  }

  std::string path_;
};

TEST_F(SampleIndexTest, GroupsAndFilters) {
  Append(Line(1, "a", "CORRECT", 1));
  Append(Line(1, "a", "WRONG", 0));
  Append(Line(1, "b", "WRONG", 0,
              "\"finish_reason\":\"length\","));  // The later one counts.
  Append(
      "{\"step\":1,\"group\":0,\"problem\":\"b\",\"verdict\":\"UNSCORABLE\","
      "\"reward\":null,\"prompt\":\"?\",\"response\":\"\"}\n");
  Append(Line(2, "a", "WRONG", 0, "\"components\":{\"format\":0},"));
  Append(Line(2, "a", "WRONG", 0.5, "\"components\":{\"format\":1},"));
  Append(Line(3, "a", "WRONG", 0.25));
  SampleIndex index(path_);
  const absl::StatusOr<bool> done = index.Update(kAll);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_TRUE(*done);
  ASSERT_EQ(index.samples().size(), 7);
  ASSERT_EQ(index.groups().size(), 4);
  EXPECT_THAT(index.problems(), ElementsAre("a", "b"));
  EXPECT_FLOAT_EQ(index.groups()[0].reward, 0.5);
  EXPECT_EQ(index.groups()[1].reward, 0);
  EXPECT_EQ(index.groups()[1].rewarded, 1);
  EXPECT_EQ(index.groups()[2].previous, 0);
  EXPECT_EQ(index.groups()[2].step, 2);

  EXPECT_THAT(Matching(index, SampleFilter::kCorrect), ElementsAre(0));
  EXPECT_THAT(Matching(index, SampleFilter::kWrong),
              ElementsAre(1, 2, 4, 5, 6));
  EXPECT_THAT(Matching(index, SampleFilter::kTruncated), ElementsAre(2));
  EXPECT_THAT(Matching(index, SampleFilter::kUnscorable), ElementsAre(3));
  // By the format component, or by an answer in what ended by itself.
  EXPECT_THAT(Matching(index, SampleFilter::kWrongWellFormed),
              ElementsAre(1, 5, 6));
  // From 0.5 to 0.25 in step 2, and no further in step 3.
  EXPECT_THAT(Matching(index, SampleFilter::kRewardFell), ElementsAre(4, 5));
}

TEST_F(SampleIndexTest, ReadsOnWhatComesLater) {
  Append(Line(1, "a", "CORRECT", 1));
  const std::string second = Line(1, "a", "WRONG", 0);
  Append(second.substr(0, 30));
  SampleIndex index(path_);
  ASSERT_TRUE(*index.Update(kAll));
  EXPECT_EQ(index.samples().size(), 1);
  Append(second.substr(30));
  ASSERT_TRUE(*index.Update(kAll));
  ASSERT_EQ(index.samples().size(), 2);
  EXPECT_EQ(index.groups().size(), 1);
  EXPECT_EQ(*index.Line(1) + "\n", second);
}

TEST_F(SampleIndexTest, ReadsNoMoreAtATimeThanItMay) {
  // Each a third of what one read takes.
  for (int i = 0; i < 12; ++i) {
    std::string line = Line(i, "a", "CORRECT", 1);
    line.insert(line.size() - 3, std::string(1400000, 'y'));
    Append(line);
  }
  SampleIndex index(path_);
  ASSERT_FALSE(*index.Update(/*max_bytes=*/1));
  EXPECT_EQ(index.samples().size(), 2);
  while (!*index.Update(1)) {
  }
  EXPECT_EQ(index.samples().size(), 12);
  EXPECT_EQ(index.Line(11)->size(), index.samples()[11].bytes);
}

TEST_F(SampleIndexTest, ALineOfManyChunks) {
  std::string line = Line(1, "a", "CORRECT", 1);
  line.insert(line.size() - 3, std::string(20 << 20, 'y'));
  Append(line);
  Append(Line(1, "a", "WRONG", 0));
  SampleIndex index(path_);
  ASSERT_TRUE(*index.Update(kAll));
  ASSERT_EQ(index.samples().size(), 2);
  EXPECT_EQ(index.Line(0)->size() + 1, line.size());
}

// A resumed run writes the file anew, without the steps that come again.
TEST_F(SampleIndexTest, AFileThatIsReplacedIsReadAnew) {
  Append(Line(1, "a", "CORRECT", 1));
  Append(Line(2, "a", "WRONG", 0));
  SampleIndex index(path_);
  ASSERT_TRUE(*index.Update(kAll));
  const std::string other = path_ + ".other";
  std::ofstream(other) << Line(1, "b", "CORRECT", 1)
                       << Line(2, "b", "CORRECT", 1)
                       << Line(3, "b", "CORRECT", 1);
  std::filesystem::rename(other, path_);
  EXPECT_THAT(std::string(index.Line(0).status().message()),
              HasSubstr("was replaced"));
  ASSERT_TRUE(*index.Update(kAll));
  EXPECT_EQ(index.samples().size(), 3);
  EXPECT_THAT(index.problems(), ElementsAre("b"));
}

TEST_F(SampleIndexTest, WhatIsNoSampleIsPassedOver) {
  Append("\n[]\n{\"set\":\"a\",\"pass_rate\":1}\nnonsense\n{\"verdict\":1}\n");
  Append("{\"verdict\":\"WRONG\"}\n" + std::string(100000, '[') + "\n");
  SampleIndex index(path_);
  ASSERT_TRUE(*index.Update(kAll));
  EXPECT_THAT(index.samples(), IsEmpty());
  Append("{\"response\":\"r\",\"verdict\":\"WRONG\",\"step\":-5}\n");
  ASSERT_TRUE(*index.Update(kAll));
  ASSERT_EQ(index.samples().size(), 1);
  EXPECT_EQ(index.groups()[0].step, 0);
  EXPECT_TRUE(std::isnan(index.groups()[0].reward));
}

TEST_F(SampleIndexTest, AMissingFileIsNamed) {
  SampleIndex index("/none/samples.jsonl");
  EXPECT_THAT(std::string(index.Update(kAll).status().message()),
              HasSubstr("/none/samples.jsonl"));
}

}  // namespace
}  // namespace ponder
