// Subcommands around a run: export, chat, doctor, verify data.

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ponder_process.h"
#include "tests/support/tiny_run.h"

namespace ponder {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// A command that fails says so in one line on standard error.
void ExpectRefused(const std::vector<std::string>& arguments,
                   const std::string& part) {
  const PonderResult result = RunPonder(arguments);
  EXPECT_EQ(result.exit_code, 1) << result.out;
  EXPECT_THAT(result.err,
              AllOf(StartsWith("ponder: "), HasSubstr(part), EndsWith("\n")));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1)
      << result.err;
}

class CommandsTest : public TinyRunTest {
 protected:
  std::string FinishedRun() { return Run(Config("run", ColdStart(3))); }
};

TEST_F(CommandsTest, ExportWritesEveryTypeOfARunAndOfACheckpoint) {
  const std::string run = FinishedRun();
  struct Case {
    std::string from, type, dtype;
  };
  for (const Case& c :
       {Case{run, "f32", "float32"}, Case{run, "bf16", "bfloat16"},
        Case{run + "/checkpoints/step_3", "f16", "float16"}}) {
    const std::string out = folder_.File("export_" + c.type);
    const PonderResult result =
        RunPonder({"export", c.from, "--type", c.type, "--out", out});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, AllOf(HasSubstr("wrote " + out),
                                  HasSubstr("from_pretrained('" + out)));
    EXPECT_EQ(ReadJson(out + "/config.json")["torch_dtype"], c.dtype);
    EXPECT_TRUE(fs::exists(out + "/tokenizer.json"));
    EXPECT_TRUE(fs::exists(out + "/model.safetensors"));
    EXPECT_FALSE(fs::exists(out + "/trainer_state"));
  }
  EXPECT_TRUE(Bytes(folder_.File("export_f32/model.safetensors")) ==
              Bytes(run + "/checkpoints/step_3/model.safetensors"));
  EXPECT_LT(fs::file_size(folder_.File("export_bf16/model.safetensors")),
            fs::file_size(folder_.File("export_f32/model.safetensors")));
}

TEST_F(CommandsTest, ExportOfARunThatStillGoesOn) {
  TinyConfig config = Config("run", ColdStart(100000));
  config.more = "checkpoint { every_steps: 5 }";
  PonderProcess process(Arguments(config));
  ASSERT_TRUE(WaitUntil([&] {
    return !process.Running() || !CheckpointSteps(RunFolder("run")).empty();
  }));
  const std::string out = folder_.File("out");
  const PonderResult result =
      RunPonder({"export", RunFolder("run"), "--out", out});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("/checkpoints/step_"));
  EXPECT_TRUE(fs::exists(out + "/model.safetensors"));
  EXPECT_TRUE(process.Running()) << process.StandardError();
}

TEST_F(CommandsTest, TokenizeRefusesIdsThatAreNone) {
  const std::string folder = FinishedRun() + "/export";
  for (const char* ids : {"[-1, 3]", "[1, 320]", "[4294967297]"}) {
    ExpectRefused(
        {"tokenize", folder, "--in",
         folder_.Write("ids.jsonl", absl::StrCat("{\"ids\": ", ids, "}\n"))},
        "is outside the vocabulary of 320");
  }
}

TEST_F(CommandsTest, ExportForLlamaCpp) {
  const std::string run = FinishedRun();
  const std::string out = folder_.File("policy.gguf");
  const PonderResult result =
      RunPonder({"export", run, "--format", "gguf", "--out", out});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("wrote " + out));
  EXPECT_EQ(Bytes(out).substr(0, 4), "GGUF");
  const std::string weights = run + "/export/model.safetensors";
  EXPECT_GT(fs::file_size(out), fs::file_size(weights) / 2);
  ExpectRefused({"export", run, "--format", "gguf", "--out", out},
                "is there already");
}

TEST_F(CommandsTest, ExportRefusesInASentenceAndLeavesNothing) {
  const std::string run = FinishedRun();
  const std::string out = folder_.File("out");
  ExpectRefused(
      {"export", run, "--format", "gguf", "--type", "q5_1", "--out", out},
      "q5_1");
  ExpectRefused({"export", run, "--type", "q8_0", "--out", out},
                "a Hugging Face folder holds f32, f16 or bf16");
  ExpectRefused({"export", folder_.path(), "--out", out},
                "is neither a policy");
  ExpectRefused({"export", run, "--out", run}, "exists");
  const std::string weights = run + "/checkpoints/step_3/model.safetensors";
  fs::resize_file(weights, fs::file_size(weights) - 1);
  ExpectRefused({"export", run + "/checkpoints/step_3", "--out", out}, weights);
  EXPECT_FALSE(fs::exists(out));
  EXPECT_THAT(HalfWritten(folder_.path()), IsEmpty());
}

TEST_F(CommandsTest, ChatAnswersTheSameToTheSameSeed) {
  const std::string run = FinishedRun();
  const auto ask = [&](const std::string& from, const std::string& seed) {
    const PonderResult result =
        RunPonder({"chat", from, "--prompt", "pick 3", "--max-tokens", "12",
                   "--seed", seed});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  EXPECT_EQ(ask(run, "1"), ask(run + "/export", "1"));
  EXPECT_NE(ask(run, "1"), ask(run, "2"));
  const PonderResult quantized =
      RunPonder({"chat", run, "--prompt", "pick 3", "--temperature", "0",
                 "--weights", "q8_0"});
  EXPECT_EQ(quantized.exit_code, 0) << quantized.err;
  EXPECT_THAT(quantized.err, HasSubstr("as q8_0 on cpu"));
  EXPECT_FALSE(quantized.out.empty());
  ExpectRefused(
      {"chat", run, "--prompt", "x", "--weights", "q8_0", "--device", "cuda"},
      "q8_0 is for the CPU");
  ExpectRefused({"chat", folder_.path(), "--prompt", "x"},
                "is neither a policy");
}

TEST_F(CommandsTest, TemplateRunsTheChatTemplateOfACheckpoint) {
  const std::string folder = folder_.File("chatty");
  fs::create_directory(folder);
  folder_.Write("chatty/config.json", "{}");
  const std::string lines =
      folder_.Write("chatty/in.jsonl",
                    R"({"messages": [{"role": "user", "content": "1+1?"}],)"
                    R"( "add_generation_prompt": true})"
                    "\n"
                    R"({"messages": [{"role": "user"}]})"
                    "\n");
  ExpectRefused({"template", folder, "--in", lines}, "has no chat template");
  folder_.Write("chatty/chat_template.jinja",
                "{% for m in messages %}\n<{{ m.role }}>{{ m.content + '|' }}"
                "{% endfor %}{{ '<think>' if add_generation_prompt }}");
  const PonderResult result = RunPonder({"template", folder, "--in", lines});
  EXPECT_EQ(result.out, "{\"text\":\"<user>1+1?|<think>\"}\n");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, absl::StrCat("ponder: ", lines,
                                     ":2: chat_template.jinja:2: dict has no "
                                     "key 'content'\n"));
}

TEST_F(CommandsTest, DoctorLooksAtAModel) {
  const PonderResult result =
      RunPonder({"doctor", "--model", FinishedRun() + "/export"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("qwen2, 2 layers of 32"),
                                HasSubstr("F32"), HasSubstr("259 ids"),
                                HasSubstr("50.00 % of the 256 of plain")));
  ExpectRefused({"doctor", "--model", "tests/parity/golden/models/qwen2"},
                "tokenizer.json is missing");
}

TEST_F(CommandsTest, DoctorLooksAtTheMachine) {
  const PonderResult result = RunPonder({"doctor"});
  // Not every machine that runs tests can isolate programs.
  EXPECT_TRUE(result.exit_code == 0 || result.exit_code == 1);
  for (const char* part : {"processor", "memory", "disk", "LibTorch", "GPU",
                           "sandbox", "learner", "Missing"}) {
    EXPECT_THAT(result.out, HasSubstr(part));
  }
}

TEST_F(CommandsTest, EvalWithoutAConfiguration) {
  const std::string run = FinishedRun();
  const std::vector<std::string> arguments = {
      "eval",
      "--policy",
      run + "/export",
      "--data",
      folder_.File("tiny.jsonl"),
      "--set",
      absl::StrCat("runs_dir=", folder_.File("runs"))};
  // The policy has fewer positions than the defaults want, and the second time
  // the first result stays.
  for (const char* name : {"eval", "eval-2"}) {
    const PonderResult result = RunPonder(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(fs::exists(
        folder_.File(absl::StrCat("runs/", name, "/eval/eval.jsonl"))));
    EXPECT_THAT(result.err, Not(HasSubstr("ponder view")));
  }
  const std::string first = folder_.File("runs/eval");
  const PonderResult compared =
      RunPonder({"eval", "--compare", first, folder_.File("runs/eval-2")});
  EXPECT_EQ(compared.exit_code, 0) << compared.err;
  EXPECT_THAT(compared.out,
              StartsWith(absl::StrCat("A  ", first, "/eval/eval.jsonl\nB  ")));
  ExpectRefused({"eval", "--compare", folder_.File("none"), first},
                "wanted a run, or a file RUN/eval/NAME.jsonl");
}

TEST_F(CommandsTest, AWordThatIsNoCommandIsNamed) {
  const PonderResult result = RunPonder({"trian", "--config", "x"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err,
            "ponder: no command is named \"trian\"; did you mean \"train\"?\n");
}

TEST_F(CommandsTest, VerifyDataCountsAndNamesWhatFails) {
  const std::string good = folder_.File("tiny.jsonl");
  PonderResult result = RunPonder({"verify", "data", good});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "gold answers of tiny: 36 of 36 score 1\n");

  const std::string bad = folder_.Write(
      "bad.jsonl", R"({"id": "fine", "prompt": "1+1", "answer": "2"})"
                   "\n"
                   R"({"id": "broken", "prompt": "?", "answer": "#### "})"
                   "\n");
  result = RunPonder({"verify", "data", bad});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("1 of 2 score 1"));
  EXPECT_THAT(result.out, HasSubstr("bad.jsonl: line 2, row broken: "));
  EXPECT_THAT(result.err, HasSubstr("row broken"));

  const std::string config = Arguments(Config("run", ColdStart(1))).back();
  result = RunPonder(
      {"verify", "data", "--config", config, "--set", "data.path=" + bad});
  EXPECT_EQ(result.exit_code, 1);
  ExpectRefused({"verify", "data"}, "give either FILE");
  ExpectRefused({"verify", "data", folder_.File("none.jsonl")}, "none.jsonl");
}

}  // namespace
}  // namespace ponder
