#include "rl/child_process.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kDeadline = absl::Seconds(30);

class ChildProcessTest : public ::testing::Test {
 protected:
  ChildProcessTest()
      : log_(absl::StrCat(
            ::testing::TempDir(), "child_process_test-", getpid(), "-",
            ::testing::UnitTest::GetInstance()->current_test_info()->name())) {}
  ~ChildProcessTest() override { unlink(log_.c_str()); }

  // This program as a child that does what `role` says, see RunAsChild().
  std::unique_ptr<ChildProcess> Start(const std::string& role) {
    auto child = ChildProcess::Start({.name = "test child",
                                      .arguments = {"--child", role},
                                      .log_path = log_});
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }

  const std::string log_;
};

TEST_F(ChildProcessTest, SaysItsPortAndRunsUntilItIsEnded) {
  auto child = Start("port");
  const auto line = child->ReadLine(kDeadline);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(*line, "4711");
  EXPECT_EQ(*child->ReadLine(kDeadline), "second line");
  EXPECT_TRUE(child->Running());
  const int pid = child->pid();
  child.reset();
  EXPECT_NE(kill(pid, 0), 0);  // Gone, not even a zombie.
  EXPECT_THAT(*ReadFile(log_), HasSubstr("to the log"));
}

TEST_F(ChildProcessTest, ACrashIsToldWithTheEndOfItsLog) {
  auto child = Start("exit");
  const absl::Status status = child->ReadLine(kDeadline).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("the test child ended with exit code 3"));
  EXPECT_THAT(message, HasSubstr(log_));
  EXPECT_THAT(message, HasSubstr("line 9"));
  EXPECT_THAT(message, Not(HasSubstr("line 1\n")));
  EXPECT_FALSE(child->Running());
}

TEST_F(ChildProcessTest, ASignalIsNamed) {
  auto child = Start("abort");
  const absl::Status status = child->ReadLine(kDeadline).status();
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("was ended by signal 9"));
}

TEST_F(ChildProcessTest, SilenceIsADeadline) {
  auto child = Start("silent");
  const absl::Status status = child->ReadLine(absl::Milliseconds(50)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the test child"));
}

TEST_F(ChildProcessTest, OneThatIgnoresTheSignalIsKilled) {
  auto child = Start("stubborn");
  ASSERT_TRUE(child->ReadLine(kDeadline).ok());
  const int pid = child->pid();
  child.reset();
  EXPECT_NE(kill(pid, 0), 0);
}

TEST_F(ChildProcessTest, ALogThatCannotBeIsAnError) {
  const auto child = ChildProcess::Start({.name = "test child",
                                          .arguments = {"--child", "port"},
                                          .log_path = "/no/such/folder/log"});
  EXPECT_EQ(child.status().code(), absl::StatusCode::kNotFound);
}

void Say(const char* text) {
  if (write(3, text, std::strlen(text)) < 0) _exit(9);
}

int RunAsChild(absl::string_view role) {
  if (role == "port") {
    std::fprintf(stderr, "to the log\n");
    Say("4711\nsecond ");
    Say("line\n");
    pause();
  } else if (role == "exit") {
    for (int i = 0; i < 10; ++i) std::printf("line %d\n", i);
    return 3;
  } else if (role == "abort") {
    raise(SIGKILL);
  } else if (role == "silent") {
    pause();
  } else if (role == "stubborn") {
    signal(SIGTERM, SIG_IGN);
    Say("ready\n");
    while (true) pause();
  }
  return 0;
}

}  // namespace
}  // namespace ponder

// Also the children that the tests start.
int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--child") == 0) {
    return ponder::RunAsChild(argv[2]);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
