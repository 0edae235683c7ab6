#include "sandbox/judge.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/value_codec.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

using ::testing::HasSubstr;

class JudgeTest : public testing::Test {
 protected:
  // One pool for all tests: making one runs a trial program.
  static void SetUpTestSuite() {
    auto pool = SandboxPool::Create(2);
    if (pool.ok()) pool_ = *std::move(pool);
  }
  static void TearDownTestSuite() { pool_ = nullptr; }

  void SetUp() override {
    if (pool_ == nullptr) GTEST_SKIP() << SandboxDoctor().lines.front();
  }

  static SandboxPool* Pool() { return pool_.get(); }

  static TestSuite Suite(const std::string& text) {
    const auto json = ParseJson(text, "suite");
    EXPECT_TRUE(json.ok()) << json.status();
    const auto suite = TestSuiteFromJson(*json);
    EXPECT_TRUE(suite.ok()) << suite.status();
    return *suite;
  }

  static JudgeReport Judge(const std::string& program, const TestSuite& suite,
                           const RunLimits& limits = RunLimits(),
                           const JudgeOptions& options = {}) {
    const auto report =
        Pool()->Judge({program}, suite, limits, options, nullptr);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : JudgeReport();
  }

  static std::string Verdict(const std::string& program,
                             const TestSuite& suite) {
    return std::string(VerdictName(Judge(program, suite).verdict));
  }

  const TestSuite add_ =
      Suite(R"({"kind":"call","fn":"add","visible":[[[1,2],3],[[5,7],12]],)"
            R"("hidden":[[[123456789,987654321],1111111110],[[-5,5],0]]})");
  const TestSuite sum_ =
      Suite(R"({"kind":"stdio","visible":[["1 2\n","3\n"],["5 7\n","12\n"]],)"
            R"("hidden":[["-5 5\n","0\n"]]})");
  const TestSuite assert_add_ =
      Suite(R"({"kind":"assert","fn":"add","hidden":["assert add(1, 2) == 3",)"
            R"("def check(candidate):\n  assert candidate(2, 2) == 4\n"]})");

 private:
  static inline std::unique_ptr<SandboxPool> pool_;
};

TEST_F(JudgeTest, Stdio) {
  const JudgeReport report =
      Judge("a, b = map(int, input().split())\nprint(a + b)\n", sum_);
  EXPECT_EQ(report.verdict, RunVerdict::kAccepted) << report.message;
  EXPECT_EQ(report.num_passed(), 3);
  EXPECT_EQ(Verdict("print(3)", sum_), "WA");
  EXPECT_EQ(Verdict("print(1/0)", sum_), "RE");
  EXPECT_EQ(Verdict("print(", sum_), "RE");
  // The right output does not count if the program then fails.
  EXPECT_EQ(Verdict("print(sum(map(int, input().split())))\nexit(1)", sum_),
            "RE");
  // Each test has its own process.
  EXPECT_EQ(Verdict("import builtins\n"
                    "assert not hasattr(builtins, 'seen')\n"
                    "builtins.seen = 1\n"
                    "print(sum(map(int, input().split())))\n",
                    sum_),
            "AC");
}

TEST_F(JudgeTest, Call) {
  EXPECT_EQ(Verdict("def add(a, b): return a + b", add_), "AC");
  EXPECT_EQ(Verdict("class Solution:\n"
                    "  def add(self, a, b): return a + b\n",
                    add_),
            "AC");
  EXPECT_EQ(Verdict("def add(a, b): return a - b", add_), "WA");
  EXPECT_EQ(Verdict("def add(a, b): return str(a + b)", add_), "WA");
  EXPECT_EQ(Verdict("def add(a, b): raise ValueError('no')", add_), "RE");
  EXPECT_EQ(Verdict("def plus(a, b): return a + b", add_), "RE");
  EXPECT_EQ(Verdict("x = 1", add_), "RE");
  // A main part is not run: there is no input for it.
  EXPECT_EQ(Verdict("def add(a, b): return a + b\n"
                    "if __name__ == '__main__': print(add(*input().split()))",
                    add_),
            "AC");
}

TEST_F(JudgeTest, CallKeepsBigIntsAndFloats) {
  const auto suite = [](const std::string& square) {
    return Suite(absl::StrCat(
        R"({"kind":"call","fn":"f","hidden":[)"
        R"([[0.1],0.010000000000000002],[[123456789012345678901234567890],)",
        square, "]]}"));
  };
  const std::string program = "def f(x): return x * x";
  EXPECT_EQ(
      Verdict(
          program,
          suite("15241578753238836750495351562536198787501905199875019052100")),
      "AC");
  EXPECT_EQ(
      Verdict(
          program,
          suite("15241578753238836750495351562536198787501905199875019052101")),
      "WA");
}

TEST_F(JudgeTest, ResultsByTest) {
  JudgeOptions all;
  all.stop_at_first_failure = false;
  const std::string program = "def add(a, b): return 12 if a == 5 else 0";
  const JudgeReport report = Judge(program, add_, RunLimits(), all);
  EXPECT_EQ(report.verdict, RunVerdict::kWrongAnswer);
  EXPECT_EQ(report.message, "returned 0");
  EXPECT_EQ(report.tests[0].verdict, RunVerdict::kWrongAnswer);
  EXPECT_EQ(report.tests[1].verdict, RunVerdict::kAccepted);
  EXPECT_EQ(report.num_passed(), 2);
  const JudgeReport first = Judge(program, add_);
  EXPECT_EQ(first.tests[1].verdict, RunVerdict::kNotRun);
}

// Ways to get a reward without an answer.
TEST_F(JudgeTest, ExitIsNoAnswer) {
  for (const char* program :
       {"import os; os._exit(0)", "import sys; sys.exit(0)", "exit()",
        "raise SystemExit(0)", "def add(a, b):\n  import os; os._exit(0)",
        "def add(a, b):\n  import sys; sys.exit(0)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"}) {
    EXPECT_EQ(Verdict(program, add_), "RE") << program;
    EXPECT_EQ(Verdict(program, assert_add_), "RE") << program;
  }
}

TEST_F(JudgeTest, EqualityIsNotTheProgramsToDefine) {
  for (const char* program :
       {"class Yes:\n  def __eq__(self, o): return True\n"
        "  def __ne__(self, o): return False\n"
        "def add(a, b): return Yes()\n",
        "class I(int):\n  __eq__ = lambda s, o: True\n"
        "  __ne__ = lambda s, o: False\n  __hash__ = None\n"
        "def add(a, b): return I(7)\n",
        "class F(float):\n  __eq__ = lambda s, o: True\n"
        "def add(a, b): return F(7)\n",
        "class L(list):\n  __eq__ = lambda s, o: True\n"
        "def add(a, b): return L()\n",
        "class S(str):\n  __eq__ = lambda s, o: True\n"
        "def add(a, b): return [S('x')]\n",
        "def add(a, b): return float('nan')\n",
        "def add(a, b): return NotImplemented\n",
        "def add(a, b): return True\n"}) {
    EXPECT_EQ(Verdict(program, add_), "WA") << program;
    EXPECT_NE(Verdict(program, assert_add_), "AC") << program;
  }
}

TEST_F(JudgeTest, ExpectedValuesAreNotThere) {
  const TestSuite secret = Suite(R"({"kind":"call","fn":"secret",)"
                                 R"("hidden":[[["q"],"EXPECTED-7f3a9c-q"]]})");
  // Frames, garbage collector, memory, the control channel, descriptors.
  EXPECT_EQ(Verdict("import sys, gc\n"
                    "M = 'EXPECTED' + '-'\n"
                    "def texts():\n"
                    "  f = sys._getframe()\n"
                    "  while f:\n"
                    "    yield repr(f.f_locals) + repr(f.f_globals)\n"
                    "    f = f.f_back\n"
                    "  for o in gc.get_objects(): yield repr(o)\n"
                    "def secret(q):\n"
                    "  for t in texts():\n"
                    "    i = t.find(M + '7')\n"
                    "    if i >= 0: return t[i:i + 17]\n",
                    secret),
            "WA");
  EXPECT_NE(
      Verdict("import re\n"
              "def secret(q):\n"
              "  mark = ('EXPECTED' + '-7').encode()\n"
              "  mem = open('/proc/self/mem', 'rb', 0)\n"
              "  for line in open('/proc/self/maps'):\n"
              "    a, b = (int(x, 16) for x in line.split()[0].split('-'))\n"
              "    try: mem.seek(a); d = mem.read(b - a)\n"
              "    except (OSError, ValueError, OverflowError): continue\n"
              "    for i in re.finditer(mark + b'f3', d):\n"
              "      return d[i.start():i.start() + 17].decode()\n"
              "  return 'none'\n",
              secret),
      "AC");
}

TEST_F(JudgeTest, ForgedMessagesAreNoAnswers) {
  const auto forge = [](const std::string& bytes, const std::string& rest) {
    return absl::StrCat(
        "import os, struct, marshal\n"
        "def send(kind, body):\n"
        "  os.write(4, struct.pack('<I', len(body)) + kind + "
        "body)\n",
        bytes, "\ndef add(a, b):\n  ", rest, "\n");
  };
  for (const std::string& program : {
           // A verdict is no kind of message.
           forge("", "send(b'P', b''); return 0"),
           forge("", "send(b'X', marshal.dumps((0, 1, 1), 2)); return 0"),
           forge("", "send(b'L', b''); return 0"),
           // Two answers, of which one might be right.
           forge("", "send(b'V', marshal.dumps(a + b, 2)); return 0"),
           forge("", "send(b'V', marshal.dumps(0, 2)); return a + b"),
           // Values that are none.
           forge("", "send(b'V', b'garbage'); os._exit(0)"),
           forge("", "send(b'V', b''); os._exit(0)"),
           forge("", "os.write(4, b'\\xff' * 100); os._exit(0)"),
           forge("", "os.write(4, b'\\xff\\xff\\xff\\x7fV'); os._exit(0)"),
           forge("", "os.close(4); return a + b"),
           // Before the load is complete.
           forge("send(b'L', b'')\nsend(b'V', marshal.dumps(3, 2))\n"
                 "send(b'X', marshal.dumps((0, 1, 1), 2))\nos._exit(0)",
                 "return 0"),
       }) {
    EXPECT_NE(Verdict(program, add_), "AC") << program;
    EXPECT_NE(Verdict(program, assert_add_), "AC") << program;
  }
}

TEST_F(JudgeTest, AssertPassesTheRightProgram) {
  EXPECT_EQ(Verdict("def add(a, b): return a + b", assert_add_), "AC");
  EXPECT_EQ(Verdict("def add(a, b): return a - b", assert_add_), "WA");
  EXPECT_EQ(Verdict("def add(a, b): raise ValueError", assert_add_), "RE");
  EXPECT_EQ(Verdict("def add(a, b):\n  while True: pass", assert_add_), "TLE");
  const TestSuite raises = Suite(R"json({"kind": "assert", "hidden": [
      "try:\n  f(0)\n  assert False\nexcept ValueError as e:\n  assert str(e) == 'no'",
      "assert isinstance(g(), tuple) and g() == (1, {2: 'x'})"]})json");
  EXPECT_EQ(Verdict("def f(x): raise ValueError('no')\n"
                    "def g(): return 1, {2: 'x'}\n",
                    raises),
            "AC");
  EXPECT_EQ(Verdict("def f(x): pass\ndef g(): return 1, {2: 'x'}\n", raises),
            "WA");
  EXPECT_EQ(Verdict("def f(x): raise ValueError('no')\n"
                    "def g(): return [1, {2: 'x'}]\n",
                    raises),
            "WA");
}

// The test's names are its own: the program cannot replace what it calls.
TEST_F(JudgeTest, AssertIsOutOfTheProgramsReach) {
  for (const char* program :
       {"import builtins\n"
        "builtins.AssertionError = type('E', (Exception,), {})\n"
        "for n in 'abs all any len isinstance sorted sum'.split():\n"
        "  setattr(builtins, n, lambda *a, **k: True)\n"
        "def add(a, b): return 0\n",
        "def check(candidate): pass\ndef add(a, b): return 0\n",
        "import sys\n"
        "def add(a, b):\n"
        "  f = sys._getframe()\n"
        "  while f:\n"
        "    f.f_globals['check'] = lambda c: None; f = f.f_back\n"
        "  return 0\n"}) {
    EXPECT_NE(Verdict(program, assert_add_), "AC") << program;
  }
}

// The end of a loop in the test is not for the program to decide.
TEST_F(JudgeTest, StopIterationOfAFunctionIsAnError) {
  const std::string stop = "def add(*a): raise StopIteration\n";
  for (const char* code :
       {"assert all(map(candidate, [1], [2]))",
        "for x in map(candidate, [1, 2], [3, 4]): assert x == 4",
        "assert list(filter(candidate, [1, 2])) == []",
        "assert next(map(candidate, [1], [2]), None) is None"}) {
    const std::string check =
        absl::StrCat("def check(candidate):\\n  ", code, "\\n");
    EXPECT_EQ(Verdict(stop, Suite(absl::StrCat(
                                R"({"kind":"assert","fn":"add","hidden":[")",
                                check, R"("]})"))),
              "RE")
        << code;
  }
}

// The last call has no process of its own, and still ends as the others do.
TEST_F(JudgeTest, HowTheLastCallEnds) {
  const TestSuite last =
      Suite(R"({"kind":"call","fn":"add","hidden":[[[1],2]]})");
  const auto judge = [&](const std::string& body) {
    RunLimits limits;
    limits.cpu = absl::Seconds(1);
    limits.wall = absl::Seconds(20);
    limits.memory_bytes = 64 << 20;
    return Judge(absl::StrCat("import os\ndef add(a):\n  ", body, "\n"), last,
                 limits);
  };
  EXPECT_EQ(judge("return a + 1").verdict, RunVerdict::kAccepted);
  for (const int signal : {6, 9, 11, 15}) {
    const JudgeReport report =
        judge(absl::StrCat("os.kill(os.getpid(), ", signal, ")"));
    EXPECT_EQ(report.verdict, RunVerdict::kRuntimeError);
    EXPECT_EQ(report.signal, signal);
  }
  EXPECT_EQ(judge("os._exit(7)").exit_code, 7);
  EXPECT_EQ(judge("while True: pass").verdict, RunVerdict::kTimeLimit);
  if (Pool()->limits_memory_by_cgroup()) {
    EXPECT_EQ(judge("return len(bytearray(1 << 28))").verdict,
              RunVerdict::kMemoryLimit);
  }
  // The right value and then a crash.
  EXPECT_EQ(
      judge("import sys, marshal, signal\n"
            "  body = marshal.dumps(2, 2)\n"
            "  os.write(3, len(body).to_bytes(4, 'little') + b'V' + body)\n"
            "  os.kill(os.getpid(), signal.SIGSEGV)")
          .verdict,
      RunVerdict::kRuntimeError);
  // A run never gets hold of the agent's socket.
  EXPECT_EQ(
      judge("return 2 if not os.path.exists('/proc/self/fd/4') else 3").verdict,
      RunVerdict::kAccepted);
}

TEST_F(JudgeTest, StandardContainersAreWhatTheyAreMadeOf) {
  const auto verdict = [&](const std::string& value,
                           const std::string& expected) {
    return Verdict(
        absl::StrCat("import collections\n"
                     "P = collections.namedtuple('P', 'x y')\n"
                     "class Bad(dict):\n  def __eq__(self, o): return True\n"
                     "def f(): return ",
                     value, "\n"),
        Suite(absl::StrCat(R"({"kind":"call","fn":"f","hidden":[[[],)",
                           expected, "]]}")));
  };
  EXPECT_EQ(verdict("collections.Counter('aab')", R"({"a": 2, "b": 1})"), "AC");
  EXPECT_EQ(verdict("collections.OrderedDict(a=1)", R"({"a": 1})"), "AC");
  EXPECT_EQ(verdict("[collections.defaultdict(int, a=1)]", R"([{"a": 1}])"),
            "AC");
  EXPECT_EQ(verdict("P(1, [2])", "[1, [2]]"), "AC");
  EXPECT_EQ(verdict("P(1, 3)", "[1, 2]"), "WA");
  EXPECT_EQ(verdict("Bad(a=1)", R"({"a": 1})"), "WA");
}

TEST_F(JudgeTest, TestCodeMayPassOnWhatItGot) {
  const auto suite = [&](const std::string& code) {
    return Suite(absl::StrCat(R"({"kind":"assert","fn":"f","hidden":[")", code,
                              R"("]})"));
  };
  const std::string twice = "def f(x): return x * 2\n";
  EXPECT_EQ(Verdict(twice, suite("assert f(f(1)) == 4")), "AC");
  EXPECT_EQ(Verdict(twice, suite("assert f(1j) == 2j")), "AC");
  EXPECT_EQ(Verdict("def f(x):\n  for _ in range(63): x = (x,)\n  return x\n",
                    suite("assert f(f(1)) == 3")),
            "WA");
}

TEST_F(JudgeTest, TestsThatFailByThemselvesAreNoVerdict) {
  for (const char* code :
       {"import no_such_module", "assert (", "assert 1 == 2"}) {
    const auto report = Pool()->Judge(
        {"def f(x): return x\n"},
        Suite(absl::StrCat(R"({"kind":"assert","fn":"f","hidden":[")", code,
                           R"("]})")),
        RunLimits(), {}, nullptr);
    EXPECT_TRUE(absl::IsInvalidArgument(report.status())) << code;
  }
}

TEST_F(JudgeTest, APreambleStandsBeforeTheProgramAndBehindItsFuture) {
  TestSuite suite = add_;
  suite.set_preamble("from typing import List\nBASE = 0\n");
  for (const char* first :
       {"", "from __future__ import annotations\n", "\xEF\xBB\xBF"}) {
    EXPECT_EQ(Verdict(absl::StrCat(first,
                                   "def add(a: List, b): return "
                                   "a + b + BASE\n"),
                      suite),
              "AC")
        << first;
  }
}

TEST_F(JudgeTest, OneTestsSignalsDoNotReachTheNext) {
  EXPECT_EQ(Verdict("import os\nos.kill(1, 2)\n"
                    "print(sum(map(int, input().split())))\n",
                    sum_),
            "AC");
}

TEST_F(JudgeTest, TestsThatJudgeNothingAreRefused) {
  const auto status = [](const TestSuite& suite) {
    return Pool()->Judge({"x = 1"}, suite, RunLimits(), {}, nullptr).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(
      status(Suite(R"({"kind":"assert","hidden":["assert 1 + 1 == 2"]})"))));
  TestSuite empty;
  empty.set_kind("call");
  EXPECT_TRUE(absl::IsInvalidArgument(status(empty)));
  TestSuite unknown = add_;
  unknown.set_kind("magic");
  EXPECT_TRUE(absl::IsInvalidArgument(status(unknown)));
}

TEST_F(JudgeTest, TestsThatNoProgramCanPassAreRefused) {
  const auto message = [](const TestSuite& suite) {
    const auto report = Pool()->Judge({"def add(a, b): return 1"}, suite,
                                      RunLimits(), {}, nullptr);
    EXPECT_TRUE(absl::IsInvalidArgument(report.status())) << report.status();
    return std::string(report.status().message());
  };
  TestSuite suite = add_;
  suite.mutable_hidden(0)->clear_expected();
  EXPECT_THAT(message(suite), HasSubstr("no expected value"));
  Value* list = suite.mutable_hidden(0)->mutable_expected();
  for (size_t i = 0; i <= kMaxPythonNodes; ++i) {
    list->mutable_list()->add_values()->set_int_value(1);
  }
  EXPECT_THAT(message(suite), HasSubstr("more than 262144 parts"));
  list->set_big_int(std::string(kMaxDigits + 1, '7'));
  EXPECT_THAT(message(suite), HasSubstr("an integer of 10001 characters"));
  list->set_big_int("12x4");
  EXPECT_THAT(message(suite), HasSubstr("decimal digits"));
  TestSuite output = sum_;
  output.mutable_hidden(0)->set_stdout(
      std::string(RunLimits().output_bytes + 1, 'x'));
  EXPECT_THAT(message(output), HasSubstr("bytes of output are expected"));
}

// What a program returns is read by the test's process, which shares its
// channel with the one that takes the next test.
TEST_F(JudgeTest, WhatATestLeavesUnreadIsNoRequest) {
  // As a request it would run the program's code beside the tests, where it
  // says that every test has passed.
  const std::string program =
      "import marshal\n"
      "CODE = (\"import marshal, posix\\n\"\n"
      "        \"for kind, body in ((b'C', marshal.dumps(('f', (1,), {}), "
      "2)),\"\n"
      "        \" (b'P', b''), (b'X', bytes(32))):\\n\"\n"
      "        \"  posix.write(3, len(body).to_bytes(4, 'little')\"\n"
      "        \" + kind + body)\\n\")\n"
      "body = marshal.dumps(('f', CODE), 2)\n"
      "frame = len(body).to_bytes(4, 'little') + b'T' + body\n"
      "frame += bytes(-len(frame) % 5)\n"  // Frames of no kind in between.
      "def f(i):\n"
      "  return frame * ((7 << 20) // len(frame)) if i == 0 else 'wrong'\n";
  TestSuite suite = Suite(R"({"kind":"assert","fn":"f","hidden":["",""]})");
  suite.mutable_hidden(1)->set_code("assert f(1) == 1");
  JudgeOptions options;
  options.stop_at_first_failure = false;
  for (const char* ending :
       // Out of memory in the middle of reading, and killed there.
       {"used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (3 << 20),) * 2)\n"
        "f(0)\n",
        "signal.setitimer(signal.ITIMER_REAL, 0.005)\n"
        "while True: f(0)\n"}) {
    suite.mutable_hidden(0)->set_code(
        absl::StrCat("import resource, signal\n", ending));
    for (int i = 0; i < 4; ++i) {
      const JudgeReport report = Judge(program, suite, RunLimits(), options);
      EXPECT_NE(report.verdict, RunVerdict::kAccepted);
      ASSERT_EQ(report.tests.size(), 2u);
      EXPECT_EQ(report.tests[1].verdict, RunVerdict::kWrongAnswer)
          << report.tests[1].message;
      EXPECT_EQ(Verdict("def add(a, b): return a + b", assert_add_), "AC");
      EXPECT_EQ(Verdict("def add(a, b): return 3", assert_add_), "WA");
    }
  }
}

TEST_F(JudgeTest, ACancelledTestDoesNotMeetTheNext) {
  TestSuite suite = Suite(R"({"kind":"assert","fn":"f","hidden":[""]})");
  suite.mutable_hidden(0)->set_code(
      "for i in range(100000): assert f('of another') == 1");
  RunLimits limits;
  limits.cpu = limits.wall = absl::Seconds(60);
  for (int i = 1; i <= 8; ++i) {
    CancelToken cancel;
    std::thread canceller([&] {
      absl::SleepFor(absl::Milliseconds(15 * i));
      cancel.Cancel();
    });
    const auto report =
        Pool()->Judge({"def f(text): return 1"}, suite, limits, {}, &cancel);
    canceller.join();
    EXPECT_TRUE(absl::IsCancelled(report.status())) << report.status();
    for (int slot = 0; slot < 2; ++slot) {
      EXPECT_EQ(Verdict("def add(a, b): return a + b", assert_add_), "AC");
      EXPECT_EQ(Verdict("def add(a, b): return 3", assert_add_), "WA");
    }
  }
}

TEST_F(JudgeTest, AProcessWhoseEndIsHiddenHasNotEndedWell) {
  EXPECT_EQ(Verdict("import os, posix, signal\n"
                    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
                    "posix._exit = lambda status: os.kill(os.getpid(), 11)\n"
                    "def add(a, b): return a + b\n",
                    add_),
            "RE");
}

TEST_F(JudgeTest, LimitsOfOtherProcessesStay) {
  EXPECT_EQ(Verdict("import resource\n"
                    "try:\n"
                    "  resource.prlimit(1, resource.RLIMIT_NPROC, (0, 0))\n"
                    "except PermissionError:\n"
                    "  print(sum(map(int, input().split())))\n",
                    sum_),
            "AC");
}

TEST_F(JudgeTest, OneProcessIsEnoughForACall) {
  RunLimits limits;
  limits.processes = 1;
  EXPECT_EQ(Judge("def add(a, b): return a + b", add_, limits).verdict,
            RunVerdict::kAccepted);
}

TEST_F(JudgeTest, LimitsAreOfATest) {
  RunLimits limits;
  limits.wall = absl::Milliseconds(1500);
  limits.suite_wall = absl::Seconds(30);
  // Four tests: longer than the limit together, and far from it each.
  const std::string slow =
      "import time\ndef add(a, b):\n  time.sleep(0.4)\n  return a + b\n";
  EXPECT_EQ(Judge(slow, add_, limits).verdict, RunVerdict::kAccepted);
  limits.suite_wall = absl::Milliseconds(500);
  EXPECT_EQ(Judge(slow, add_, limits).verdict, RunVerdict::kTimeLimit);
}

TEST_F(JudgeTest, HumanEvalSolutionsPass) {
  const char* shared = std::getenv("PONDER_SHARED_DATA");
  const std::string path =
      absl::StrCat(shared != nullptr ? shared : "../shared/data",
                   "/humaneval/problems.jsonl");
  const auto text = ReadFile(path);
  if (!text.ok()) GTEST_SKIP() << "no " << path;
  int num_problems = 0;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (line.empty()) continue;
    const auto row = ParseJson(line, "problem");
    ASSERT_TRUE(row.ok()) << row.status();
    const auto field = [&](const char* name) {
      return (*row)[name].get<std::string>();
    };
    TestSuite suite;
    suite.set_kind("assert");
    suite.set_fn(field("entry_point"));
    suite.add_hidden()->set_code(field("test"));
    const JudgeReport report =
        Judge(field("prompt") + field("canonical_solution"), suite);
    EXPECT_EQ(report.verdict, RunVerdict::kAccepted)
        << field("task_id") << ": " << report.message;
    ++num_problems;
  }
  EXPECT_GT(num_problems, 50);
}

}  // namespace
}  // namespace ponder
