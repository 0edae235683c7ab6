#include "monitor/event_writer.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "monitor/event_reader_for_test.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

class EventWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(testing::TempDir(), "/event_writer_", getpid());
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

// The CRC-32C of eight zero bytes is 0x8c28b28a, that of none is 0.
TEST_F(EventWriterTest, FramesAnEmptyRecord) {
  EXPECT_EQ(absl::BytesToHexString(FrameRecord("")),
            "000000000000000029039807d8ea82a2");
}

TEST_F(EventWriterTest, WritesWhatIsReadBack) {
  auto writer = EventWriter::Create(folder_);
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_THAT((*writer)->path(), HasSubstr("/events.out.tfevents."));
  const float values[] = {0.5f, 1.5f, -2.0f};
  ASSERT_TRUE((*writer)->AddScalars(3, {{"a/b", 0.25}, {"c", -1}}).ok());
  ASSERT_TRUE((*writer)->AddHistogram(4, "h", values).ok());
  ASSERT_TRUE((*writer)->AddText(5, "samples", "<think>x</think>").ok());

  const auto events = ReadEvents((*writer)->path());
  ASSERT_EQ(events.size(), 5);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_GT(events[0].wall_time(), 1.6e9);
  EXPECT_EQ(events[2].step(), 3);
  EXPECT_EQ(events[2].summary().value(0).tag(), "a/b");
  EXPECT_EQ(events[2].summary().value(0).simple_value(), 0.25f);
  EXPECT_EQ(events[2].summary().value(1).simple_value(), -1.0f);
  EXPECT_EQ(events[3].summary().value(0).histo().num(), 3);
  const auto& text = events[4].summary().value(0);
  EXPECT_EQ(text.tag(), "samples/text_summary");
  EXPECT_EQ(text.metadata().plugin_data().plugin_name(), "text");
  EXPECT_EQ(text.tensor().string_val(0), "<think>x</think>");
}

// With the first value of each tag, as TensorBoard reads it.
TEST_F(EventWriterTest, DescribesWhatIsInTheMetricTable) {
  auto writer = EventWriter::Create(folder_);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const int step : {1, 2}) {
    ASSERT_TRUE((*writer)->AddScalars(step, {{"actor/lr", 1}}).ok());
  }
  const auto events = ReadEvents((*writer)->path());
  ASSERT_EQ(events.size(), 4);
  EXPECT_EQ(events[2].summary().value(0).metadata().summary_description(),
            "Of the step's last update.\n\nUnit: learning rate.");
  EXPECT_FALSE(events[3].summary().value(0).has_metadata());
}

TEST_F(EventWriterTest, Hyperparameters) {
  auto writer = EventWriter::Create(folder_);
  ASSERT_TRUE(writer.ok()) << writer.status();
  const Hparams hparams = {
      {"lr", 0.5}, {"on", true}, {"kind", std::string("GRPO")}};
  ASSERT_TRUE((*writer)->AddHparams(hparams, {"actor/lr"}, "run").ok());
  ASSERT_TRUE((*writer)->AddSessionEnd(/*success=*/true).ok());
  const auto events = ReadEvents((*writer)->path());
  ASSERT_EQ(events.size(), 5);
  std::vector<tensorboard::HParamsPluginData> data(3);
  for (size_t i = 0; i < data.size(); ++i) {
    const auto& value = events[2 + i].summary().value(0);
    EXPECT_EQ(value.metadata().plugin_data().plugin_name(), "hparams");
    ASSERT_TRUE(
        data[i].ParseFromString(value.metadata().plugin_data().content()));
  }
  EXPECT_EQ(events[2].summary().value(0).tag(), "_hparams_/experiment");
  EXPECT_EQ(data[0].experiment().hparam_infos(1).name(), "lr");
  EXPECT_EQ(data[0].experiment().hparam_infos(1).type(), 3);
  EXPECT_EQ(data[0].experiment().metric_infos(0).name().tag(), "actor/lr");
  const auto& values = data[1].session_start_info().hparams();
  EXPECT_EQ(values.at("lr").number_value(), 0.5);
  EXPECT_EQ(values.at("on").bool_value(), true);
  EXPECT_EQ(values.at("kind").string_value(), "GRPO");
  EXPECT_EQ(data[2].session_end_info().status(), 1);
}

TEST_F(EventWriterTest, AResumedRunGetsAFileOfItsOwn) {
  auto first = EventWriter::Create(folder_);
  auto second = EventWriter::Create(folder_, /*first_step=*/8);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE((*first)->path(), (*second)->path());
  const auto events = ReadEvents((*second)->path());
  ASSERT_EQ(events.size(), 2);
  EXPECT_EQ(events[1].session_log().status(), 1);
  EXPECT_EQ(events[1].step(), 8);
}

TEST_F(EventWriterTest, FolderThatCannotBeMadeIsNamed) {
  const auto writer = EventWriter::Create("/proc/none/x");
  EXPECT_THAT(std::string(writer.status().message()), HasSubstr("/proc/none"));
}

TEST(HistogramTest, CountsInExponentialBuckets) {
  const float values[] = {
      0, 1, 1, -3, 1e30, -std::numeric_limits<float>::infinity(), NAN};
  const tensorboard::HistogramProto histogram = MakeHistogram(values);
  EXPECT_EQ(histogram.num(), 5);
  EXPECT_EQ(histogram.min(), -3);
  EXPECT_FLOAT_EQ(histogram.max(), 1e30);
  EXPECT_FLOAT_EQ(histogram.sum(), 1e30);
  ASSERT_EQ(histogram.bucket_size(), histogram.bucket_limit_size());
  double total = 0, before = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < histogram.bucket_size(); ++i) {
    total += histogram.bucket(i);
    EXPECT_GT(histogram.bucket_limit(i), before);
    before = histogram.bucket_limit(i);
    if (histogram.bucket(i) == 2) {  // The two ones: within a tenth of 1.
      EXPECT_GT(histogram.bucket_limit(i), 1);
      EXPECT_LT(histogram.bucket_limit(i), 1.1);
    }
  }
  EXPECT_EQ(total, 5);
  EXPECT_EQ(before, std::numeric_limits<double>::max());
  EXPECT_LT(histogram.bucket_size(), 12);  // Empty rows are one bucket.
}

TEST(HistogramTest, NothingIsAllZero) {
  const tensorboard::HistogramProto histogram = MakeHistogram({});
  EXPECT_EQ(histogram.num(), 0);
  EXPECT_EQ(histogram.bucket_size(), 1);
  EXPECT_EQ(histogram.bucket(0), 0);
}

}  // namespace
}  // namespace ponder
