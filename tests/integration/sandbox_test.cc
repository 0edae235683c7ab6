// The sandbox by hand and as a server, through the real program.

#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/ponder_process.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Json = nlohmann::ordered_json;

constexpr char kTasks[] = R"({
  "sum": {"kind": "stdio", "visible": [["1 2\n", "3\n"]],
          "hidden": [["5 7\n", "12\n"], ["-5 5\n", "0\n"]]},
  "add": {"kind": "call", "fn": "add", "hidden": [[[1, 2], 3]]}})";

class SandboxCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    static const PonderResult doctor = RunPonder({"sandbox", "doctor"});
    if (doctor.exit_code != 0) GTEST_SKIP() << doctor.err;
  }

  // What `ponder sandbox ARGUMENTS --json` prints.
  static Json Sandbox(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "sandbox");
    arguments.push_back("--json");
    const PonderResult result = RunPonder(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  static void ExpectRefused(const std::vector<std::string>& arguments,
                            const std::string& part) {
    const PonderResult result = RunPonder(arguments);
    EXPECT_NE(result.exit_code, 0);
    EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_EQ(result.out, "");
  }

  static std::vector<std::string> Keys(const Json& json) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : json.items()) keys.push_back(key);
    return keys;
  }

  const TestFolder folder_;
  const std::string tasks_ = folder_.Write("tasks.json", kTasks);
  const std::string sum_ =
      folder_.Write("sum.py", "print(sum(map(int, input().split())))\n");
};

TEST_F(SandboxCommandTest, RunSaysAllThatIsKnown) {
  const std::string input = folder_.Write("input", "21\n");
  const std::string program = folder_.Write(
      "p.py",
      "import sys\nprint(int(input()) * 2)\nsys.stderr.write('note')\n"
      "sys.exit(3)\n");
  const Json json = Sandbox({"run", program, "--stdin", input});
  EXPECT_THAT(Keys(json),
              ElementsAre("verdict", "reward", "exit_code", "signal", "cpu_ms",
                          "wall_ms", "peak_bytes", "stdout", "stderr",
                          "stdout_truncated", "stderr_truncated", "tests"));
  EXPECT_EQ(json["verdict"], "RE");
  EXPECT_TRUE(json["reward"].is_null());
  EXPECT_EQ(json["exit_code"], 3);
  EXPECT_EQ(json["stdout"], "42\n");
  EXPECT_EQ(json["stderr"], "note");
  EXPECT_GT(json["cpu_ms"], 0);
  EXPECT_GT(json["wall_ms"], 0);
}

TEST_F(SandboxCommandTest, EveryLimitIsAFlag) {
  const std::string flood =
      folder_.Write("flood.py", "while True: print('x' * 99)\n");
  Json json = Sandbox({"run", flood, "--output", "2K"});
  EXPECT_EQ(json["verdict"], "OLE");
  EXPECT_EQ(json["stdout"].get<std::string>().size(), 2048);
  EXPECT_EQ(json["stdout_truncated"], true);
  const std::string memory =
      folder_.Write("memory.py", "x = bytearray(150 << 20)\nprint(len(x))\n");
  EXPECT_EQ(Sandbox({"run", memory, "--memory", "64M"})["verdict"], "MLE");
  EXPECT_EQ(Sandbox({"run", memory, "--memory", "256M"})["verdict"], "AC");
  const std::string spin = folder_.Write("spin.py", "while True: pass\n");
  json = Sandbox({"run", spin, "--cpu", "0.2", "--wall", "30"});
  EXPECT_EQ(json["verdict"], "TLE");
  EXPECT_LT(json["cpu_ms"], 5000);
  const std::string sleep = folder_.Write("sleep.sh", "sleep 50\n");
  EXPECT_EQ(
      Sandbox({"run", sleep, "--language", "bash", "--wall", "0.2"})["verdict"],
      "TLE");
  const std::string file =
      folder_.Write("file.py", "open('f', 'wb').write(bytes(1 << 20))\n");
  EXPECT_EQ(Sandbox({"run", file, "--file-size", "4K"})["verdict"], "RE");
  EXPECT_EQ(Sandbox({"run", file, "--file-size", "2M"})["verdict"], "AC");
  ExpectRefused({"sandbox", "run", file, "--memory", "lots"}, "--memory");
  ExpectRefused({"sandbox", "run", file, "--wall", "0"}, "--wall");
}

TEST_F(SandboxCommandTest, JudgeGivesVerdictAndReward) {
  Json json = Sandbox({"judge", "--tasks", tasks_, "--task", "sum", sum_});
  EXPECT_EQ(json["verdict"], "AC");
  EXPECT_EQ(json["reward"], 1);
  EXPECT_EQ(json["tests"].size(), 3);
  EXPECT_EQ(json["tests"][2]["verdict"], "AC");

  const std::string wrong = folder_.Write("wrong.py", "print(12)\n");
  json = Sandbox({"judge", "--tasks", tasks_, "--task", "sum", wrong});
  EXPECT_EQ(json["verdict"], "WA");
  EXPECT_EQ(json["reward"], 0);
  EXPECT_EQ(json["tests"][1]["verdict"], "-");
  json = Sandbox(
      {"judge", "--tasks", tasks_, "--task", "sum", wrong, "--partial"});
  EXPECT_NEAR(json["reward"].get<double>(), 1.0 / 3, 1e-9);
  EXPECT_EQ(json["tests"][1]["verdict"], "AC");

  const std::string cpp = folder_.Write(
      "sum.cc",
      "#include <iostream>\n"
      "int main() { int a, b; std::cin >> a >> b; std::cout << a + b; }\n");
  json = Sandbox(
      {"judge", "--tasks", tasks_, "--task", "sum", "--language", "cpp", cpp});
  EXPECT_EQ(json["verdict"], "AC");
  const std::string broken = folder_.Write("broken.cc", "int main() { x; }\n");
  json = Sandbox({"judge", "--tasks", tasks_, "--task", "sum", "--language",
                  "cpp", broken});
  EXPECT_EQ(json["verdict"], "CE");
  EXPECT_THAT(json["stderr"].get<std::string>(), HasSubstr("not declared"));
}

TEST_F(SandboxCommandTest, RefusesWhatJudgesNothing) {
  ExpectRefused({"sandbox", "judge", "--tasks", tasks_, "--task", "sub", sum_},
                "no task \"sub\"");
  ExpectRefused(
      {"sandbox", "judge", "--tasks", folder_.File("none.json"), sum_},
      "none.json");
  ExpectRefused({"sandbox", "judge", "--tasks", tasks_, "--task", "sum",
                 folder_.File("none.py")},
                "none.py");
  ExpectRefused({"sandbox", "judge", "--tasks", tasks_, "--task", "add",
                 "--language", "c", sum_},
                "python");
  ExpectRefused({"sandbox", "judge", "--tasks", tasks_, "--task", "sum",
                 "--language", "cobol", sum_},
                "cobol");
  const std::string empty = folder_.Write("empty.json", R"({"kind": "stdio"})");
  ExpectRefused({"sandbox", "judge", "--tasks", empty, sum_}, "empty.json");
}

// A reward server whose programs another server runs.
TEST_F(SandboxCommandTest, AServerRunsTheProgramsOfOthers) {
  PonderProcess server({"sandbox-server", "--slots", "1"});
  ASSERT_TRUE(WaitUntil([&] {
    return absl::StrContains(server.StandardOutput(), "port ");
  })) << server.StandardError();
  // "sandbox server: port 1234, ...".
  const std::vector<std::string> words =
      absl::StrSplit(server.StandardOutput(), absl::ByAnyChar(" ,"));
  ASSERT_GT(words.size(), 4);
  const std::string address = absl::StrCat("127.0.0.1:", words[3]);

  const std::string rows = folder_.File("rows.jsonl");
  ASSERT_EQ(RunPonder({"data", "make", "quickstart_code", "--count", "10",
                       "--seed", "3", "--thinking-share", "0.5", "--out", rows})
                .exit_code,
            0);
  const std::string config = folder_.Write(
      "run.textproto",
      absl::StrCat("policy { init: RANDOM }\ndata { path: \"", rows,
                   "\" }\nreward { sandbox_address: \"", address, "\" }\n"));
  const std::vector<std::string> verify = {"verify", "data", "--config",
                                           config};
  PonderResult result = RunPonder(verify);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("10 of 10 score 1"));

  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0) << server.StandardError();
  EXPECT_THAT(server.Leftovers(), IsEmpty());
  result = RunPonder(verify);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr(address),
                    HasSubstr("start one with: ponder sandbox-server")));
}

TEST_F(SandboxCommandTest, AKilledServerLeavesNothing) {
  PonderProcess server({"sandbox-server", "--slots", "2"});
  ASSERT_TRUE(WaitUntil([&] {
    return absl::StrContains(server.StandardOutput(), "port ");
  })) << server.StandardError();
  server.Signal(SIGKILL);
  EXPECT_EQ(server.Wait(), 128 + SIGKILL);
  EXPECT_THAT(server.Leftovers(), IsEmpty());
}

}  // namespace
}  // namespace ponder
