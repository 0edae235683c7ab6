// Bad input of every kind: a sentence that names the thing, an exit code, and
// nothing half-written.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ponder_process.h"
#include "tests/support/tiny_run.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class BadInputTest : public TinyRunTest {
 protected:
  std::vector<std::string> With(
      const TinyConfig& config,
      const std::vector<std::string>& settings) const {
    std::vector<std::string> arguments = Arguments(config);
    for (const std::string& setting : settings) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    return arguments;
  }

  // The last error line of a run that must fail.
  std::string Error(const std::vector<std::string>& arguments) {
    PonderProcess process(arguments);
    const int code = process.Wait();
    const std::string err = process.StandardError();
    EXPECT_GT(code, 0) << err;
    EXPECT_LT(code, 128) << err;  // No crash.
    EXPECT_THAT(process.Leftovers(), IsEmpty());
    EXPECT_THAT(HalfWritten(folder_.path()), IsEmpty());
    return LastError(err);
  }
  // From the line on that begins with the program's name.
  static std::string LastError(const std::string& err) {
    const size_t start = absl::StrCat("\n", err).rfind("\nponder: ");
    if (start != std::string::npos) return err.substr(start);
    ADD_FAILURE() << "no error: " << err;
    return err;
  }
  std::string Error(const TinyConfig& config,
                    const std::vector<std::string>& settings = {}) {
    return Error(With(config, settings));
  }

  // A run whose policy is a copy of a small one, to be spoilt.
  TinyConfig FromFolder(const std::string& stages) {
    const std::string first = Run(Config("first", ColdStart(1)));
    fs::copy(first + "/export", folder_.File("policy"));
    TinyConfig config = Config("run", stages);
    config.policy = absl::StrCat("path: \"", folder_.File("policy"), "\"");
    return config;
  }
};

TEST_F(BadInputTest, MissingConfiguration) {
  EXPECT_THAT(Error(std::vector<std::string>{"train", "--config",
                                             folder_.File("none.textproto")}),
              HasSubstr("none.textproto"));
}

TEST_F(BadInputTest, MissingDataFile) {
  TinyConfig config = Config("run", ColdStart(2));
  config.data_path = folder_.File("none.jsonl");
  EXPECT_THAT(Error(config), HasSubstr("none.jsonl"));
  // The next try is not refused for what this one has left.
  folder_.Write("none.jsonl", TinyProblems(9));
  Run(config);
}

// What is wrong shows up when the stage begins.
TEST_F(BadInputTest, GeneratedDataFileThatIsMissing) {
  TinyConfig config = Config("run", ColdStart(2));
  config.data_path = "$RUN/data/none.jsonl";
  EXPECT_THAT(Error(config), HasSubstr("none.jsonl"));
  config.data_path = folder_.File("tiny.jsonl");
  Run(config);
}

TEST_F(BadInputTest, BrokenJsonNamesTheLine) {
  const std::string path = folder_.Write(
      "broken.jsonl",
      absl::StrCat(TinyProblems(4), "{\"prompt\": \"pick 9\", \"answer\": \n"));
  TinyConfig config = Config("run", ColdStart(2));
  config.data_path = path;
  EXPECT_THAT(Error(config), StartsWith(absl::StrCat("ponder: ", path, ":5")));
}

TEST_F(BadInputTest, RowWithoutAColumnNamesTheLine) {
  const std::string path = folder_.Write(
      "rows.jsonl", absl::StrCat(TinyProblems(2), "{\"a\": 1}\n"));
  TinyConfig config = Config("run", ColdStart(2));
  config.data_path = path;
  EXPECT_THAT(Error(config),
              AllOf(HasSubstr(absl::StrCat(path, ":3")), HasSubstr("prompt")));
}

TEST_F(BadInputTest, UnknownFieldNamesLineAndColumn) {
  TinyConfig config = Config("run", ColdStart(2));
  config.more = "learner_typo { }\n";
  const std::string path = Arguments(config)[2];
  const std::string error = Error(config);
  EXPECT_THAT(error, StartsWith(absl::StrCat("ponder: ", path, ":")));
  EXPECT_THAT(error, AllOf(HasSubstr("learner_typo"),
                           testing::ContainsRegex(":[0-9]+:[0-9]+: ")));
  EXPECT_FALSE(fs::exists(RunFolder("run")));
}

TEST_F(BadInputTest, ValueOutOfRange) {
  EXPECT_THAT(
      Error(Config("run", Grpo(2)), {"stage[0].grpo.samples_per_prompt=1"}),
      HasSubstr("samples_per_prompt"));
}

TEST_F(BadInputTest, NoStage) {
  EXPECT_THAT(Error(Config("run", "")), HasSubstr("stage"));
}

TEST_F(BadInputTest, WrongTensorShape) {
  const TinyConfig config = FromFolder(ColdStart(2));
  const std::string path = folder_.File("policy/config.json");
  folder_.Write(
      "policy/config.json",
      absl::StrReplaceAll(Bytes(path), {{"\"intermediate_size\": 64",
                                         "\"intermediate_size\": 48"}}));
  EXPECT_THAT(Error(config), AllOf(HasSubstr("policy"), HasSubstr("mlp"),
                                   HasSubstr("64"), HasSubstr("48")));
}

TEST_F(BadInputTest, UnknownArchitecture) {
  const TinyConfig config = FromFolder(ColdStart(2));
  const std::string path = folder_.File("policy/config.json");
  folder_.Write("policy/config.json",
                absl::StrReplaceAll(
                    Bytes(path), {{"qwen2", "mamba7"}, {"Qwen2", "Mamba7"}}));
  EXPECT_THAT(Error(config), AllOf(HasSubstr("amba7"), HasSubstr("policy")));
}

TEST_F(BadInputTest, MissingPartsOfThePolicy) {
  const TinyConfig config = FromFolder(ColdStart(2));
  for (const char* file :
       {"tokenizer.json", "model.safetensors", "config.json"}) {
    fs::rename(folder_.File(absl::StrCat("policy/", file)),
               folder_.File("away"));
    EXPECT_THAT(
        Error(config),
        HasSubstr(absl::StartsWith(file, "model") ? "safetensors" : file));
    fs::rename(folder_.File("away"),
               folder_.File(absl::StrCat("policy/", file)));
  }
  TinyConfig none = config;
  none.policy = absl::StrCat("path: \"", folder_.File("none"), "\"");
  EXPECT_THAT(Error(none), HasSubstr(folder_.File("none")));
  Run(config);
}

TEST_F(BadInputTest, CutSafetensors) {
  const TinyConfig config = FromFolder(ColdStart(2));
  const std::string path = folder_.File("policy/model.safetensors");
  fs::resize_file(path, fs::file_size(path) / 2);
  EXPECT_THAT(Error(config), HasSubstr("model.safetensors"));
  fs::resize_file(path, 5);
  EXPECT_THAT(Error(config), HasSubstr("model.safetensors"));
}

TEST_F(BadInputTest, PortInUse) {
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_GE(taken, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
            0);
  ASSERT_EQ(listen(taken, 1), 0);
  socklen_t size = sizeof(address);
  getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string listen_on =
      absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  EXPECT_THAT(Error(Config("run", ColdStart(2) + Grpo(2)),
                    {absl::StrCat("rollout.listen=", listen_on)}),
              AllOf(HasSubstr(listen_on), HasSubstr("in use")));
  close(taken);
}

TEST_F(BadInputTest, NoRewardServerAtTheAddress) {
  EXPECT_THAT(Error(Config("run", ColdStart(2) + Grpo(2)),
                    {"reward.address=127.0.0.1:1"}),
              AllOf(HasSubstr("127.0.0.1:1"), HasSubstr("reward server")));
}

TEST_F(BadInputTest, PromptsThatAreTooLong) {
  std::string rows = TinyProblems(6);
  for (int i = 0; i < 3; ++i) {
    absl::StrAppend(&rows, "{\"prompt\": \"", std::string(60, 'x'), i,
                    "\", \"answer\": \"1\", \"response\": \"\\\\boxed{1}\"}\n");
  }
  TinyConfig config = Config("run", Grpo(2));
  config.data_path = folder_.Write("long.jsonl", rows);
  EXPECT_THAT(Error(config),
              AllOf(HasSubstr("3 of 9 prompts"), HasSubstr("(24)"),
                    HasSubstr("longest has 62")));
}

TEST_F(BadInputTest, BadGoldAnswersAreListedBeforeTraining) {
  TinyConfig config = Config("run", Grpo(2));
  config.data_path = folder_.Write(
      "gold.jsonl",
      absl::StrCat(TinyProblems(5),
                   "{\"id\": \"bad1\", \"prompt\": \"a\", \"answer\": \"",
                   std::string(5000, '9'), "\"}\n",
                   "{\"id\": \"bad2\", \"prompt\": \"b\", \"answer\": "
                   "\"#### \"}\n"));
  const std::string error = Error(config);
  EXPECT_THAT(error, AllOf(HasSubstr("2 of 7 gold answers"), HasSubstr("bad1"),
                           HasSubstr("bad2")));
  EXPECT_THAT(ReadMetrics(RunFolder("run")), IsEmpty());
}

TEST_F(BadInputTest, BadCountdownRowIsListedBeforeTraining) {
  TinyConfig config = Config("run", Grpo(2));
  config.data_path = folder_.Write(
      "countdown.jsonl",
      "{\"prompt\": \"a\", \"verifier\": \"countdown\", \"answer\": \"24\","
      " \"target\": 24, \"numbers\": [4, 6]}\n"
      "{\"id\": \"bad\", \"prompt\": \"b\", \"verifier\": \"countdown\","
      " \"answer\": \"24\", \"target\": 24}\n");
  EXPECT_THAT(Error(config), AllOf(HasSubstr("1 of 2 gold answers"),
                                   HasSubstr("bad"), HasSubstr("numbers")));
}

TEST_F(BadInputTest, UnknownVerifier) {
  EXPECT_THAT(Error(Config("run", Grpo(2)), {"data.verifier=magic"}),
              HasSubstr("magic"));
}

TEST_F(BadInputTest, CacheThatIsTooSmall) {
  // One prompt and response would fit, a group of them does not.
  EXPECT_THAT(Error(Config("run", ColdStart(2) + Grpo(2)),
                    {"rollout.kv_cache_tokens=40"}),
              AllOf(HasSubstr("kv_cache_tokens: 40"),
                    HasSubstr("4 of the longest responses")));
}

TEST_F(BadInputTest, MoreTokensThanThePolicyHasPositions) {
  EXPECT_THAT(Error(FromFolder("stage { sample {} }\n"),
                    {"prompt.max_prompt_tokens=60"}),
              AllOf(HasSubstr("max_prompt_tokens"), HasSubstr("74"),
                    HasSubstr("max_position_embeddings is 64")));
}

TEST_F(BadInputTest, ResumeOfWhatIsNoRun) {
  EXPECT_THAT(Error(std::vector<std::string>{"train", "--resume",
                                             folder_.File("none")}),
              HasSubstr(folder_.File("none")));
}

// A checkpoint that was damaged is passed over.
TEST_F(BadInputTest, ResumePassesOverADamagedCheckpoint) {
  const std::string run = Run(Config("run", ColdStart(4) + Grpo(2)));
  const std::string wanted = NewestWeights(run);
  std::ofstream(run + "/checkpoints/step_6/model.safetensors",
                std::ios::binary | std::ios::in)
      .write("\xff", 1);
  const PonderResult result = RunPonder({"train", "--resume", run});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err,
              HasSubstr("going on from " + run + "/checkpoints/step_4"));
  EXPECT_TRUE(NewestWeights(run) == wanted);
}

// A small file system of its own in a private mount namespace.
class FullDiskTest : public BadInputTest {
 protected:
  void SetUp() override {
    fs::create_directories(disk_);
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", disk_.c_str(), "tmpfs", 0, "size=96m") != 0) {
      GTEST_SKIP() << "no right to mount a file system of 96 MiB";
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) umount2(disk_.c_str(), MNT_DETACH);
  }

  // Takes the file system's room but for `bytes`.
  void LeaveFree(size_t bytes) {
    const size_t free = fs::space(disk_).available;
    ASSERT_GT(free, bytes);
    std::ofstream out(disk_ + "/filler", std::ios::binary);
    const std::string piece(1 << 16, 'x');
    for (size_t left = free - bytes; left > 0;) {
      const size_t n = std::min(left, piece.size());
      out.write(piece.data(), static_cast<std::streamsize>(n));
      left -= n;
    }
    // A run that writes at the same time may have taken the last of it.
    out.flush();
  }

  const std::string disk_ = folder_.File("disk");
  bool mounted_ = false;
};

TEST_F(FullDiskTest, RefusedBeforeItStarts) {
  LeaveFree(8 << 20);
  EXPECT_THAT(Error(Config("run", ColdStart(2)), {"runs_dir=" + disk_}),
              AllOf(HasSubstr(disk_), HasSubstr("MiB")));
}

// Full while it runs: the run ends with a sentence, what was saved is whole,
// and it goes on once there is room.
TEST_F(FullDiskTest, FillsUpWhileItRuns) {
  TinyConfig config = Config("run", ColdStart() + Grpo(20));
  const std::string run = disk_ + "/run";
  {
    PonderProcess process(
        With(config, {"runs_dir=" + disk_, "checkpoint.every_steps=2"}));
    ASSERT_TRUE(WaitUntil(
        [&] { return !process.Running() || StepsDone(run, "grpo") >= 3; }));
    ASSERT_TRUE(process.Running()) << process.StandardError();
    LeaveFree(20000);
    const int code = process.Wait();
    const std::string err = process.StandardError();
    EXPECT_GT(code, 0) << err;
    EXPECT_LT(code, 128) << err;
    EXPECT_THAT(
        LastError(err),
        AllOf(HasSubstr(run), AnyOf(HasSubstr("No space left on device"),
                                    HasSubstr("the disk may be full"))));
    EXPECT_THAT(process.Leftovers(), IsEmpty());
  }
  EXPECT_THAT(HalfWritten(run), IsEmpty());
  EXPECT_FALSE(fs::exists(run + "/summary.json"));

  fs::remove(disk_ + "/filler");
  const PonderResult result = RunPonder({"train", "--resume", run});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string whole = Run(Config("whole", ColdStart() + Grpo(20)));
  EXPECT_TRUE(NewestWeights(run) == NewestWeights(whole));
}

}  // namespace
}  // namespace ponder
