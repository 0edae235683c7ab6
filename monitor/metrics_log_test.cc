#include "monitor/metrics_log.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "monitor/event_reader_for_test.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

class MetricsLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(testing::TempDir(), "/metrics_log_", getpid());
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::vector<Json> Lines() const {
    std::vector<Json> lines;
    const std::string content = *ReadFile(folder_ + "/metrics.jsonl");
    for (const auto line : absl::StrSplit(content, '\n', absl::SkipEmpty())) {
      lines.push_back(Json::parse(line.begin(), line.end()));
    }
    return lines;
  }

  std::vector<std::string> EventFiles() const {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (absl::StrContains(entry.path().string(), "tfevents")) {
        paths.push_back(entry.path().string());
      }
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  std::string folder_;
};

TEST_F(MetricsLogTest, WritesBoth) {
  auto log = MetricsLog::Open(folder_);
  ASSERT_TRUE(log.ok()) << log.status();
  (*log)->SetStage("grpo");
  ASSERT_TRUE(
      (*log)->Log(1, {{"train/loss", 0.1}, {"actor/entropy", NAN}}).ok());
  ASSERT_TRUE((*log)->LogText(1, "samples", "text").ok());
  const float values[] = {1, 2};
  ASSERT_TRUE((*log)->LogHistogram(1, "response_length", values).ok());

  const std::vector<Json> lines = Lines();
  ASSERT_EQ(lines.size(), 1);
  EXPECT_EQ(lines[0]["step"], 1);
  EXPECT_EQ(lines[0]["stage"], "grpo");
  EXPECT_EQ(lines[0]["train/loss"], 0.1);
  EXPECT_TRUE(lines[0]["actor/entropy"].is_null());
  EXPECT_GT(lines[0]["time"].get<double>(), 1.6e9);
  ASSERT_EQ(EventFiles().size(), 1);
  EXPECT_EQ(ReadEvents(EventFiles()[0]).size(), 5);
}

TEST_F(MetricsLogTest, ResumeDropsWhatComesAgain) {
  for (int step = 1; step <= 5; ++step) {
    auto log = MetricsLog::Open(folder_, step - 1);
    ASSERT_TRUE(log.ok() && (*log)->Log(step, {{"actor/lr", step}}).ok());
  }
  // A process was killed while it wrote.
  std::ofstream(folder_ + "/metrics.jsonl", std::ios::app) << "{\"step\": 6, ";
  auto log = MetricsLog::Open(folder_, /*resumed_step=*/3);
  ASSERT_TRUE(log.ok()) << log.status();
  ASSERT_TRUE((*log)->Log(4, {{"actor/lr", 40}}).ok());
  const std::vector<Json> lines = Lines();
  ASSERT_EQ(lines.size(), 4);
  EXPECT_EQ(lines[2]["actor/lr"], 3);
  EXPECT_EQ(lines[3]["actor/lr"], 40);
  EXPECT_EQ(EventFiles().size(), 6);
}

TEST_F(MetricsLogTest, ANameThatIsNotInTheTableIsAnError) {
  auto log = MetricsLog::Open(folder_);
  ASSERT_TRUE(log.ok()) << log.status();
  const absl::Status status =
      (*log)->Log(1, {{"actor/lr", 1}, {"actor/learning_rate", 1}});
  EXPECT_EQ(status.message(),
            "metric actor/learning_rate is not in the table of "
            "monitor/metric_table.cc; describe it there");
  EXPECT_FALSE((*log)->LogText(1, "text", "x").ok());
  const float values[] = {1};
  EXPECT_FALSE((*log)->LogHistogram(1, "histogram", values).ok());
  EXPECT_TRUE(Lines().empty());
}

TEST_F(MetricsLogTest, ANewRunStartsEmpty) {
  { ASSERT_TRUE((*MetricsLog::Open(folder_))->Log(1, {{"actor/lr", 1}}).ok()); }
  ASSERT_TRUE(MetricsLog::Open(folder_).ok());
  EXPECT_TRUE(Lines().empty());
}

}  // namespace
}  // namespace ponder
