// The attack programs that come with the project's shared data (looked for in
// $PONDER_SHARED_DATA and in ../shared/data beside the source tree), each
// submitted to its task. What must happen to each is written beside them.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "proto/value_codec.h"
#include "sandbox/host_traces.h"
#include "sandbox/sandbox_pool.h"
#include "sandbox/unique_fd.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kCanary[] = "/tmp/rsbx_canary";
constexpr char kHostText[] = "host file\n";

std::string AttackFolder() {
  const char* shared = std::getenv("PONDER_SHARED_DATA");
  return absl::StrCat(shared != nullptr ? shared : "../shared/data",
                      "/sandbox/attacks");
}

// What the programs look for on the host.
class Fixtures {
 public:
  Fixtures() {
    setenv("RSBX_SECRET", "SECRET-91c2e7", 1);
    const std::string folder = kCanary;
    EXPECT_TRUE(MakeFolders(folder + "/tests").ok());
    Write(folder + "/host_file.txt", kHostText, 0666);
    Write(folder + "/secret.txt", "SECRET-91c2e7\n", 0644);
    Write(folder + "/tests/1.in", "q1\n", 0644);
    Write(folder + "/tests/1.out", "EXPECTED-7f3a9c-q1\n", 0644);

    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(47811);
    tcp_ = Listen(AF_INET, SOCK_STREAM, &address, sizeof(address));
    address.sin_port = htons(47812);
    udp_ = Listen(AF_INET, SOCK_DGRAM, &address, sizeof(address));
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    std::snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "rsbx_canary");
    unix_ = Listen(AF_UNIX, SOCK_STREAM, &name,
                   sizeof(sa_family_t) + 1 + sizeof("rsbx_canary") - 1);
    name.sun_path[0] = '/';  // The same beside the files.
    std::snprintf(name.sun_path, sizeof(name.sun_path), "%s/sock", kCanary);
    unlink(name.sun_path);
    socket_ = Listen(AF_UNIX, SOCK_STREAM, &name, sizeof(name));
    shm_ = shmget(0x52534258, 4096, IPC_CREAT | 0666);
    Write("/dev/shm/rsbx_canary", kHostText, 0666);
    char* const sleep[] = {const_cast<char*>("/usr/bin/sleep"),
                           const_cast<char*>("600"), nullptr};
    // With the secret in its environment.
    EXPECT_EQ(
        posix_spawn(&sleeper_, sleep[0], nullptr, nullptr, sleep, environ), 0);
  }

  ~Fixtures() {
    unsetenv("RSBX_SECRET");
    kill(sleeper_, SIGKILL);
    waitpid(sleeper_, nullptr, 0);
    unlink("/dev/shm/rsbx_canary");
    unlink(absl::StrCat(kCanary, "/sock").c_str());
    if (shm_ >= 0) shmctl(shm_, IPC_RMID, nullptr);
    for (const char* file :
         {"/host_file.txt", "/secret.txt", "/tests/1.in", "/tests/1.out"}) {
      unlink(absl::StrCat(kCanary, file).c_str());
    }
    rmdir(absl::StrCat(kCanary, "/tests").c_str());
    rmdir(kCanary);
  }

  // Fails the test if anything arrived or changed.
  void ExpectUntouched() {
    for (const UniqueFd* fd : {&tcp_, &unix_, &socket_}) {
      if (fd->is_open()) {
        EXPECT_LT(accept(fd->get(), nullptr, nullptr), 0) << "a connection";
      }
    }
    char byte;
    if (udp_.is_open()) {
      EXPECT_LT(recv(udp_.get(), &byte, 1, MSG_DONTWAIT), 0) << "a datagram";
    }
    EXPECT_EQ(*ReadFile(absl::StrCat(kCanary, "/host_file.txt")), kHostText);
    EXPECT_EQ(*ReadFile("/dev/shm/rsbx_canary"), kHostText);
    EXPECT_EQ(kill(sleeper_, 0), 0);
    EXPECT_NE(access(absl::StrCat(kCanary, "/pickle_pwned").c_str(), F_OK), 0);
  }

 private:
  static void Write(const std::string& path, const std::string& text,
                    mode_t mode) {
    EXPECT_TRUE(WriteFileAtomically(path, text).ok()) << path;
    chmod(path.c_str(), mode);
  }

  // Not open if another test has the address: then there is less to see.
  static UniqueFd Listen(int family, int type, const void* address,
                         socklen_t size) {
    UniqueFd fd(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd.get(), static_cast<const sockaddr*>(address), size) != 0 ||
        (type == SOCK_STREAM && listen(fd.get(), 8) != 0)) {
      return UniqueFd();
    }
    return fd;
  }

  UniqueFd tcp_;
  UniqueFd udp_;
  UniqueFd unix_;
  UniqueFd socket_;
  int shm_ = -1;
  pid_t sleeper_ = -1;
};

std::string AllOutput(const JudgeReport& report) {
  std::string text =
      absl::StrCat(report.output.stdout_bytes, "\n", report.output.stderr_bytes,
                   "\n", report.message);
  for (const TestResult& test : report.tests) {
    absl::StrAppend(&text, "\n", test.message);
  }
  return text;
}

// Of the running test so far.
int NumFailures() {
  const testing::TestResult& result =
      *testing::UnitTest::GetInstance()->current_test_info()->result();
  int failures = 0;
  for (int i = 0; i < result.total_part_count(); ++i) {
    failures += result.GetTestPartResult(i).failed();
  }
  return failures;
}

// The programs in testcases/, by testcases.json: what must happen to each.
TEST(AttackTest, OwnProgramsAreHeld) {
  const std::string folder = "sandbox/testcases";
  const auto list = ReadFile(folder + "/testcases.json");
  const auto tasks_text = ReadFile(folder + "/tasks.json");
  ASSERT_TRUE(list.ok() && tasks_text.ok());
  const auto pool = SandboxPool::Create(1);
  if (!pool.ok()) GTEST_SKIP() << pool.status();
  const auto cases = ParseJson(*list, "testcases.json");
  const auto tasks = ParseJson(*tasks_text, "tasks.json");
  ASSERT_TRUE(cases.ok() && tasks.ok());
  const auto honest = TestSuiteFromJson((*tasks)["add_func"]);
  ASSERT_TRUE(honest.ok());
  RunLimits limits;
  limits.cpu = absl::Seconds(1);
  limits.wall = absl::Seconds(3);
  for (const Json& one : *cases) {
    const std::string name = one["name"];
    SCOPED_TRACE(name);
    const auto program =
        ReadFile(absl::StrCat(folder, "/", std::string(one["file"])));
    ASSERT_TRUE(program.ok());
    const auto suite = TestSuiteFromJson((*tasks)[std::string(one["task"])]);
    ASSERT_TRUE(suite.ok());
    const auto report = (*pool)->Judge({*program, std::string(one["language"])},
                                       *suite, limits, {}, nullptr);
    if (absl::IsFailedPrecondition(report.status())) {
      std::printf("%s passed over: %s\n", name.c_str(),
                  std::string(report.status().message()).c_str());
      continue;
    }
    ASSERT_TRUE(report.ok()) << report.status();
    bool allowed = false;
    for (const Json& verdict : one["verdicts"]) {
      allowed |= VerdictName(report->verdict) == std::string(verdict);
    }
    const std::string output = AllOutput(*report);
    EXPECT_TRUE(allowed) << VerdictName(report->verdict) << "\n"
                         << output.substr(0, 2000);
    EXPECT_FALSE(absl::StrContains(output, "PWNED")) << output.substr(0, 2000);
    EXPECT_FALSE(absl::StrContains(output, "EXPECTED-7f"));
    for (const TestResult& test : report->tests) {
      EXPECT_LE(test.wall, limits.wall + absl::Seconds(1));
    }
    const auto next = (*pool)->Judge({"def add(a, b): return a + b"}, *honest,
                                     limits, {}, nullptr);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ(next->verdict, RunVerdict::kAccepted) << next->message;
  }
}

TEST(AttackTest, ProgramsAreHeld) {
  const auto list = ReadFile(AttackFolder() + "/attacks.jsonl");
  const auto tasks_text = ReadFile(AttackFolder() + "/tasks.json");
  if (!list.ok() || !tasks_text.ok()) {
    GTEST_SKIP() << "no attack programs in " << AttackFolder();
  }
  // One slot, so an honest program afterwards has the attack's.
  const auto pool = SandboxPool::Create(1);
  // The one beside it, which always runs honest programs.
  const auto beside = SandboxPool::Create(1);
  if (!pool.ok()) GTEST_SKIP() << pool.status();
  const auto tasks = ParseJson(*tasks_text, "tasks.json");
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  const auto honest_suite = TestSuiteFromJson((*tasks)["add_func"]);
  ASSERT_TRUE(honest_suite.ok());

  Fixtures fixtures;
  const RunLimits limits;  // The defaults are what the verdicts assume.
  const auto judge_honest = [&](SandboxPool& where, const char* source) {
    const auto report =
        where.Judge({source}, *honest_suite, limits, {}, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->verdict, RunVerdict::kAccepted) << report->message;
  };
  judge_honest(**beside, "def add(a, b): return a + b");
  // Cells of compiled programs are made when first needed, and stay.
  ASSERT_TRUE((*pool)->Run({"int main() {}", "cpp"}, "", limits, nullptr).ok());
  judge_honest(**pool, "def add(a, b): return a + b");
  int num_programs = 0;
  int num_held = 0;
  for (const absl::string_view line : absl::StrSplit(*list, '\n')) {
    if (line.empty()) continue;
    const auto attack = ParseJson(line, "attacks.jsonl");
    ASSERT_TRUE(attack.ok()) << attack.status();
    const std::string name = (*attack)["name"];
    SCOPED_TRACE(name);
    if (!(*pool)->limits_memory_by_cgroup() &&
        (name == "mem_many_procs" || name == "ctl_recursion")) {
      std::printf("%s passed over: it needs a memory cgroup\n", name.c_str());
      continue;
    }
    ++num_programs;
    const int failures_before = NumFailures();
    const auto program = ReadFile(
        absl::StrCat(AttackFolder(), "/", std::string((*attack)["file"])));
    ASSERT_TRUE(program.ok());
    const auto suite =
        TestSuiteFromJson((*tasks)[std::string((*attack)["task"])]);
    ASSERT_TRUE(suite.ok()) << suite.status();

    auto traces = CountHostTraces();
    const int64_t resident_kib = ResidentKib();
    // Long enough that the attack meets it.
    std::thread honest([&] {
      judge_honest(**beside,
                   "import time\n"
                   "def add(a, b):\n  time.sleep(0.02)\n  return a + b\n");
    });
    const auto report =
        (*pool)->Judge({*program, std::string((*attack)["language"])}, *suite,
                       limits, {}, nullptr);
    honest.join();
    ASSERT_TRUE(report.ok()) << report.status();
    auto left = CountHostTraces();
    // A program that was compiled stays open, as it may be wanted again.
    if ((*attack)["language"] == "cpp" &&
        left["descriptors"] == traces["descriptors"] + 1) {
      ++traces["descriptors"];
    }
    EXPECT_EQ(left, traces);
    EXPECT_LE(ResidentKib() - resident_kib, 64 << 10);
    if ((*attack)["category"] != "compile" &&
        (*pool)->limits_memory_by_cgroup()) {
      EXPECT_LE(report->peak_memory_bytes, limits.memory_bytes);
    }

    const Json& must = (*attack)["must_happen"];
    std::set<std::string> allowed;
    for (const Json& verdict : must["verdicts"]) {
      allowed.insert(std::string(verdict));
    }
    const std::string verdict(VerdictName(report->verdict));
    EXPECT_TRUE(allowed.count(verdict) == 1)
        << verdict << " " << report->message << "\n"
        << AllOutput(*report).substr(0, 2000);
    if (must["reward"].is_number()) {
      EXPECT_EQ(report->verdict == RunVerdict::kAccepted,
                must["reward"].get<double>() == 1);
    }
    const std::string output = AllOutput(*report);
    EXPECT_FALSE(absl::StrContains(output, "PWNED")) << output.substr(0, 2000);
    EXPECT_FALSE(absl::StrContains(output, "SECRET-91"));
    EXPECT_FALSE(absl::StrContains(output, "EXPECTED-7f"));
    EXPECT_LE(report->output.stdout_bytes.size(), limits.output_bytes);
    EXPECT_LE(report->output.stderr_bytes.size(), limits.output_bytes);
    if (report->verdict == RunVerdict::kOutputLimit &&
        (*attack)["name"] != "huge_result") {
      EXPECT_TRUE(report->output.stdout_truncated ||
                  report->output.stderr_truncated);
    }
    for (const TestResult& test : report->tests) {
      EXPECT_LE(test.wall, limits.wall + absl::Seconds(1));
    }
    fixtures.ExpectUntouched();

    judge_honest(**pool, "def add(a, b): return a + b");
    num_held += NumFailures() == failures_before;
  }
  RecordProperty("held", absl::StrCat(num_held, " of ", num_programs));
  std::printf("%d of %d programs held\n", num_held, num_programs);
}

}  // namespace
}  // namespace ponder
