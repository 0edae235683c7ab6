#include "monitor/progress.h"

#include <string>

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

TEST_F(ProgressTest, PlainLinesNowAndThen) {
  {
    Progress progress(Make(/*is_terminal=*/false));
    progress.Start("grpo", 100);
    for (int i = 1; i <= 25; ++i) {
      now_ += absl::Seconds(1);
      progress.Update(i, "reward 0.5");
    }
    progress.Print("a line");
  }
  EXPECT_EQ(written_,
            "grpo 1/100  0:01, 1:39 left  reward 0.5\n"
            "grpo 11/100  0:11, 1:29 left  reward 0.5\n"
            "grpo 21/100  0:21, 1:19 left  reward 0.5\n"
            "a line\n"
            "grpo 25/100  0:25, 1:15 left  reward 0.5\n");
}

TEST_F(ProgressTest, TheBarStaysBelowTheLines) {
  {
    Progress progress(Make(/*is_terminal=*/true));
    progress.Start("sft", 4);
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
  progress.Start("sft", 4);
  progress.Update(2, "a long note about everything");
  EXPECT_EQ(written_, "\r\x1b[Ksft [##########....");
}

TEST_F(ProgressTest, UnknownTotalCounts) {
  Progress progress(Make(/*is_terminal=*/false));
  progress.Start("control", 0);
  now_ += absl::Hours(2);
  progress.Update(7, "loss 1");
  EXPECT_EQ(written_, "control 7  2:00:00  loss 1\n");
}

}  // namespace
}  // namespace ponder
