#include "sandbox/checker_program.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

// Any two numbers with the right sum: more outputs are right than one.
constexpr char kPairChecker[] =
    "import sys\n"
    "wanted = int(open(sys.argv[1]).read())\n"
    "assert open(sys.argv[2]).read() == 'reference of the checker\\n'\n"
    "a, b = map(int, open(sys.argv[3]).read().split())\n"
    "print(int(a + b == wanted), 'of', a, b)\n";

class CheckerProgramTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto pool = SandboxPool::Create(1);
    if (pool.ok()) pool_ = *std::move(pool);
  }
  static void TearDownTestSuite() { pool_ = nullptr; }

  void SetUp() override {
    if (pool_ == nullptr) GTEST_SKIP() << SandboxDoctor().lines.front();
  }

  static absl::StatusOr<JudgeReport> Judge(
      const std::string& program, const std::string& checker,
      const std::string& language = "python",
      const std::string& reference = "reference of the checker\n") {
    TestSuite suite;
    suite.set_kind("stdio");
    suite.set_checker_code(checker);
    for (const char* input : {"5\n", "-3\n"}) {
      TestCase* test = suite.add_hidden();
      test->set_stdin(input);
      test->set_stdout(reference);
    }
    return pool_->Judge({program, language}, suite, RunLimits(), {}, nullptr);
  }

  // With the checker above, unless it is given.
  static std::string Verdict(const std::string& program,
                             const std::string& checker = kPairChecker) {
    const auto report = Judge(program, checker);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? std::string(VerdictName(report->verdict)) : "";
  }

 private:
  static inline std::unique_ptr<SandboxPool> pool_;
};

TEST_F(CheckerProgramTest, DecidesInsteadOfAComparison) {
  EXPECT_EQ(Verdict("print(1, int(input()) - 1)"), "AC");
  EXPECT_EQ(Verdict("print(int(input()) + 7)\nprint(-7)"), "AC");
  EXPECT_EQ(Verdict("print(1, int(input()))"), "WA");
  // Right on the first test only.
  EXPECT_EQ(Verdict("print(1, 4)"), "WA");
  // The right output does not count if the program then fails.
  EXPECT_EQ(Verdict("print(1, int(input()) - 1)\nexit(1)"), "RE");
}

TEST_F(CheckerProgramTest, JudgesEveryLanguage) {
  const auto report = Judge(
      "#include <iostream>\n"
      "int main() { int n; std::cin >> n; std::cout << n << \" 0\\n\"; }\n",
      kPairChecker, "cpp");
  if (absl::IsFailedPrecondition(report.status())) {
    GTEST_SKIP() << report.status();
  }
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->verdict, RunVerdict::kAccepted) << report->message;
}

// What stands behind it may quote the output.
TEST_F(CheckerProgramTest, TheFirstWordIsTheScore) {
  EXPECT_EQ(Verdict("print(0)", "print(1, 'fine')"), "AC");
  EXPECT_EQ(Verdict("print(0)", "print(0.99)"), "WA");
  EXPECT_EQ(Verdict("print(0)", "print(0)\nprint(1)"), "WA");
  EXPECT_EQ(Verdict("print(0)", "print(True)"), "AC");
  EXPECT_EQ(Verdict("print(0)", "print(False)"), "WA");
  EXPECT_EQ(Verdict("print(0)", "print('nan')"), "WA");
  EXPECT_EQ(Verdict("print('x 1')",
                    "import sys\nprint(0, 'got', open(sys.argv[3]).read())"),
            "WA");
}

// The checker gets the bytes as they are.
TEST_F(CheckerProgramTest, GetsTheOutputAsItIs) {
  EXPECT_EQ(Verdict("import sys\nsys.stdout.buffer.write(b'a\\0\\xff\\r\\n ')",
                    "import sys\n"
                    "print(int(open(sys.argv[3], 'rb').read() == "
                    "b'a\\0\\xff\\r\\n '))"),
            "AC");
  EXPECT_EQ(
      Verdict("print('from stdin')", "print(int(input() == 'from stdin'))"),
      "AC");
}

TEST_F(CheckerProgramTest, AnOutputThatBreaksTheCheckerIsWrong) {
  const std::string checker =
      "import sys\n"
      "text = open(sys.argv[3]).read()\n"
      "if text.startswith('reference'): print(1)\n"
      "else: assert not text.startswith('x'), text\n";
  EXPECT_EQ(Verdict("print('x')", checker), "WA");
  // It ends well and says nothing.
  EXPECT_EQ(Verdict("print('y')", checker), "WA");
  EXPECT_EQ(Verdict("print('x')",
                    "import sys\n"
                    "while open(sys.argv[3]).read() == 'x\\n': pass\n"
                    "print(1)\n"),
            "WA");
}

TEST_F(CheckerProgramTest, ACheckerThatAlwaysFailsJudgesNothing) {
  for (const char* checker : {"def f(:", "raise ValueError('no')",
                              "print('perhaps')", "import sys; sys.exit(1)"}) {
    SCOPED_TRACE(checker);
    const auto report = Judge("print(1, 4)", checker);
    EXPECT_TRUE(absl::IsInvalidArgument(report.status())) << report.status();
    EXPECT_THAT(std::string(report.status().message()),
                HasSubstr("tests.checker_code"));
  }
}

// Without an output that is right nobody can tell a checker that always fails
// from an output that breaks it.
TEST_F(CheckerProgramTest, WithoutAReferenceABrokenOutputIsWrong) {
  for (const char* program : {"print('x y z')", "", "print(1, 4)"}) {
    SCOPED_TRACE(program);
    const auto report =
        Judge(program,
              "import sys\na, b = map(int, open(sys.argv[3]).read().split())\n"
              "print(int(a + b == int(open(sys.argv[1]).read())))\n",
              "python", /*reference=*/"");
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->verdict, RunVerdict::kWrongAnswer);
  }
}

TEST_F(CheckerProgramTest, NeverMeetsTheProgram) {
  // The program looks for the reference and the checker in every place it can
  // read, and prints what it finds: the right output would be an answer.
  const auto report = Judge(
      "import os, gc\n"
      "found = []\n"
      "for top in ['/work', '/tmp', '/dev/shm', '/proc/self', '/prog']:\n"
      "  for folder, _, files in os.walk(top):\n"
      "    for name in files:\n"
      "      path = os.path.join(folder, name)\n"
      "      if not os.path.isfile(path): continue\n"  // A pipe would block.
      "      try: text = open(path, 'rb').read(1 << 16)\n"
      "      except Exception: continue\n"
      "      if b'of the ch' + b'ecker' in text: found.append(name)\n"
      "found += [o for o in gc.get_objects() if isinstance(o, str) and\n"
      "          'reference of the ch' + 'ecker' in o]\n"
      "open('/tmp/left', 'w').write('from the program')\n"
      "print('PWNED' if found else 'BLOCKED')\n",
      "import os, sys\n"
      "print(int(open(sys.argv[3]).read() == 'BLOCKED\\n' and\n"
      "          not os.path.exists('/tmp/left')))\n");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->verdict, RunVerdict::kAccepted)
      << report->output.stdout_bytes;
}

}  // namespace
}  // namespace ponder
