// Algorithms of reinforcement learning in whole runs, by what they log.

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
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
using ::testing::Not;
using ::testing::SizeIs;

class AlgorithmsTest : public TinyRunTest {
 protected:
  // The metrics of a run of GRPO with further fields of the stage.
  std::vector<Json> MetricsOf(const std::string& name, int steps,
                              const std::string& fields) {
    return ReadMetrics(Run(Config(name, ColdStart() + Grpo(steps, fields))),
                       "grpo");
  }

  // Goes on with a finished run as if it had been killed after its checkpoint
  // of that step.
  static void ResumeAfter(int last_step, const std::string& run) {
    for (const int step : CheckpointSteps(run)) {
      if (step <= last_step) continue;
      std::filesystem::remove_all(
          absl::StrCat(run, "/checkpoints/step_", step));
    }
    std::filesystem::remove(run + "/summary.json");
    const PonderResult result = RunPonder({"train", "--resume", run});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  std::string EvalData() const {
    return absl::StrCat("eval_data { name: \"tiny\" path: \"",
                        folder_.File("tiny.jsonl"), "\" }\n");
  }
};

// Every choice runs, learns from the same first samples, and makes another
// policy of them.
TEST_F(AlgorithmsTest, EveryChoiceIsADifferentUpdate) {
  const std::vector<std::pair<std::string, std::string>> choices = {
      {"grpo", ""},
      {"dr_grpo", "advantage: DR_GRPO aggregation: SEQ_MEAN_TOKEN_SUM_NORM"},
      {"rloo",
       "advantage: RLOO kl_coef: 0.05 kl_in_reward: true "
       "kl_estimator: K1"},
      {"reinforce_pp", "advantage: REINFORCE_PLUS_PLUS gamma: 0.99"},
      {"reinforce_pp_baseline", "advantage: REINFORCE_PLUS_PLUS_BASELINE"},
      {"gspo",
       "objective: GSPO aggregation: SEQ_MEAN_TOKEN_MEAN "
       "clip_low: 3e-4 clip_high: 4e-4 updates_per_step: 2"},
      {"cispo", "objective: CISPO clip_low: 10 updates_per_step: 2"},
      {"sapo", "objective: SAPO updates_per_step: 2"},
      {"dppo_tv",
       "objective: DPPO_TV updates_per_step: 2 aggregation: "
       "TOKEN_SUM"},
      {"entropy", "entropy_coef: 0.05"},
      {"k2", "kl_coef: 0.1 kl_estimator: K3_K2_GRADIENT reference_every: 1"},
  };
  std::set<std::string> weights;
  for (const auto& [name, fields] : choices) {
    SCOPED_TRACE(name);
    const std::vector<Json> metrics = MetricsOf(name, 2, fields);
    EXPECT_THAT(Series(metrics, "actor/grad_norm"), Contains(Gt(0)));
    EXPECT_THAT(Series(metrics, "rollout_corr/max_abs_diff"),
                ElementsAre(0, 0));
    EXPECT_THAT(Series(metrics, "staleness/max"), ElementsAre(0, 0));
    EXPECT_TRUE(weights.insert(NewestWeights(RunFolder(name))).second);
  }
}

TEST_F(AlgorithmsTest, PpoTrainsItsCritic) {
  const std::vector<Json> metrics =
      MetricsOf("ppo", 12,
                "advantage: GAE critic { optimizer { learning_rate: 1e-2 } "
                "warmup_steps: 2 }");
  const std::vector<double> loss = Series(metrics, "critic/vf_loss");
  ASSERT_THAT(loss, SizeIs(12));
  EXPECT_LT(loss[11], loss[0]);
  // While the critic warms up, the policy stays.
  const std::vector<double> grad_norm = Series(metrics, "actor/grad_norm");
  EXPECT_EQ(grad_norm[0], 0);
  EXPECT_EQ(grad_norm[1], 0);
  EXPECT_GT(grad_norm[2], 0);
  EXPECT_THAT(Series(metrics, "critic/vf_explained_var"), SizeIs(12));
}

// A critic, a reference that moves and a curriculum are in the checkpoint: a
// run that is stopped in the middle ends like one that is not.
TEST_F(AlgorithmsTest, StateOfTheAlgorithmIsInTheCheckpoint) {
  const std::string fields =
      "advantage: GAE critic { optimizer { learning_rate: 1e-2 } } "
      "kl_coef: 0.1 reference_every: 2 curriculum { floor: 0.1 }";
  const std::string whole =
      Run(Config("whole", ColdStart(20) + Grpo(5, fields)));
  TinyConfig config = Config("cut", ColdStart(20) + Grpo(5, fields));
  config.more = "checkpoint { every_steps: 3 }\n";
  std::vector<std::string> arguments = Arguments(config);
  const std::string cut = Run(config);
  ResumeAfter(23, cut);
  EXPECT_TRUE(NewestWeights(whole) == NewestWeights(cut));
}

// Three processes share each update; what is learnt is the same but for
// rounding.
TEST_F(AlgorithmsTest, SeveralLearnerProcesses) {
  std::vector<std::vector<Json>> metrics;
  for (const int processes : {1, 3}) {
    TinyConfig config =
        Config(absl::StrCat("processes", processes), ColdStart(10) + Grpo(2));
    std::vector<std::string> arguments = Arguments(config);
    arguments.insert(arguments.end(),
                     {"--set", absl::StrCat("learner.processes=", processes)});
    const PonderResult result = RunPonder(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    metrics.push_back(ReadMetrics(RunFolder(config.name)));
  }
  for (const char* name : {"train/loss", "actor/grad_norm"}) {
    const std::vector<double> alone = Series(metrics[0], name);
    const std::vector<double> together = Series(metrics[1], name);
    ASSERT_EQ(alone.size(), together.size());
    // Later steps sample from policies that differ in their last bits.
    EXPECT_NEAR(alone[0], together[0], 1e-5 * alone[0]) << name;
  }
  EXPECT_THAT(Series(metrics[1], "rollout_corr/max_abs_diff"), Each(0));
}

TEST_F(AlgorithmsTest, StalenessIsBoundedAndCorrectedFor) {
  for (const int bound : {1, 3}) {
    SCOPED_TRACE(bound);
    const std::vector<Json> metrics =
        MetricsOf(absl::StrCat("stale", bound), 8,
                  absl::StrCat("max_staleness: ", bound));
    const std::vector<double> most = Series(metrics, "staleness/max");
    ASSERT_THAT(most, SizeIs(8));
    EXPECT_EQ(most[0], 0);
    EXPECT_THAT(most, Each(AllOf(Ge(0), Le(bound))));
    EXPECT_THAT(most, Contains(Ge(1)));
    EXPECT_THAT(Series(metrics, "sampling/groups"), Each(6));
    EXPECT_THAT(Series(metrics, "off_policy/dropped"), Each(0));
    // The first step's samples are the policy's own; later ones are not.
    EXPECT_EQ(Series(metrics, "rollout_corr/max_abs_diff")[0], 0);
    EXPECT_THAT(Series(metrics, "rollout_corr/k3_kl"), Contains(Gt(0)));
    EXPECT_THAT(Series(metrics, "rollout_corr/rollout_is_max"), Each(Le(2)));
    EXPECT_EQ(Series(metrics, "rollout_corr/rollout_is_mean")[0], 1);
    // Against the policy at the start of the step: one update, ratio 1.
    EXPECT_THAT(Series(metrics, "actor/ppo_kl"), Each(0));
  }
}

TEST_F(AlgorithmsTest, DynamicSamplingFillsTheStep) {
  const std::vector<Json> metrics = MetricsOf(
      "dynamic", 5, "dynamic_sampling { round_prompts: 9 max_rounds: 10 }");
  EXPECT_THAT(Series(metrics, "sampling/groups"), Each(6));
  const std::vector<double> dropped =
      Series(metrics, "sampling/dropped_zero_std");
  EXPECT_THAT(dropped, Contains(Gt(0)));
  // What was dropped was sampled, too.
  const std::vector<double> shares = Series(metrics, "frac_reward_zero_std");
  ASSERT_EQ(shares.size(), dropped.size());
  for (size_t i = 0; i < shares.size(); ++i) {
    EXPECT_NEAR(shares[i], dropped[i] / (6 + dropped[i]), 1e-9);
  }
  EXPECT_THAT(Series(metrics, "staleness/max"), Each(Le(1)));
}

// No response can be right: nothing has spread, and the run goes on and says
// so instead of failing.
TEST_F(AlgorithmsTest, DynamicSamplingSaysWhenItFindsTooFew) {
  TinyConfig config = Config(
      "few", ColdStart(20) + Grpo(2, "dynamic_sampling { max_rounds: 2 }"));
  std::vector<std::string> arguments = Arguments(config);
  arguments.insert(arguments.end(), {"--set", "prompt.max_response_tokens=3"});
  const PonderResult result = RunPonder(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("only 0 of 6 prompts are left"));
  const std::vector<Json> metrics = ReadMetrics(RunFolder("few"), "grpo");
  EXPECT_THAT(Series(metrics, "sampling/dropped_zero_std"),
              ElementsAre(12, 12));
  EXPECT_THAT(Series(metrics, "sampling/groups"), ElementsAre(0, 0));
  // A person sees what it was that taught nothing, and what it took.
  EXPECT_THAT(result.err, AllOf(HasSubstr("; 0 % of groups have signal"),
                                Not(HasSubstr("100 % of groups have"))));
  EXPECT_THAT(Series(metrics, "frac_reward_zero_std"), Each(1));
  EXPECT_THAT(Series(metrics, "reward/all_wrong_frac"), Each(1));
  EXPECT_THAT(Series(metrics, "response_length/mean"), Each(3));
  const std::string samples = Bytes(RunFolder("few") + "/samples/grpo.jsonl");
  EXPECT_EQ(std::count(samples.begin(), samples.end(), '\n'), 2 * 12 * 4);
  const Json stage = ReadJson(RunFolder("few") + "/summary.json")["stages"][1];
  EXPECT_EQ(stage["samples"], 2 * 12 * 4);
  EXPECT_EQ(stage["tokens"], 2 * 12 * 4 * 3);
}

// An advantage that is not relative to its group has a signal where two groups
// differ.
TEST_F(AlgorithmsTest, SignalOfAdvantagesThatAreNotRelative) {
  const TinyConfig config =
      Config("plus", ColdStart() + Grpo(3, "advantage: REINFORCE_PLUS_PLUS"));
  std::vector<std::string> arguments = Arguments(config);
  arguments.insert(arguments.end(),
                   {"--set", "stage[grpo].grpo.samples_per_prompt=1"});
  const PonderResult result = RunPonder(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<Json> metrics = ReadMetrics(RunFolder("plus"), "grpo");
  EXPECT_THAT(Series(metrics, "health/zero_signal"), Each(0));
  EXPECT_THAT(Series(metrics, "actor/grad_norm"), Each(Gt(0)));
  for (const Json& line : metrics) {
    EXPECT_FALSE(line.contains("frac_reward_zero_std"));
  }
}

// Means over the updates of a step are over those that learned something. At
// learning rate 0 the policy, and with it the entropy, stays what it is.
TEST_F(AlgorithmsTest, UpdatesWithoutAGradientCountForNothing) {
  const std::vector<Json> metrics = MetricsOf(
      "updates", 6, "updates_per_step: 6 optimizer { learning_rate: 0 }");
  const std::vector<double> entropy = Series(metrics, "actor/entropy");
  ASSERT_THAT(entropy, SizeIs(6));
  EXPECT_THAT(Series(metrics, "frac_reward_zero_std"), Contains(Gt(0)));
  const auto [least, most] =
      std::minmax_element(entropy.begin(), entropy.end());
  EXPECT_GT(*least, 0.93 * *most);
}

// The reference is what the stage started from, also where that is no
// checkpoint of the run but the configuration's policy.
TEST_F(AlgorithmsTest, AFirstStageKeepsItsReference) {
  const auto config = [&](const std::string& name) {
    TinyConfig c = Config(name, Grpo(6, "kl_coef: 0.5"));
    c.more =
        "checkpoint { every_steps: 3 }\n"
        "reward { component { name: \"accuracy\" }\n"
        "  component { name: \"length\" length { cache_tokens: 14 } } }\n";
    return c;
  };
  const std::string whole = Run(config("whole"));
  const std::string cut = Run(config("cut"));
  ResumeAfter(3, cut);
  const std::vector<double> kl =
      Series(ReadMetrics(whole, "grpo"), "actor/kl_loss");
  EXPECT_GT(kl.back(), 0);
  EXPECT_EQ(Series(ReadMetrics(cut, "grpo"), "actor/kl_loss"), kl);
  EXPECT_TRUE(NewestWeights(whole) == NewestWeights(cut));
}

// A policy's own template makes the prompts, also of a run that goes on.
TEST_F(AlgorithmsTest, AResumedRunKeepsThePolicysTemplate) {
  const std::string base = Run(Config("base", ColdStart()));
  const auto run = [&](const std::string& name) {
    TinyConfig config = Config(name, Grpo(6));
    config.policy =
        absl::StrCat("init: PRETRAINED path: \"", base, "/export\"");
    config.more = "checkpoint { every_steps: 3 }\n";
    const std::vector<std::string> arguments = Arguments(config);
    std::string text = Bytes(arguments[2]);
    const std::string given = "template: \"{prompt}\\n\"";
    EXPECT_NE(text.find(given), std::string::npos);
    text.erase(text.find(given), given.size());
    EXPECT_TRUE(WriteFileAtomically(arguments[2], text).ok());
    const PonderResult result = RunPonder(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return RunFolder(name);
  };
  const std::string whole = run("whole"), cut = run("cut");
  ResumeAfter(3, cut);
  EXPECT_EQ(Series(ReadMetrics(cut, "grpo"), "prompt_length/mean"),
            Series(ReadMetrics(whole, "grpo"), "prompt_length/mean"));
  EXPECT_TRUE(NewestWeights(whole) == NewestWeights(cut));
  // One that is done says so, and its status stays.
  const PonderResult again = RunPonder({"train", "--resume", cut});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.err, HasSubstr("all stages of this run are done already"));
  EXPECT_EQ(ReadJson(cut + "/status.json")["stage"], "grpo");
}

// Components that a stage does not name are measured and count for nothing.
TEST_F(AlgorithmsTest, AStageChoosesItsReward) {
  TinyConfig config =
      Config("chosen", ColdStart() + Grpo(2, "reward: \"accuracy\""));
  config.more =
      "reward { component { name: \"accuracy\" }\n"
      "  component { name: \"language\" weight: 0.5\n"
      "    language { target: \"en\" } } }\n";
  const std::vector<Json> metrics = ReadMetrics(Run(config), "grpo");
  EXPECT_EQ(Series(metrics, "critic/rewards/mean"),
            Series(metrics, "rewards/accuracy/mean"));
  EXPECT_THAT(Series(metrics, "rewards/language/mean"), SizeIs(2));

  config.name = "unknown";
  config.stages = ColdStart() + Grpo(2, "reward: \"acuracy\"");
  const PonderResult unknown = RunPonder(Arguments(config));
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean \"accuracy\"?"));
}

TEST_F(AlgorithmsTest, StragglersAreCancelled) {
  const std::vector<Json> metrics = MetricsOf("extra", 4, "extra_prompts: 3");
  EXPECT_THAT(Series(metrics, "sampling/groups"), Each(6));
  EXPECT_THAT(Series(metrics, "sampling/cancelled"), Each(3));
  EXPECT_THAT(Series(metrics, "rollout_corr/max_abs_diff"), Each(0));
}

TEST_F(AlgorithmsTest, PassRatesFilterWhatIsTrainedOn) {
  const TinyConfig config = Config("rates", absl::StrCat(ColdStart(), R"(
stage { name: "samples" sample { prompts: 36 samples_per_prompt: 4 } }
)"));
  const std::string run = Run(config);
  const std::string rates = run + "/samples/pass_rates.jsonl";
  int within = 0, all = 0;
  for (const absl::string_view line :
       absl::StrSplit(Bytes(rates), '\n', absl::SkipEmpty())) {
    const double rate = Json::parse(line.begin(), line.end())["pass_rate"];
    within += rate >= 0.2 && rate <= 0.8;
    ++all;
  }
  EXPECT_EQ(all, 36);

  TinyConfig filtered = Config("filtered", ColdStart(5) + Grpo(1));
  filtered.data_path =
      absl::StrCat(folder_.File("tiny.jsonl"), "\" pass_rates: \"", rates,
                   "\" min_pass_rate: 0.2 max_pass_rate: 0.8 verifier: \"math");
  const PonderResult result = RunPonder(Arguments(filtered));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err,
              HasSubstr(absl::StrCat(within,
                                     " of 36 rows have a pass rate of "
                                     "0.2 to 0.8; 0 have none")));
}

TEST_F(AlgorithmsTest, OverlongPromptsAreRefusedOrDropped) {
  std::string rows = TinyProblems(12);
  absl::StrAppend(&rows, R"({"id": "long", "prompt": ")", std::string(30, 'x'),
                  R"(", "answer": "1", "response": "\\boxed{1}"})", "\n");
  TinyConfig config = Config("overlong", Grpo(1));
  config.data_path = folder_.Write("long.jsonl", rows);
  const PonderResult refused = RunPonder(Arguments(config));
  EXPECT_GT(refused.exit_code, 0);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("1 of 13 prompts are longer"),
                                 HasSubstr("prompt.overlong=drop")));
  config.name = "dropped";
  std::vector<std::string> arguments = Arguments(config);
  arguments.insert(arguments.end(), {"--set", "prompt.overlong=drop"});
  const PonderResult dropped = RunPonder(arguments);
  EXPECT_EQ(dropped.exit_code, 0) << dropped.err;
  EXPECT_THAT(dropped.err, AllOf(HasSubstr("1 of 13 prompts are longer"),
                                 HasSubstr("they are left out")));
}

TEST_F(AlgorithmsTest, EvaluationsAreComparedInPairs) {
  TinyConfig config = Config(
      "run", "stage { name: \"before\" sft { steps: 3 batch_size: 4 } }\n" +
                 ColdStart(60) + "stage { name: \"after\" eval {} }\n");
  config.more = EvalData();
  config.eval_samples = 4;
  const std::string run = Run(config);
  const Json summary = ReadJson(run + "/summary.json");
  const Json& accuracy = summary["stages"][2]["accuracy"]["tiny"];
  for (const char* name : {"greedy", "greedy_flexible", "avg@4", "maj@4",
                           "avg@4_flexible", "pass@2", "pass@4"}) {
    const double value = accuracy[name];
    EXPECT_THAT(accuracy["interval"][name][0].get<double>(), Le(value)) << name;
    EXPECT_THAT(accuracy["interval"][name][1].get<double>(), Ge(value)) << name;
  }
  const PonderResult compared = RunPonder(
      {"eval", "--compare", run + "/eval/before.jsonl", run, "--json"});
  ASSERT_EQ(compared.exit_code, 0) << compared.err;
  const Json differences = Json::parse(compared.out);
  ASSERT_THAT(differences, SizeIs(2));
  EXPECT_EQ(differences[1]["figure"], "avg");
  EXPECT_EQ(differences[1]["problems"], 36);
  EXPECT_DOUBLE_EQ(differences[1]["b"]["value"].get<double>(),
                   accuracy["avg@4"].get<double>());
  EXPECT_GT(differences[1]["difference"]["value"].get<double>(), 0.1);
  EXPECT_LT(differences[1]["p_value"].get<double>(), 0.01);

  // The same figures for the exported folder, without a configuration.
  const PonderResult alone =
      RunPonder({"eval",
                 "--policy",
                 run + "/export",
                 "--data",
                 folder_.File("tiny.jsonl"),
                 "--set",
                 absl::StrCat("runs_dir=", folder_.File("runs")),
                 "--set",
                 "name=alone",
                 "--set",
                 "seed=7",
                 "--set",
                 "eval.samples=4",
                 "--set",
                 "prompt.template={prompt}\n",
                 "--set",
                 "prompt.max_prompt_tokens=24",
                 "--set",
                 "prompt.max_response_tokens=14",
                 "--set",
                 "rollout.slots=32"});
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_THAT(alone.err, HasSubstr("maj@4"));
  const Json again = ReadJson(RunFolder("alone") + "/summary.json");
  EXPECT_EQ(again["stages"][0]["accuracy"]["tiny"], accuracy);
}

}  // namespace
}  // namespace ponder
