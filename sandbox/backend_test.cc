// What each backend has to hold, where this machine has it.

#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

using ::testing::AnyOf;

class BackendTest : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    SandboxPool::Options options;
    options.num_slots = 1;
    options.backend = GetParam();
    auto pool = SandboxPool::Create(std::move(options));
    if (!pool.ok()) GTEST_SKIP() << pool.status();
    pool_ = *std::move(pool);
  }

  RunReport Run(const std::string& source, const std::string& language,
                const RunLimits& limits = RunLimits()) {
    const auto report = pool_->Run({source, language}, "3 4\n", limits,
                                   /*cancel=*/nullptr);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : RunReport();
  }

  std::unique_ptr<SandboxPool> pool_;
};

TEST_P(BackendTest, RunsEveryLanguage) {
  EXPECT_EQ(Run("print(sum(map(int, input().split())))", "python")
                .output.stdout_bytes,
            "7\n");
  EXPECT_EQ(Run("read a b; echo $((a + b))", "bash").output.stdout_bytes,
            "7\n");
#ifdef __SANITIZE_ADDRESS__
  // Bubblewrap starts the launcher inside the cell, and with sanitizers it
  // needs libraries that a cell of compiled programs does not have.
  if (GetParam() == Backend::kBubblewrap) return;
#endif
  EXPECT_EQ(Run("#include <stdio.h>\nint main(void) { int a, b;\n"
                "scanf(\"%d %d\", &a, &b); printf(\"%d\\n\", a + b); }",
                "c")
                .output.stdout_bytes,
            "7\n");
  EXPECT_EQ(Run("#include <iostream>\nint main() { int a, b;\n"
                "std::cin >> a >> b; std::cout << a + b << '\\n'; }",
                "cpp")
                .output.stdout_bytes,
            "7\n");
  EXPECT_EQ(Run("int main() { return x; }", "cpp").verdict,
            RunVerdict::kCompileError);
}

TEST_P(BackendTest, JudgesCallsAndAsserts) {
  TestSuite suite;
  suite.set_kind("assert");
  suite.set_fn("add");
  suite.add_hidden()->set_code("assert add(1, 2) == 3");
  suite.add_hidden()->set_code(
      "def check(f):\n  assert f(2, 2) == 4 and f(0, 1) == 1\n");
  for (const auto& [program, verdict] :
       {std::make_pair("def add(a, b): return a + b", RunVerdict::kAccepted),
        std::make_pair("def add(a, b): return 3", RunVerdict::kWrongAnswer)}) {
    const auto report =
        pool_->Judge({program}, suite, RunLimits(), {}, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->verdict, verdict) << report->message;
  }
}

TEST_P(BackendTest, HoldsPrograms) {
  const RunReport report =
      Run("import os, socket\n"
          "for path in ['/etc/passwd', '/root', '/home', '/var']:\n"
          "  if os.path.exists(path): print('SEES', path)\n"
          "for path in ['/x', '/usr/x', '/dev/x', '/usr/lib/x']:\n"
          "  try: open(path, 'w'); print('WROTE', path)\n"
          "  except OSError: pass\n"
          "try: socket.socket(); print('SOCKET')\n"
          "except OSError: pass\n"
          "print(os.getuid() == 0)\n",
          "python");
  EXPECT_EQ(report.output.stdout_bytes, "False\n");
}

TEST_P(BackendTest, Limits) {
  RunLimits limits;
  limits.wall = absl::Seconds(2);
  limits.cpu = absl::Seconds(1);
  EXPECT_EQ(Run("import time; time.sleep(60)", "python", limits).verdict,
            RunVerdict::kTimeLimit);
  EXPECT_EQ(Run("while True: pass", "python", limits).verdict,
            RunVerdict::kTimeLimit);
  limits.wall = absl::Seconds(20);
  limits.cpu = absl::Seconds(20);
  EXPECT_THAT(
      Run("x = b'x' * (2 << 30); print(len(x))", "python", limits).verdict,
      AnyOf(RunVerdict::kMemoryLimit, RunVerdict::kRuntimeError));
  EXPECT_EQ(Run("while True: print('x' * 1000)", "python", limits).verdict,
            RunVerdict::kOutputLimit);
}

// The last call is answered by the process that has loaded the program.
TEST_P(BackendTest, MemoryOfTheLastCallIsAVerdict) {
  TestSuite suite;
  suite.set_kind("call");
  suite.set_fn("f");
  suite.add_hidden()->mutable_expected()->set_int_value(1);
  const auto report =
      pool_->Judge({"def f():\n"
                    "  kept = []\n"
                    "  while True: kept.append(b'x' * (10 << 20))\n"},
                   suite, RunLimits(), {}, nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->verdict,
              AnyOf(RunVerdict::kMemoryLimit, RunVerdict::kRuntimeError))
      << report->message;
}

// Also that of a checker, which runs the tests of many programs.
TEST_P(BackendTest, CpuTimeIsOfATest) {
  RunLimits limits;
  limits.cpu = absl::Seconds(1);
  limits.wall = absl::Seconds(10);
  TestSuite suite;
  suite.set_fn("f");
  for (const char* kind : {"call", "assert"}) {
    suite.set_kind(kind);
    suite.clear_hidden();
    for (int i = 0; i < 14; ++i) {
      TestCase* test = suite.add_hidden();
      test->mutable_expected()->set_int_value(1);
      test->set_code(
          "import time\n"
          "while time.process_time() < 0.1: pass\n"
          "assert f() == 1\n");
    }
    const auto report =
        pool_->Judge({"import time\n"
                      "def f():\n"
                      "  end = time.process_time() + 0.1\n"
                      "  while time.process_time() < end: pass\n"
                      "  return 1\n"},
                     suite, limits, {}, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->verdict, RunVerdict::kAccepted) << report->message;
  }
}

TEST_P(BackendTest, ReportsThePeakOfMemory) {
  EXPECT_GT(Run("x = b'x' * (100 << 20)", "python").peak_memory_bytes,
            100 << 20);
  const int64_t next = Run("print()", "python").peak_memory_bytes;
  EXPECT_GT(next, 1 << 20);
  EXPECT_LT(next, 60 << 20);
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendTest,
                         testing::Values(Backend::kRoot,
                                         Backend::kUserNamespace,
                                         Backend::kBubblewrap),
                         [](const auto& info) {
                           return std::string(BackendName(info.param));
                         });

TEST(UnsafeTest, NeedsAWord) {
  SandboxPool::Options options;
  options.num_slots = 1;
  options.backend = Backend::kNone;
  EXPECT_TRUE(
      absl::IsFailedPrecondition(SandboxPool::Create(options).status()));
  options.allow_unsafe = true;
  const auto pool = SandboxPool::Create(options);
  ASSERT_TRUE(pool.ok()) << pool.status();
  const auto report = (*pool)->Run({"print(6 * 7)"}, "", RunLimits(), nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->output.stdout_bytes, "42\n");
}

TEST(UnsafeTest, LeavesNoFolder) {
  SandboxPool::Options options;
  options.num_slots = 1;
  options.backend = Backend::kNone;
  options.allow_unsafe = true;
  const auto pool = SandboxPool::Create(options);
  ASSERT_TRUE(pool.ok()) << pool.status();
  RunLimits limits;
  limits.wall = absl::Seconds(2);
  for (const absl::string_view end : {"", "while True: pass"}) {
    const auto report =
        (*pool)->Run({absl::StrCat("import os\n"
                                   "print(os.getcwd(), flush=True)\n"
                                   "os.makedirs('a/b')\n"
                                   "os.symlink('/etc', 'a/b/link')\n"
                                   "open('a/file', 'w').write('x')\n",
                                   end)},
                     "", limits, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    const std::string folder(
        absl::StripAsciiWhitespace(report->output.stdout_bytes));
    ASSERT_TRUE(absl::StartsWith(folder, "/tmp/ponder-unsafe-")) << folder;
    EXPECT_NE(access(folder.c_str(), F_OK), 0) << folder;
  }
  EXPECT_EQ(access("/etc/passwd", F_OK), 0);
}

}  // namespace
}  // namespace ponder
