#include "monitor/progress.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

class ProgressTest : public ::testing::Test {
 protected:
  Progress::Options Make(bool is_terminal, int columns = 80) {
    Progress::Options options;
    options.is_terminal = is_terminal;
    options.columns = columns;
    options.now = [this] { return now_; };
    options.write = [this](absl::string_view text) {
      written_.append(text.data(), text.size());
    };
    return options;
  }

  absl::Time now_ = absl::UnixEpoch();
  std::string written_;
};

TEST_F(ProgressTest, PlainLinesOfItemsNowAndThen) {
  {
    Progress progress(Make(/*is_terminal=*/false));
    progress.Start("evaluate", 100, Progress::Unit::kItem);
    for (int i = 1; i <= 25; ++i) {
      now_ += absl::Seconds(1);
      progress.Update(i, "reward 0.5");
    }
    progress.Print("a line");
  }
  EXPECT_EQ(written_,
            "evaluate 1/100  0:01, 1:39 left  reward 0.5\n"
            "evaluate 11/100  0:11, 1:29 left  reward 0.5\n"
            "evaluate 21/100  0:21, 1:19 left  reward 0.5\n"
            "a line\n"
            "evaluate 25/100  0:25, 1:15 left  reward 0.5\n");
}

TEST_F(ProgressTest, APlainLineForEachStep) {
  {
    Progress progress(Make(/*is_terminal=*/false));
    progress.Start("grpo", 4, Progress::Unit::kStep);
    for (int i = 1; i <= 4; ++i) {
      now_ += absl::Seconds(1);
      progress.Update(i, "");
    }
  }
  EXPECT_EQ(written_,
            "grpo 1/4  0:01, 0:03 left\n"
            "grpo 2/4  0:02, 0:02 left\n"
            "grpo 3/4  0:03, 0:01 left\n"
            "grpo 4/4  0:04\n");
}

// A stage that goes on behind step 50, as after an evaluation or a resume.
TEST_F(ProgressTest, TimeLeftIsByThePaceSinceTheStart) {
  Progress::Options options = Make(/*is_terminal=*/false);
  std::vector<ProgressState> states;
  options.on_change = [&](const ProgressState& s) { states.push_back(s); };
  Progress progress(options);
  progress.Start("grpo", 60, Progress::Unit::kStep, /*done=*/50);
  now_ += absl::Seconds(20);
  progress.Update(52, "reward 1");
  EXPECT_EQ(written_, "grpo 52/60  0:20, 1:20 left  reward 1\n");
  ASSERT_EQ(states.size(), 2);
  EXPECT_EQ(states[0].left, std::nullopt);
  EXPECT_EQ(states[0].done, 50);
  EXPECT_EQ(states[1].left, absl::Seconds(80));
  EXPECT_EQ(states[1].label, "grpo");
  EXPECT_EQ(states[1].note, "reward 1");
}

TEST_F(ProgressTest, TheBarStaysBelowTheLines) {
  {
    Progress progress(Make(/*is_terminal=*/true));
    progress.Start("sft", 4, Progress::Unit::kStep);
    now_ += absl::Seconds(2);
    progress.Update(2, "");
    progress.Update(3, "");  // Too soon to be drawn.
    progress.Print("hello");
    progress.Finish();
    progress.Print("bye");
  }
  EXPECT_EQ(written_,
            "\r\x1b[Ksft [##########..........] 2/4  0:02, 0:02 left"
            "\r\x1b[Khello\n"
            "\r\x1b[Ksft [###############.....] 3/4  0:02, 0:00 left"
            "\nbye\n");
}

TEST_F(ProgressTest, TheBarNeverWraps) {
  Progress progress(Make(/*is_terminal=*/true, /*columns=*/20));
  progress.Start("sft", 4, Progress::Unit::kStep);
  progress.Update(2, "a long note about everything");
  EXPECT_EQ(written_, "\r\x1b[Ksft [##########....");
}

TEST_F(ProgressTest, UnknownTotalCounts) {
  Progress progress(Make(/*is_terminal=*/false));
  progress.Start("control", 0, Progress::Unit::kStep);
  now_ += absl::Hours(2);
  progress.Update(7, "loss 1");
  EXPECT_EQ(written_, "control 7  2:00:00  loss 1\n");
}

}  // namespace
}  // namespace ponder
