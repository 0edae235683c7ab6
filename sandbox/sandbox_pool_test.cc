#include "sandbox/sandbox_pool.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SandboxPoolTest : public testing::Test {
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

  static RunReport Run(const std::string& program,
                       const std::string& standard_input = "",
                       const RunLimits& limits = RunLimits()) {
    const auto report = Pool()->Run({program}, standard_input, limits, nullptr);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : RunReport();
  }

 private:
  static inline std::unique_ptr<SandboxPool> pool_;
};

std::string Out(const RunReport& report) { return report.output.stdout_bytes; }

TEST_F(SandboxPoolTest, RunsAProgram) {
  const RunReport report =
      Run("import sys\nprint(int(input()) * 2)\nsys.stderr.write('note')\n",
          "21\n");
  EXPECT_EQ(report.verdict, RunVerdict::kAccepted);
  EXPECT_EQ(Out(report), "42\n");
  EXPECT_EQ(report.output.stderr_bytes, "note");
  EXPECT_EQ(report.exit_code, 0);
  EXPECT_GT(report.cpu, absl::ZeroDuration());
}

TEST_F(SandboxPoolTest, BehavesAsTheInterpreterWould) {
  EXPECT_EQ(Run("import sys; sys.exit(3)").exit_code, 3);
  EXPECT_EQ(Run("exit('bad')").exit_code, 1);
  EXPECT_EQ(Run("raise SystemExit").exit_code, 0);
  EXPECT_EQ(Run("import os; os.abort()").signal, SIGABRT);
  EXPECT_EQ(Out(Run("import atexit\n"
                    "atexit.register(lambda: print('bye'))\n"
                    "import threading\n"
                    "threading.Thread(target=lambda: print('thread'))"
                    ".start()\n")),
            "thread\nbye\n");
  EXPECT_EQ(Out(Run("print(__name__, __file__)\n"
                    "import sys; print(sys.argv, sys.modules['__main__'] is "
                    "__import__('__main__'))\n")),
            "__main__ /work/solution.py\n['solution.py'] True\n");
  const RunReport error = Run("def f():\n  return 1 / 0\nf()\n");
  EXPECT_EQ(error.verdict, RunVerdict::kRuntimeError);
  EXPECT_EQ(error.message, "ZeroDivisionError: division by zero");
  EXPECT_THAT(error.output.stderr_bytes,
              HasSubstr("File \"/work/solution.py\", line 2, in f\n"
                        "    return 1 / 0"));
  EXPECT_THAT(error.output.stderr_bytes, Not(HasSubstr("runner")));
  EXPECT_EQ(Run("def f(:").verdict, RunVerdict::kRuntimeError);
  // Sets have the same order in every run.
  const std::string set = "print({'alpha', 'beta', 'gamma', 'delta', 'eps'})";
  EXPECT_EQ(Out(Run(set)), Out(Run(set)));
}

TEST_F(SandboxPoolTest, StandardLibraryIsThere) {
  EXPECT_EQ(
      Out(Run("import json, re, math, collections, itertools, heapq, bisect\n"
              "import tempfile, sqlite3, decimal, fractions, datetime\n"
              "with tempfile.TemporaryFile() as f: f.write(b'x')\n"
              "print(json.dumps([math.gcd(12, 18)]))\n")),
      "[6]\n");
}

TEST_F(SandboxPoolTest, HostIsReadOnlyAndOutOfSight) {
  const std::string canary =
      absl::StrCat(testing::TempDir(), "/ponder_canary_", getpid());
  std::ofstream(canary) << "secret";
  const RunReport report = Run(absl::StrCat(
      "import os\n"
      "for path in ['/etc/passwd', '/etc/shadow', '/proc/1/environ',\n"
      "             '/proc/1/mem', '/home', '/root', '/sys', '/var', '",
      canary,
      "']:\n"
      "  try:\n"
      "    os.listdir(path) if os.path.isdir(path) else open(path).read(1)\n"
      "    print('READ', path)\n"
      "  except OSError: pass\n"
      "for path in ['/x', '/usr/x', '/usr/lib/x', '/dev/x', '/etc/x',\n"
      "             '/root/x', '/proc/sys/kernel/hostname',\n"
      "             '/proc/1/oom_score_adj']:\n"
      "  try: open(path, 'w'); print('WROTE', path)\n"
      "  except OSError: pass\n"
      "try: open('",
      canary,
      "', 'w').write('changed')\n"
      "except OSError: pass\n"
      "print(os.getuid() >= 1000, sorted(os.listdir('/')), "
      "sorted(os.environ))\n"));
  EXPECT_EQ(Out(report),
            "True ['dev', 'lib', 'lib64', 'proc', 'tmp', 'usr', 'work'] "
            "['HOME', 'LANG', 'PATH', 'PYTHONHASHSEED', 'TMPDIR']\n");
  std::string content;
  std::ifstream(canary) >> content;
  EXPECT_EQ(content, "secret");
  unlink(canary.c_str());
}

TEST_F(SandboxPoolTest, HasNoRightsAndNoWayToGetSome) {
  const std::string out = Out(
      Run("import ctypes, os\n"
          "libc = ctypes.CDLL(None, use_errno=True)\n"
          "status = open('/proc/self/status').read()\n"
          "print([l for l in status.split('\\n') if l[:6] in "
          "('CapEff', 'CapBnd', 'NoNewP', 'Seccom')])\n"
          "for name, args in [('mount', (b'a', b'/work', b'tmpfs', 0, 0)),\n"
          "    ('unshare', (0x10000000,)), ('chroot', (b'/work',)),\n"
          "    ('ptrace', (16, 1, 0, 0)), ('setns', (0, 0)),\n"
          "    ('sethostname', (b'x', 1)), ('mlockall', (3,)),\n"
          "    ('swapon', (b'/x', 0)), ('klogctl', (3, 0, 0))]:\n"
          "  r = getattr(libc, name)(*args)\n"
          "  if r != -1: print('ALLOWED', name)\n"
          "for n in (250, 321, 298, 323, 425, 435, 272, 41):\n"
          "  if libc.syscall(n, 0x10000000, 0, 0, 0, 0) != -1:\n"
          "    print('ALLOWED', n)\n"));
  EXPECT_THAT(out, HasSubstr("CapEff:\\t0000000000000000"));
  EXPECT_THAT(out, HasSubstr("CapBnd:\\t0000000000000000"));
  EXPECT_THAT(out, HasSubstr("NoNewPrivs:\\t1"));
  EXPECT_THAT(out, HasSubstr("Seccomp:\\t2"));
  EXPECT_THAT(out, Not(HasSubstr("ALLOWED")));
}

TEST_F(SandboxPoolTest, HasNoNetwork) {
  // A real listener on the host, so that a connection would succeed.
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size),
            0);
  const RunReport report = Run(absl::StrCat(
      "import os, socket\n"
      "for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 40):\n"
      "  try:\n"
      "    s = socket.socket(family, socket.SOCK_STREAM)\n"
      "    print('SOCKET', family)\n"
      "    s.connect(('127.0.0.1', ",
      ntohs(address.sin_port),
      "))\n"
      "  except OSError: pass\n"
      "a, b = socket.socketpair(); a.send(b'ok'); print(b.recv(2))\n"));
  EXPECT_EQ(Out(report), "b'ok'\n");
  close(listener);
}

TEST_F(SandboxPoolTest, InheritsNoDescriptors) {
  // One that a careless library left open for children.
  const int careless = fcntl(STDOUT_FILENO, F_DUPFD, 200);
  const std::string list =
      "import os\n"
      "def fds():\n"
      "  found = []\n"
      "  for fd in range(1024):\n"
      "    try: os.fstat(fd); found.append(fd)\n"
      "    except OSError: pass\n"
      "  return found\n";
  EXPECT_EQ(Out(Run(list + "print(fds())\n")), "[0, 1, 2]\n");
  // Where a function is called, the runner's channel is there as well.
  TestSuite suite;
  suite.set_kind("call");
  suite.set_fn("fds");
  TestCase* test = suite.add_hidden();
  for (int fd = 0; fd < 4; ++fd) {
    test->mutable_expected()->mutable_list()->add_values()->set_int_value(fd);
  }
  const auto report = Pool()->Judge({list}, suite, RunLimits(), {}, nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->verdict, RunVerdict::kAccepted) << report->message;
  close(careless);
}

TEST_F(SandboxPoolTest, WallLimit) {
  RunLimits limits;
  limits.wall = absl::Milliseconds(300);
  const absl::Time start = absl::Now();
  for (const char* program :
       {"import time; time.sleep(600)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "import os, signal, time\nos.kill(os.getppid(), signal.SIGSTOP)\n"
        "time.sleep(600)\n"}) {
    EXPECT_EQ(Run(program, "", limits).verdict, RunVerdict::kTimeLimit);
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST_F(SandboxPoolTest, CpuLimit) {
  RunLimits limits;
  limits.cpu = absl::Seconds(1);
  limits.wall = absl::Seconds(20);
  EXPECT_EQ(Run("while True: pass", "", limits).verdict,
            RunVerdict::kTimeLimit);
  EXPECT_EQ(Run("import signal\n"
                "for s in range(1, 32):\n"
                "  try: signal.signal(s, signal.SIG_IGN)\n"
                "  except OSError: pass\n"
                "while True: pass\n",
                "", limits)
                .verdict,
            RunVerdict::kTimeLimit);
}

TEST_F(SandboxPoolTest, LimitsHaveBounds) {
  const auto refused = [](const std::function<void(RunLimits*)>& change) {
    RunLimits limits;
    change(&limits);
    const auto report = Pool()->Run({"print(1)"}, "", limits, nullptr);
    EXPECT_TRUE(absl::IsInvalidArgument(report.status())) << report.status();
    return std::string(report.status().message());
  };
  EXPECT_EQ(refused([](RunLimits* limits) { limits->open_files = 16; }),
            "sandbox limits: open_files must be from 64 to 1048576");
  refused([](RunLimits* limits) { limits->wall = absl::InfiniteDuration(); });
  refused([](RunLimits* limits) {
    limits->cpu = absl::Seconds(std::numeric_limits<double>::quiet_NaN());
  });
  refused([](RunLimits* limits) { limits->processes = 1 << 28; });
  refused([](RunLimits* limits) { limits->output_bytes = 1 << 30; });
  refused([](RunLimits* limits) {
    limits->inodes = std::numeric_limits<int64_t>::max();
  });
  // What is in bounds works.
  RunLimits limits;
  limits.open_files = 64;
  EXPECT_EQ(Out(Run("print(1)", "", limits)), "1\n");
}

TEST_F(SandboxPoolTest, MemoryLimit) {
  EXPECT_THAT(Run("x = b'x' * (1 << 30); print('GOT')").verdict,
              AnyOf(RunVerdict::kMemoryLimit, RunVerdict::kRuntimeError));
  // What fits, fits.
  EXPECT_EQ(Out(Run("x = b'x' * (150 << 20); print(len(x))")), "157286400\n");
  if (!Pool()->limits_memory_by_cgroup()) {
    GTEST_SKIP() << "no memory cgroup: the rest needs one";
  }
  // All processes and files count together.
  EXPECT_EQ(Run("import os, time\n"
                "for i in range(4):\n"
                "  if os.fork() == 0:\n"
                "    x = b'x' * (120 << 20); time.sleep(60)\n"
                "if os.wait()[1]: os._exit(1)\n")
                .verdict,
            RunVerdict::kMemoryLimit);
  EXPECT_GT(Run("x = b'x' * (100 << 20)").peak_memory_bytes, 100 << 20);
}

TEST_F(SandboxPoolTest, ForkBomb) {
  RunLimits limits;
  limits.wall = absl::Seconds(1);
  const RunReport report =
      Run("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass\n",
          "", limits);
  EXPECT_NE(report.verdict, RunVerdict::kAccepted);
  EXPECT_EQ(Out(Run("print('next')")), "next\n");
  const RunReport counted =
      Run("import os, time\nn = 0\ntry:\n  while n < 500:\n"
          "    if os.fork() == 0: time.sleep(60)\n    n += 1\n"
          "except OSError: pass\nprint(n)\n");
  int forks = 0;
  EXPECT_TRUE(absl::SimpleAtoi(Out(counted), &forks)) << Out(counted);
  EXPECT_GT(forks, 10);
  EXPECT_LE(forks, RunLimits().processes);
}

TEST_F(SandboxPoolTest, OutputLimit) {
  RunLimits limits;
  limits.output_bytes = 10000;
  const RunReport report = Run("while True: print('x' * 1000)", "", limits);
  EXPECT_EQ(report.verdict, RunVerdict::kOutputLimit);
  EXPECT_TRUE(report.output.stdout_truncated);
  EXPECT_EQ(Out(report).size(), 10000);
  EXPECT_EQ(
      Run("import sys\nwhile True: sys.stderr.write('x' * 1000)", "", limits)
          .verdict,
      RunVerdict::kOutputLimit);
  // Much on one stream does not stop the other.
  const RunReport noisy =
      Run("import sys\nsys.stderr.write('x' * 300000)\nprint(7)\n");
  EXPECT_EQ(Out(noisy), "7\n");
  EXPECT_EQ(noisy.output.stderr_bytes.size(), 300000);
}

TEST_F(SandboxPoolTest, FileAndDiskLimits) {
  RunLimits limits;
  limits.file_bytes = 1 << 20;
  limits.disk_bytes = 4 << 20;
  EXPECT_EQ(
      Out(Run("def fill(path):\n"
              "  try:\n"
              "    with open(path, 'wb', 0) as f:\n"
              "      while f.write(b'x' * 65536): pass\n"
              "  except OSError as e: return e.errno\n"
              "print(fill('/work/a'))\n"
              "print({fill('/tmp/%d' % i) for i in range(9)} >= {27, 28})\n",
              "", limits)),
      "27\nTrue\n");
}

// Every process of a run is in a process namespace that is gone afterwards:
// none on the host still carries the marker.
TEST_F(SandboxPoolTest, NothingIsLeftRunning) {
  RunLimits limits;
  limits.wall = absl::Seconds(1);
  const std::string spawn =
      "import os, signal, time\n"
      "for i in range(5):\n"
      "  if os.fork() == 0:\n"
      "    os.setsid()\n"
      "    if os.fork() == 0:\n"
      "      for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n"
      "      open('/proc/self/comm', 'w').write('ponder-leftover')\n"
      "      time.sleep(600)\n"
      "    os._exit(0)\n"
      "time.sleep(0.2)\n";
  EXPECT_EQ(Run(spawn + "print('done')", "", limits).verdict,
            RunVerdict::kAccepted);
  EXPECT_EQ(Run(spawn + "time.sleep(600)", "", limits).verdict,
            RunVerdict::kTimeLimit);
  EXPECT_EQ(Run(spawn + "os.kill(os.getpid(), 9)", "", limits).verdict,
            RunVerdict::kRuntimeError);
  EXPECT_NE(
      system("cat /proc/[0-9]*/comm 2>/dev/null | grep -q ponder-leftover"), 0);
}

TEST_F(SandboxPoolTest, KillingEverythingKillsOnlyItself) {
  EXPECT_EQ(Run("import os\nos.kill(-1, 9)\nos.kill(1, 9)\n").verdict,
            RunVerdict::kRuntimeError);
  EXPECT_EQ(Out(Run("import os, signal\n"
                    "for s in (9, 15, 11, 19): os.kill(1, s)\n"
                    "print('init lives')\n")),
            "init lives\n");
}

TEST_F(SandboxPoolTest, CancelStopsARun) {
  CancelToken cancel;
  RunLimits limits;
  limits.wall = absl::Seconds(60);
  limits.cpu = absl::Seconds(60);
  std::thread canceller([&] {
    absl::SleepFor(absl::Milliseconds(100));
    cancel.Cancel();
  });
  const auto report =
      Pool()->Run({"import time; time.sleep(600)"}, "", limits, &cancel);
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(report.status())) << report.status();
}

TEST_F(SandboxPoolTest, SlotsRunSideBySide) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([i] {
      EXPECT_EQ(Out(Run("print(int(input()) + 1)", absl::StrCat(i))),
                absl::StrCat(i + 1, "\n"));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(SandboxPoolTest, RefusesSenselessLimits) {
  RunLimits limits;
  limits.memory_bytes = 1000;
  EXPECT_TRUE(absl::IsInvalidArgument(
      Pool()->Run({"print(1)"}, "", limits, nullptr).status()));
}

TEST(SandboxDoctorTest, SaysWhatIsThere) {
  const SandboxReport report = SandboxDoctor();
  ASSERT_FALSE(report.lines.empty());
  EXPECT_EQ(report.available, SandboxPool::Create(1).ok());
}

}  // namespace
}  // namespace ponder
