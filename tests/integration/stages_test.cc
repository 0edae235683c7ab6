// Stages and options of a run, by what they leave behind.

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/ponder_process.h"
#include "tests/support/tiny_run.h"

namespace ponder {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Lt;
using ::testing::Not;
using ::testing::SizeIs;

class StagesTest : public TinyRunTest {
 protected:
  std::string EvalData() const {
    return absl::StrCat("eval_data { name: \"tiny\" path: \"",
                        folder_.File("tiny.jsonl"), "\" }\n");
  }

  static std::vector<Json> JsonLines(const std::string& path) {
    std::vector<Json> lines;
    for (const absl::string_view line :
         absl::StrSplit(Bytes(path), '\n', absl::SkipEmpty())) {
      lines.push_back(Json::parse(line.begin(), line.end(), nullptr,
                                  /*allow_exceptions=*/false));
    }
    return lines;
  }

  static std::string StartWeights(const std::string& run) {
    return Bytes(run + "/checkpoints/step_60/model.safetensors");
  }
};

TEST_F(StagesTest, TwoUpdatesAStep) {
  const std::string one = Run(Config("one", ColdStart() + Grpo(4)));
  const std::string two =
      Run(Config("two", ColdStart() + Grpo(4, "updates_per_step: 2")));
  // The first samples are the same, what is made of them is not.
  EXPECT_EQ(Series(ReadMetrics(one, "grpo"), "critic/rewards/mean")[0],
            Series(ReadMetrics(two, "grpo"), "critic/rewards/mean")[0]);
  EXPECT_FALSE(NewestWeights(one) == NewestWeights(two));
  EXPECT_THAT(Series(ReadMetrics(two, "grpo"), "rollout_corr/max_abs_diff"),
              ElementsAre(0, 0, 0, 0));
}

TEST_F(StagesTest, KlToTheStagesFirstPolicy) {
  const std::string run =
      Run(Config("kl", ColdStart() + Grpo(5, "kl_coef: 0.5")));
  const std::vector<double> kl =
      Series(ReadMetrics(run, "grpo"), "actor/kl_loss");
  ASSERT_THAT(kl, SizeIs(5));
  EXPECT_EQ(kl[0], 0);
  EXPECT_THAT(kl, Each(Ge(0)));
  EXPECT_GT(kl.back(), 0);
}

// Plain text: prompts are learned too, and what is longer than a prompt and its
// response is cut, not refused.
TEST_F(StagesTest, PretrainsOnTextOfAnyLength) {
  std::string rows;
  for (int i = 0; i < 12; ++i) {
    std::string text;
    for (int j = 0; j < 30; ++j) absl::StrAppend(&text, "pick ", i + j, "; ");
    absl::StrAppend(&rows, "{\"text\": \"", text, "\"}\n");
  }
  TinyConfig config = Config("text", R"(stage {
  pretrain {
    steps: 30 batch_size: 4
    optimizer { learning_rate: 1e-2 warmup_steps: 3 beta2: 0.98 }
  }
}
)");
  config.data_path = folder_.Write("text.jsonl", rows);
  const std::string run = Run(config);
  EXPECT_EQ(ReadJson(run + "/summary.json")["stages"][0]["kind"], "pretrain");
  const std::vector<Json> metrics = ReadMetrics(run, "pretrain");
  const std::vector<double> loss = Series(metrics, "train/loss");
  ASSERT_THAT(loss, SizeIs(30));
  EXPECT_LT(loss.back(), 0.5 * loss.front());
  // A row without a text is found before the first step.
  config.name = "empty";
  config.data_path = folder_.Write(
      "empty.jsonl", rows + "{\"id\": \"last\", \"prompt\": \"x\"}\n");
  const PonderResult empty = RunPonder(Arguments(config));
  EXPECT_EQ(empty.exit_code, 1);
  EXPECT_THAT(empty.err, HasSubstr("empty.jsonl:13: has nothing to learn"));
  EXPECT_FALSE(std::filesystem::exists(RunFolder("empty")));

  // Four texts of 240 to 270 bytes, in pieces of at most 38 tokens.
  EXPECT_THAT(Series(metrics, "perf/total_num_tokens"),
              Each(AllOf(Ge(960), Le(1200))));
}

// What no stage could use is found before the first one runs.
TEST_F(StagesTest, RowsThatAStageCannotUse) {
  const auto refused = [&](const std::string& rows, const std::string& stages,
                           const std::string& wanted) {
    TinyConfig config = Config("refused", stages);
    config.data_path = folder_.Write("rows.jsonl", rows);
    const PonderResult result = RunPonder(Arguments(config));
    EXPECT_EQ(result.exit_code, 1) << wanted;
    EXPECT_THAT(result.err, HasSubstr(wanted));
    EXPECT_FALSE(std::filesystem::exists(RunFolder("refused")));
  };
  refused("{\"prompt\": \"pick 1\", \"anwser\": \"1\"}\n", Grpo(1),
          "none of its 1 rows has an answer or tests");
  refused(TinyProblems(2) + "{\"text\": \"hello\"}\n", Grpo(1),
          "rows.jsonl:3: has no prompt to sample from");
  refused(TinyProblems(2) + "{\"prompt\": \"x\", \"answer\": \"1\"}\n",
          ColdStart(2), "rows.jsonl:3: has nothing to learn from");
}

// Examples are never cut: they are counted before the first step, and refused
// or left out.
TEST_F(StagesTest, ExamplesThatAreTooLongAreCounted) {
  std::string rows = TinyProblems(10);
  for (const char* id : {"long", "longer"}) {
    absl::StrAppend(&rows, "{\"id\": \"", id,
                    "\", \"prompt\": \"pick 1\", \"answer\": \"1\", "
                    "\"response\": \"",
                    std::string(id == std::string("long") ? 40 : 60, 'x'),
                    "\"}\n");
  }
  TinyConfig config = Config("refused", ColdStart(3));
  config.data_path = folder_.Write("rows.jsonl", rows);
  const PonderResult refused = RunPonder(Arguments(config));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(
      refused.err,
      HasSubstr("data set tiny: 2 of 12 examples are longer than "
                "prompt.max_prompt_tokens and prompt.max_response_tokens "
                "together (38), the longest has 68 tokens (row longer)"));
  EXPECT_TRUE(ReadMetrics(RunFolder("refused")).empty());

  config.name = "dropped";
  std::vector<std::string> arguments = Arguments(config);
  arguments.insert(arguments.end(), {"--set", "prompt.overlong=drop"});
  const PonderResult dropped = RunPonder(arguments);
  EXPECT_EQ(dropped.exit_code, 0) << dropped.err;
  EXPECT_THAT(dropped.err, HasSubstr("(row longer); they are left out"));
}

// What would stop the run after its first stage stops it before.
TEST_F(StagesTest, HeldOutProblemsAreLookedAtFirst) {
  std::string stage = ColdStart(3);
  stage.replace(stage.find("evaluate: false"), 15, "evaluate: true");
  TinyConfig config = Config("held_out", stage);
  const std::string path = folder_.Write(
      "held_out.jsonl", absl::StrCat("{\"prompt\": \"", std::string(50, 'x'),
                                     "\", \"answer\": \"1\"}\n"));
  for (const auto& [file, wanted] :
       {std::pair<std::string, std::string>{path, "1 of 1 prompts are longer"},
        {"$RUN/data/typo.jsonl", "but no earlier stage writes it"}}) {
    config.more =
        absl::StrCat("eval_data { name: \"tiny\" path: \"", file, "\" }\n");
    const PonderResult result = RunPonder(Arguments(config));
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, HasSubstr(wanted));
    EXPECT_TRUE(ReadMetrics(RunFolder("held_out")).empty());
    std::filesystem::remove_all(RunFolder("held_out"));
  }
}

TEST_F(StagesTest, TimesAndUtilisationOfTheParts) {
  const std::string run = Run(
      Config("parts", ColdStart(10) + Grpo(3, "kl_coef: 0.1 decoupled: true")));
  const auto positive = [](const std::vector<Json>& metrics,
                           const std::string& name, double most) {
    EXPECT_THAT(Series(metrics, name), Each(AllOf(Gt(0), Lt(most)))) << name;
  };
  const std::vector<Json> metrics = ReadMetrics(run, "grpo");
  for (const char* part : {"old_log_prob", "ref", "adv", "update_actor"}) {
    positive(metrics, absl::StrCat("timing_s/", part), 60);
  }
  positive(metrics, "timing_per_token_ms/gen", 1000);
  positive(metrics, "timing_per_token_ms/update_actor", 1000);
  // So small a policy is far from what products can do.
  positive(metrics, "perf/mfu/actor", 1);
  positive(metrics, "perf/mfu/actor_infer", 1);
  positive(ReadMetrics(run, "cold_start"), "perf/mfu/actor", 1);
  for (const Json& line : metrics) {
    EXPECT_FALSE(line.contains("timing_s/update_critic"));
  }
}

// Every response is cut at the limit: wrong without the option, and then a
// group has no spread; left out with it. Neither says which way to go.
TEST_F(StagesTest, TruncatedSamplesAreMasked) {
  for (const bool mask : {false, true}) {
    TinyConfig config = Config(
        mask ? "masked" : "counted",
        ColdStart() + Grpo(3, absl::StrCat("optimizer { learning_rate: 1e-3 "
                                           "weight_decay: 0 } mask_truncated: ",
                                           mask ? "true" : "false")));
    std::vector<std::string> arguments = Arguments(config);
    arguments.insert(arguments.end(),
                     {"--set", "prompt.max_response_tokens=4"});
    const PonderResult result = RunPonder(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const std::string run = RunFolder(config.name);
    EXPECT_TRUE(StartWeights(run) == NewestWeights(run));
    const std::vector<Json> metrics = ReadMetrics(run, "grpo");
    EXPECT_THAT(Series(metrics, "response_length/clip_ratio"),
                ElementsAre(1, 1, 1));
    EXPECT_THAT(Series(metrics, "reward/correct_frac"), ElementsAre(0, 0, 0));
    EXPECT_THAT(Series(metrics, "actor/pg_loss"), ElementsAre(0, 0, 0));
  }
}

// Some are cut, some are not: those that are not still teach.
TEST_F(StagesTest, SomeTruncatedSamplesAreMasked) {
  TinyConfig config =
      Config("masked", ColdStart(25) + Grpo(4, "mask_truncated: true"));
  std::vector<std::string> arguments = Arguments(config);
  arguments.insert(arguments.end(), {"--set", "prompt.max_response_tokens=10"});
  const PonderResult result = RunPonder(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<Json> metrics = ReadMetrics(RunFolder("masked"), "grpo");
  EXPECT_THAT(Series(metrics, "response_length/clip_ratio"),
              Contains(AllOf(Gt(0), Lt(1))));
  EXPECT_THAT(Series(metrics, "rollout_corr/max_abs_diff"), Each(0));
  EXPECT_THAT(Series(metrics, "actor/grad_norm"), Contains(Gt(0)));
}

// Each component has its curves, and the reward is their weighted sum.
TEST_F(StagesTest, ComponentsOfTheReward) {
  TinyConfig config = Config("components", ColdStart() + Grpo(3));
  config.more = R"(
reward {
  component { name: "accuracy" }
  component { name: "length" weight: 0.5 length { cache_tokens: 8 } }
  component { name: "repetition" weight: 0.25 repetition { ngram_words: 1 } }
  component { name: "language" weight: 0 language { target: "en" } }
}
)";
  const std::string run = Run(config);
  const std::vector<Json> metrics = ReadMetrics(run, "grpo");
  const auto series = [&](const std::string& name) {
    return Series(metrics, name);
  };
  const std::vector<double> rewards = series("critic/rewards/mean");
  ASSERT_THAT(rewards, SizeIs(3));
  for (size_t i = 0; i < rewards.size(); ++i) {
    EXPECT_NEAR(rewards[i],
                series("rewards/accuracy/mean")[i] +
                    0.5 * series("rewards/length/mean")[i] +
                    0.25 * series("rewards/repetition/mean")[i],
                1e-9);
  }
  EXPECT_THAT(series("rewards/length/mean"), Each(AllOf(Ge(-1), Le(0))));
  EXPECT_THAT(series("rewards/language/mean"), Each(AllOf(Ge(0), Le(1))));
  EXPECT_THAT(series("rewards/repetition/unscorable_frac"), Each(0));
  EXPECT_EQ(series("rewards/accuracy/mean"), series("reward/correct_frac"));
  EXPECT_THAT(series("reward/beyond_limits_frac"), SizeIs(3));
  EXPECT_THAT(series("rewards/length/latency_s/p99"), Each(Ge(0)));
}

TEST_F(StagesTest, EvaluatesAtStepZeroAndEverySoManySteps) {
  TinyConfig config =
      Config("run", ColdStart() + Grpo(5, "eval_every: 2", /*evaluate=*/true));
  config.more = EvalData();
  const std::string run = Run(config);
  std::vector<int> steps;
  for (const Json& line : ReadMetrics(run, "grpo")) {
    if (!line.contains("val-core/tiny/acc_strict")) continue;
    steps.push_back(line["step"].get<int>());
    EXPECT_THAT(line["val-core/tiny/avg@2"].get<double>(), AllOf(Ge(0), Le(1)));
  }
  EXPECT_THAT(steps, ElementsAre(60, 62, 64, 65));
}

// A problem that is drawn twice has one pass rate; 0 prompts are every row.
TEST_F(StagesTest, PassRatesAreOfProblems) {
  for (const int prompts : {72, 0}) {
    SCOPED_TRACE(prompts);
    const std::string run = Run(Config(
        absl::StrCat("rates", prompts),
        absl::StrCat(ColdStart(),
                     "stage { name: \"samples\" sample { prompts: ", prompts,
                     " samples_per_prompt: 3 } }\n")));
    const size_t rows = JsonLines(folder_.File("tiny.jsonl")).size();
    const std::vector<Json> rates =
        JsonLines(run + "/samples/pass_rates.jsonl");
    ASSERT_THAT(rates, SizeIs(rows));
    std::map<std::string, double> right, samples;
    for (const Json& line : JsonLines(run + "/samples/samples.jsonl")) {
      right[line["problem"]] += line["verdict"] == "CORRECT";
      samples[line["problem"]] += 1;
    }
    for (const Json& rate : rates) {
      const std::string id = rate["id"];
      EXPECT_EQ(rate["samples"], samples[id]);
      EXPECT_DOUBLE_EQ(rate["pass_rate"].get<double>(),
                       right[id] / samples[id]);
    }
  }
}

TEST_F(StagesTest, SampleStage) {
  const std::string run = Run(Config("run", absl::StrCat(ColdStart(), R"(
stage {
  name: "samples"
  sample { prompts: 7 samples_per_prompt: 3 path: "$RUN/samples/out.jsonl" }
}
)")));
  const std::vector<Json> lines = JsonLines(run + "/samples/out.jsonl");
  ASSERT_THAT(lines, SizeIs(21));
  std::set<std::string> ids;
  for (const Json& line : lines) {
    ids.insert(line["id"].get<std::string>());
    EXPECT_THAT(line["prompt"].get<std::string>(), HasSubstr("pick "));
    const bool right = line["verdict"] == "CORRECT";
    EXPECT_EQ(line["reward"], right ? 1.0 : 0.0);
    EXPECT_EQ(line.value("finish_reason", ""),
              line["tokens"] == 14 ? "length" : "stop");
  }
  EXPECT_THAT(ids, SizeIs(21));
}

TEST_F(StagesTest, ExportLoadsAgainWithTheSameAccuracy) {
  TinyConfig first =
      Config("first", ColdStart() + Grpo(4, "", /*evaluate=*/true));
  first.more = EvalData();
  first.eval_samples = 4;
  const Json summary = ReadJson(Run(first) + "/summary.json");

  TinyConfig second = Config("second", "stage { eval {} }\n");
  second.more = EvalData();
  second.eval_samples = 4;
  second.policy = absl::StrCat("path: \"", RunFolder("first"), "/export\"");
  const Json again = ReadJson(Run(second) + "/summary.json");
  EXPECT_EQ(again["stages"][0]["accuracy"], summary["stages"][1]["accuracy"]);
  EXPECT_EQ(again["stages"][0]["kind"], "eval");

  EXPECT_TRUE(Bytes(RunFolder("first") + "/export/model.safetensors") ==
              NewestWeights(RunFolder("first")));
}

TEST_F(StagesTest, SummaryHasWhatIsPromised) {
  TinyConfig config =
      Config("run", ColdStart() + Grpo(2, "", /*evaluate=*/true));
  config.more = EvalData();
  config.eval_samples = 3;
  const std::string run = Run(config);
  const Json summary = ReadJson(run + "/summary.json");
  ASSERT_THAT(summary["stages"], SizeIs(2));
  EXPECT_EQ(summary["stages"][0]["name"], "cold_start");
  EXPECT_EQ(summary["stages"][0]["kind"], "sft");
  const Json& stage = summary["stages"][1];
  EXPECT_EQ(stage["name"], "grpo");
  EXPECT_EQ(stage["kind"], "grpo");
  for (const char* field : {"seconds", "tokens", "cost", "response_length"}) {
    EXPECT_GT(stage[field].get<double>(), 0) << field;
  }
  for (const char* field : {"greedy", "avg@3", "pass@3"}) {
    EXPECT_THAT(stage["accuracy"]["tiny"][field].get<double>(),
                AllOf(Ge(0), Le(1)))
        << field;
  }
  EXPECT_GT(summary["seconds"]["total"].get<double>(),
            stage["seconds"].get<double>());
  EXPECT_TRUE(std::filesystem::exists(
      absl::StrCat(summary["checkpoint"].get<std::string>(), "/config.json")));
  // 2 steps of 6 prompts with 4 samples.
  EXPECT_EQ(stage["samples"], 48);
  for (const char* file : {"config.textproto", "metrics.jsonl",
                           "samples/grpo.jsonl", "logs/reward_server.log",
                           "logs/worker_1.log", "checkpoints/step_62/MANIFEST",
                           "export/config.json", "export/tokenizer.json"}) {
    EXPECT_TRUE(std::filesystem::exists(absl::StrCat(run, "/", file))) << file;
  }
}

TEST_F(StagesTest, ExistingRunIsRefused) {
  const TinyConfig config = Config("run", ColdStart(2));
  const std::string run = Run(config);
  const std::string summary = Bytes(run + "/summary.json");
  const PonderResult again = RunPonder(Arguments(config));
  EXPECT_GT(again.exit_code, 0);
  EXPECT_THAT(again.err, AllOf(HasSubstr(run), HasSubstr("--resume")));
  EXPECT_EQ(Bytes(run + "/summary.json"), summary);
}

TEST_F(StagesTest, DryRunPlansAndWritesNothing) {
  const TinyConfig config = Config("run", ColdStart() + Grpo(2));
  std::vector<std::string> arguments = Arguments(config);
  arguments.push_back("--dry-run");
  const PonderResult result = RunPonder(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("learning_rate"), HasSubstr("28960 parameters"),
                    HasSubstr("GiB"), HasSubstr("step")));
  EXPECT_FALSE(std::filesystem::exists(RunFolder("run")));
}

// The same rows under the names that other trainers use.
// The recipes for real models, with random weights and a row of data: they are
// planned, also where this machine is too small for them.
TEST_F(StagesTest, DryRunPlansEveryRecipe) {
  const std::string row =
      folder_.Write("row.jsonl", R"({"prompt": "1+1?", "answer": "2"})"
                                 "\n");
  int num_recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator("configs")) {
    const std::string path = entry.path().string();
    SCOPED_TRACE(path);
    std::vector<std::string> arguments = {
        "train", "--config", path, "--dry-run", "--set", "policy.init=RANDOM"};
    if (absl::StrContains(path, "qwen2.5")) {
      arguments.insert(arguments.end(), {"--set", "data.path=" + row});
    }
    const PonderResult result = RunPonder(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, AllOf(HasSubstr(" parameters"), HasSubstr("GiB")));
    ++num_recipes;
  }
  EXPECT_GE(num_recipes, 9);
}

TEST_F(StagesTest, FieldNamesOfOtherTrainers) {
  struct Names {
    const char* trainer;
    const char* row;  // ID and ANSWER are put in.
  };
  const Names all[] = {
      {"trl", R"({"prompt": "pick ID", "completion": "\\boxed{ANSWER}",)"
              R"( "ground_truth": "ANSWER"})"},
      {"trl_messages",
       R"({"prompt": [{"role": "user", "content": "pick ID"}], "completion":)"
       R"( [{"role": "assistant", "content": "\\boxed{ANSWER}"}],)"
       R"( "solution": "\\boxed{ANSWER}"})"},
      {"verl",
       R"({"data_source": "tiny", "prompt": [{"role": "user", "content":)"
       R"( "pick ID"}], "ability": "math", "reward_model": {"style": "rule",)"
       R"( "ground_truth": "ANSWER"}, "extra_info": {"index": ID},)"
       R"( "response": "\\boxed{ANSWER}"})"},
      {"gsm8k", R"({"question": "pick ID", "answer": "It is.\n#### ANSWER"})"},
  };
  for (const Names& names : all) {
    std::string rows;
    for (int i = 0; i < 12; ++i) {
      std::string row = names.row;
      for (const auto& [from, to] :
           {std::pair<std::string, int>{"ID", i}, {"ANSWER", 1 + i % 3}}) {
        for (size_t at = row.find(from); at != std::string::npos;
             at = row.find(from)) {
          row.replace(at, from.size(), absl::StrCat(to));
        }
      }
      absl::StrAppend(&rows, row, "\n");
    }
    TinyConfig config = Config(names.trainer, ColdStart(8) + Grpo(1));
    config.data_path =
        folder_.Write(absl::StrCat(names.trainer, ".jsonl"), rows);
    std::vector<std::string> arguments = Arguments(config);
    arguments.insert(arguments.end(),
                     {"--set", "prompt.max_response_tokens=24"});
    const PonderResult result = RunPonder(arguments);
    EXPECT_EQ(result.exit_code, 0) << names.trainer << ": " << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("12 of 12 score 1"),
                                  HasSubstr("pick 0\n"), Not(HasSubstr("[{"))))
        << names.trainer;
  }
}

}  // namespace
}  // namespace ponder
