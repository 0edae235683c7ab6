#include "proto/text_config.h"

#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kGood[] = R"(
name: "small"
policy { init: RANDOM }
data { path: "a/train.jsonl" }
data { name: "code" path: "code.jsonl" weight: 2 }
eval_data { path: "test.jsonl" }
stage { name: "cold_start" sft { steps: 5 } }
stage { grpo { steps: 7 optimizer { learning_rate: 1e-4 } data: "train" } }
stage {
  name: "control"
  init_from: "cold_start"
  sft { seconds_of_stage: "grpo" }
}
)";

class TextConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(testing::TempDir(), "/text_config_", getpid());
    ASSERT_TRUE(MakeFolders(folder_).ok());
    path_ = folder_ + "/c.textproto";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<RunConfig> Load(const std::string& text,
                                 const std::vector<std::string>& settings) {
    EXPECT_TRUE(WriteFileAtomically(path_, text).ok());
    return LoadRunConfig(path_, settings);
  }

  // The error without the file's name in front.
  std::string Error(const std::string& text,
                    const std::vector<std::string>& settings = {}) {
    const auto config = Load(text, settings);
    if (config.ok()) return "no error";
    const std::string message(config.status().message());
    if (message.rfind(path_ + ":", 0) != 0) return message;
    return message.substr(path_.size() + 1);
  }

  std::string folder_;
  std::string path_;
};

TEST_F(TextConfigTest, LoadsAGoodFile) {
  const auto config = Load(kGood, {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->stage(1).grpo().steps(), 7);
  EXPECT_EQ(StageName(config->stage(1)), "grpo");
  EXPECT_EQ(StageName(config->stage(2)), "control");
  EXPECT_EQ(StageKind(config->stage(2)), "sft");
  EXPECT_EQ(DataSetName(config->data(0)), "train");
  EXPECT_EQ(DataSetName(config->data(1)), "code");
}

TEST_F(TextConfigTest, NamesFileLineColumnAndNearestField) {
  EXPECT_EQ(Error("stage {\n  grpo { prompt_per_step: 3 }\n}"),
            "2:25: no field named \"prompt_per_step\" in GrpoStage; did you "
            "mean \"prompts_per_step\"?");
  EXPECT_EQ(Error("stage {\n  grpo { group_per_step: 3 }\n}"),
            "2:24: no field named \"group_per_step\" in GrpoStage; did you "
            "mean \"prompts_per_step\"?");
  EXPECT_THAT(Error("stage { grpo { learning_rate: 1 } }"),
              EndsWith("did you mean \"optimizer.learning_rate\"?"));
  EXPECT_THAT(Error("qqqqqqqqq: 1"), HasSubstr("known: name, runs_dir, seed"));
}

TEST_F(TextConfigTest, NamesWrongTypesAndEnumValues) {
  EXPECT_EQ(Error("policy { init: RANDON }"),
            "1:16: no Init is named \"RANDON\"; did you mean \"RANDOM\"?");
  EXPECT_THAT(Error("seed: \"x\""), StartsWith("1:7: Expected integer"));
  EXPECT_THAT(Error("seed: -1"), StartsWith("1:7: "));
  EXPECT_THAT(Error("seed: 1 seed: 2"), HasSubstr("multiple times"));
  EXPECT_THAT(Error("policy {"), HasSubstr("1:9: "));
}

TEST_F(TextConfigTest, MissingFileIsNamed) {
  const auto config = LoadRunConfig(folder_ + "/none", {});
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("/none"));
}

TEST_F(TextConfigTest, ValuesOutOfRangeHaveAPosition) {
  std::string text = kGood;
  text.replace(text.find("steps: 7"), 8, "steps: 7 samples_per_prompt: 1");
  EXPECT_EQ(Error(text),
            "8:25: stage[1].grpo.samples_per_prompt: 1; wanted at least 2; an "
            "advantage is relative to the rest of its group");
  // A value that is not given has the position of what is around it.
  EXPECT_EQ(Error("policy { init: RANDOM } data { path: \"a\" }\n"
                  "stage { pretrain { batch_size: 0 } }"),
            "2:20: stage[0].pretrain.batch_size: 0; wanted at least 1");
  EXPECT_THAT(Error("data { weight: 1 }"),
              StartsWith("1:1: data[0].path: missing"));
}

TEST_F(TextConfigTest, AppliesSettings) {
  const auto config =
      Load(kGood, {"seed=9", "policy.init=random", "policy.dtype=BFLOAT16",
                   "data[0].path=b.jsonl", "data[code].weight=0.5",
                   "eval_data.limit=3", "stage[1].grpo.steps=11",
                   "stage[control].sft.steps=12",
                   "stage[grpo].grpo.data=b,code", "stage[0].evaluate=false",
                   "prompt.suffix=\n a=b, c", "device=CUDA"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->seed(), 9);
  EXPECT_EQ(config->policy().dtype(), PolicyConfig::BFLOAT16);
  EXPECT_EQ(config->data(0).path(), "b.jsonl");
  EXPECT_EQ(config->data(1).weight(), 0.5);
  EXPECT_EQ(config->eval_data(0).limit(), 3);
  EXPECT_EQ(config->stage(1).grpo().steps(), 11);
  EXPECT_EQ(config->stage(2).sft().steps(), 12);
  EXPECT_EQ(config->stage(1).grpo().data_size(), 2);
  EXPECT_FALSE(config->stage(0).evaluate());
  EXPECT_EQ(config->prompt().suffix(), "\n a=b, c");
  EXPECT_EQ(config->device(), Device::cuda);
}

TEST_F(TextConfigTest, SettingMakesTheOnlyElement) {
  const auto config =
      LoadRunConfig("", {"policy.init=random", "data.path=x.jsonl"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->data(0).path(), "x.jsonl");
}

TEST_F(TextConfigTest, WrongSettingsSayWhy) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"seed", "no \"=\""},
      {"sede=1", "did you mean \"seed\"?"},
      {"seed=x", "\"x\" is not a 64-bit integer"},
      {"data.path=x", "there are 2 of data; say which, e.g. data[train]"},
      {"data[7].path=x", "data has 2 elements"},
      {"data[cod].path=x", "did you mean \"code\"?"},
      {"data[0=x", "no \"]\""},
      {"policy.init=randon", "did you mean \"RANDOM\"?"},
      {"policy=x", "set one of its fields: path, init"},
      {"policy[0].init=random", "exists only once"},
      {"seed.x=1", "has no field \"x\""},
      {"stage[grpo].sft.steps=1", "\"grpo\" holds grpo, not sft"},
      {"stage[0].evaluate=maybe", "is not true or false"},
      {"stage[1].grpo.data=cod", "did you mean \"code\"?"},
      {"stage[1].grpo.temperature=0", "wanted more than 0"},
      {"stage[1].grpo.temperature=nan", "wanted more than 0"},
  };
  for (const auto& [setting, want] : cases) {
    const std::string error = Error(kGood, {setting});
    EXPECT_THAT(error, HasSubstr(want)) << setting;
    if (setting != "stage[1].grpo.data=cod") {
      EXPECT_THAT(error, StartsWith("--set " + setting)) << setting;
    }
  }
}

TEST_F(TextConfigTest, RulesForEveryNumber) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"name=a/b", "name: \"a/b\""},
      {"name=..", "plain name"},
      {"policy.init=pretrained", "policy.path: missing"},
      {"policy.architecture.model_type=qwen", "did you mean \"qwen2\"?"},
      {"policy.architecture.vocab_size=258", "at least 259"},
      {"policy.architecture.num_key_value_heads=3", "wanted a divisor"},
      {"policy.architecture.hidden_size=130", "multiple of twice"},
      {"policy.architecture.head_dim=5", "even number"},
      {"policy.architecture.max_position_embeddings=100", "at least 2048"},
      {"data[0].name=code", "no other set has"},
      {"data[0].weight=-1", "data[0].weight: -1"},
      {"prompt.template=x", "{prompt}"},
      {"prompt.system=x", "{system}"},
      {"reward.component.weight=1", "reward.component[0].name: missing"},
      {"reward.component.name=acuracy", "did you mean"},
      {"reward.sandbox.cpu_seconds=0", "more than 0"},
      {"data[0].verifier=maths", "did you mean \"math\"?"},
      {"rollout.workers=0", "rollout.listen"},
      {"rollout.slots=0", "at least 1"},
      {"rollout.kv_cache_tokens=100", "9 of the longest responses"},
      {"learner.micro_batch_tokens=0", "at least 1"},
      {"checkpoint.keep_last=0", "at least 1"},
      {"health.max_clip_ratio=1.5", "wanted 0 to 1"},
      {"health.min_length_ratio=2", "wanted 0 to 1"},
      {"cost.gpu_hour=-1", "wanted at least 0"},
      {"stage[1].grpo.updates_per_step=33", "at most prompts_per_step"},
      {"stage[1].grpo.clip_low=-0.1", "wanted at least 0"},
      {"stage[1].grpo.dual_clip=0.5", "more than 1, or 0"},
      {"stage[1].grpo.optimizer.beta2=1", "less than 1"},
      {"stage[1].grpo.optimizer.learning_rate=inf", "learning_rate: inf"},
      {"stage[0].name=grpo", "no earlier stage has"},
      {"stage[0].init_from=grpo", "earlier stage that trains"},
      {"stage[2].sft.seconds_of_stage=cold", "wanted the name of an earlier"},
      {"stage[1].grpo.teacher_path=", "wanted a Hugging Face folder"},
      {"stage[1].grpo.teacher_path=a", "REVERSE_KL or a kl_coef above 0"},
  };
  for (const auto& [setting, want] : cases) {
    EXPECT_THAT(Error(kGood, {setting}), HasSubstr(want)) << setting;
  }
  // No effect where nothing else is wrong.
  EXPECT_EQ(Error(kGood, {"stage[1].grpo.optimizer.learning_rate=0"}),
            "no error");
}

TEST_F(TextConfigTest, AValueTakesThePlaceOfItsAlternative) {
  std::string text = kGood;
  text.replace(text.find("steps: 7"), 8,
               "steps: 7 kl_coef: 0.1 teacher: \"cold_start\"");
  const auto config = Load(text, {"stage[1].grpo.teacher_path=folder"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->stage(1).grpo().has_teacher());
  EXPECT_EQ(config->stage(1).grpo().teacher_path(), "folder");
}

// What is written out and read again is the same configuration, also where it
// matters whether a field was given.
TEST_F(TextConfigTest, ATemplateThatIsNotGivenStaysSo) {
  const auto config = Load(kGood, {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->prompt().has_template_());
  EXPECT_EQ(PromptTemplate(config->prompt()), "{prompt}");
  const auto again = Load(RunConfigToText(*config), {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->prompt().has_template_());
  EXPECT_EQ(RunConfigToText(*again), RunConfigToText(*config));
}

TEST_F(TextConfigTest, TwoStagesDoNotWriteOneFile) {
  EXPECT_THAT(Error(absl::StrCat(kGood,
                                 "stage { name: \"a\" sample {} }\n"
                                 "stage { name: \"b\" sample {} }\n")),
              HasSubstr("wanted a file that no other stage writes"));
}

TEST_F(TextConfigTest, StagesThatTrain) {
  Stage stage;
  EXPECT_EQ(SupervisedOf(stage), nullptr);
  EXPECT_FALSE(TrainsPolicy(stage));
  stage.mutable_sample();
  EXPECT_FALSE(TrainsPolicy(stage));
  stage.mutable_grpo();
  EXPECT_EQ(SupervisedOf(stage), nullptr);
  EXPECT_TRUE(TrainsPolicy(stage));
  stage.mutable_sft();
  EXPECT_EQ(SupervisedOf(stage), &stage.sft());
  stage.mutable_pretrain();
  EXPECT_EQ(SupervisedOf(stage), &stage.pretrain());
  EXPECT_TRUE(TrainsPolicy(stage));
}

TEST_F(TextConfigTest, ComponentOptions) {
  const auto error = [&](const std::string& component) {
    return Error(
        absl::StrCat(kGood, "reward { component { ", component, " } }"));
  };
  EXPECT_EQ(error("name: \"language\" language { target: \"zh\" }"),
            "no error");
  EXPECT_EQ(error("name: \"length\" length { cache_tokens: 9 }"), "no error");
  const std::pair<std::string, std::string> cases[] = {
      {"name: \"format\" length { max_tokens: 9 }",
       "length: given; wanted it in the component of that name only"},
      {"name: \"language\" language { target: \"klingon\" }",
       "language.target: \"klingon\"; wanted one of ar, de,"},
      {"name: \"length\" length { max_tokens: 0 }", "at least 1"},
      {"name: \"length\" length { cache_tokens: 0 }", "at least 1"},
      {"name: \"length\" length { max_tokens: 9 cache_tokens: 10 }",
       "wanted 1 to max_tokens"},
      {"name: \"repetition\" repetition { ngram_words: 0 }", "at least 1"},
  };
  for (const auto& [component, want] : cases) {
    EXPECT_THAT(error(component), HasSubstr(want)) << component;
  }
}

TEST_F(TextConfigTest, PluginRules) {
  const auto error = [&](const std::string& fields) {
    return Error(absl::StrCat(kGood, "reward { ", fields, " }"));
  };
  EXPECT_EQ(error("verifier { name: \"mine\" python: \"a.py:f\" workers: 2 }\n"
                  "verifier { name: \"hers\" command: \"a | b\" }\n"
                  "component { name: \"mine\" weight: 0.5 }"),
            "no error");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"python: \"a.py:f\"", "reward.verifier[0].name: missing"},
      {"name: \"a/b\" python: \"a.py:f\"", "plain name"},
      {"name: \"math\" python: \"a.py:f\"", "no built-in verifier"},
      {"name: \"accuracy\" python: \"a.py:f\"", "no built-in verifier"},
      {"name: \"a\"", "verifier[0].kind: missing; wanted one of python, "},
      {"name: \"a\" python: \"a.py:f\" command: \"b\"",
       "another member of oneof"},
      {"name: \"a\" python: \"a.py\"", "wanted FILE.py:FUNCTION"},
      {"name: \"a\" python: \"a.py:\"", "wanted FILE.py:FUNCTION"},
      {"name: \"a\" command: \"\"", "wanted a command line"},
      {"name: \"a\" library: \"\"", "wanted a path"},
      {"name: \"a\" address: \"\"", "wanted HOST:PORT"},
      {"name: \"a\" command: \"b\" interpreter: \"c\"", "python only"},
      {"name: \"a\" command: \"b\" timeout_seconds: 0", "more than 0"},
      {"name: \"a\" command: \"b\" workers: -1", "at least 0"},
      {"name: \"a\" command: \"b\" correct_from: nan", "a finite number"},
      {"name: \"a\" command: \"b\" } verifier { name: \"a\" command: \"c\"",
       "verifier[1].name: \"a\"; wanted a name that no other"},
      {"name: \"a\" command: \"b\" } address: \"x:1\" component { name: \"a\"",
       "the server at reward.address"},
      {"name: \"mine\" command: \"b\" } component { name: \"mime\"",
       "component[0].name: \"mime\"; wanted the name of a verifier; did you "
       "mean \"mine\"?"},
  };
  for (const auto& [fields, want] : cases) {
    EXPECT_THAT(error(absl::StrCat("verifier { ", fields, " }")),
                HasSubstr(want));
  }
  // What only another machine knows is not checked here.
  EXPECT_EQ(error("address: \"x:1\" component { name: \"its_own\" }"),
            "no error");
  // A run's own copy of its configuration has every default in it.
  const auto config = Load(
      absl::StrCat(kGood, "reward { verifier { name: \"a\" command: \"b\" } }"),
      {"reward.verifier[a].timeout_seconds=3"});
  ASSERT_TRUE(config.ok()) << config.status();
  const auto again = Load(RunConfigToText(*config), {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->reward().verifier(0).command(), "b");
  EXPECT_EQ(again->reward().verifier(0).timeout_seconds(), 3);
}

TEST_F(TextConfigTest, StageRules) {
  const std::string head = "policy { init: RANDOM }\n";
  EXPECT_THAT(Error(head + "stage { name: \"x\" }"),
              HasSubstr("2:1: stage[0].kind: missing"));
  EXPECT_THAT(Error(head + "stage { grpo {} }"), HasSubstr("data: missing"));
  EXPECT_THAT(Error(head + "stage { eval {} }"),
              HasSubstr("eval_data: missing"));
  EXPECT_THAT(Error(head + "stage { data {} }"),
              HasSubstr("stage[0].data.set: missing"));
  const std::string set = "stage { data { set { task: \"countdown\" ";
  EXPECT_THAT(Error(head + set + "path: \"a\" held_out_path: \"b\" } } }"),
              HasSubstr("held_out_count"));
  EXPECT_THAT(Error(head + set + "path: \"a\" min_size: 3 max_size: 2 } } }"),
              HasSubstr("at least 3, which is min_size"));
  EXPECT_THAT(Error(head + set + "path: \"a\" thinking_share: 2 } } }"),
              HasSubstr("wanted 0 to 1"));
}

TEST_F(TextConfigTest, RulesOfTheAlgorithms) {
  const auto error = [&](const std::string& fields) {
    return Error(absl::StrCat(
        "policy { init: RANDOM } data { path: \"a.jsonl\" }\nstage { grpo { ",
        fields, " } }"));
  };
  EXPECT_EQ(error("clip_low: 10 clip_high: 10"), "no error");
  EXPECT_THAT(error("samples_per_prompt: 1"), HasSubstr("at least 2"));
  EXPECT_EQ(error("samples_per_prompt: 1 advantage: GAE"), "no error");
  EXPECT_EQ(error("samples_per_prompt: 1 advantage: REINFORCE_PLUS_PLUS"),
            "no error");
  EXPECT_THAT(error("objective: GSPO"),
              HasSubstr("aggregation: TOKEN_MEAN; wanted SEQ_MEAN_TOKEN_MEAN"));
  EXPECT_THAT(error("aggregation_tokens: 100"),
              HasSubstr("SEQ_MEAN_TOKEN_SUM_NORM only"));
  EXPECT_THAT(error("kl_in_reward: true"), HasSubstr("kl_coef above 0"));
  EXPECT_THAT(error("reference_every: 400"), HasSubstr("kl_coef above 0"));
  EXPECT_THAT(error("max_staleness: 9"), HasSubstr("wanted 0 to 8"));
  EXPECT_THAT(error("importance { mode: TOKEN_MASK }"),
              HasSubstr("decoupled: true"));
  EXPECT_EQ(error("importance { mode: TOKEN_MASK } max_staleness: 1"),
            "no error");
  EXPECT_THAT(error("importance { low: 3 high: 2 } decoupled: true"),
              HasSubstr("high: 2; wanted more than 3"));
  EXPECT_THAT(error("dynamic_sampling { max_rounds: 3 } advantage: GAE"),
              HasSubstr("group-relative"));
  EXPECT_THAT(error("extra_prompts: 2 max_staleness: 1"),
              HasSubstr("extra_prompts: 2; wanted 0"));
  EXPECT_THAT(error("curriculum { floor: 0 }"), HasSubstr("floor"));
  EXPECT_THAT(error("advantages: GRPO"), HasSubstr("mean \"advantage\""));
}

TEST_F(TextConfigTest, WritesEveryDefaultAndReadsItBack) {
  const auto config = Load(kGood, {});
  ASSERT_TRUE(config.ok());
  const std::string text = RunConfigToText(*config);
  EXPECT_THAT(text, HasSubstr("clip_high: 0.28"));
  EXPECT_THAT(text, HasSubstr("learning_rate: 0.0001"));
  EXPECT_THAT(text, HasSubstr("runs_dir: \"runs\""));
  const auto again = Load(text, {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(RunConfigToText(*again), text);
  EXPECT_EQ(again->stage_size(), 3);
}

TEST(ExpandRunPathTest, ReplacesTheRun) {
  EXPECT_EQ(ExpandRunPath("$RUN/a.jsonl", "runs/x"), "runs/x/a.jsonl");
  EXPECT_EQ(ExpandRunPath("a/$RUN", "runs/x"), "a/$RUN");
}

}  // namespace
}  // namespace ponder
