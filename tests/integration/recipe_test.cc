// What the R1 recipe chains: rejection sampling, a second policy, distillation.

#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

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
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Lt;
using ::testing::Not;

constexpr char kSample[] = R"(stage {
  name: "keep"
  sample {
    data: "tiny"
    prompts: 36
    samples_per_prompt: 6
    keep { path: "$RUN/samples/kept.jsonl" max_per_problem: 2
           rule { component: "accuracy" min: 1 } }
  }
}
)";

// A smaller policy with a cold start of its own.
constexpr char kStudent[] = R"(stage {
  name: "student"
  policy {
    init: RANDOM
    architecture {
      vocab_size: 320 hidden_size: 16 intermediate_size: 32
      num_hidden_layers: 1 num_attention_heads: 2 num_key_value_heads: 1
      rope_theta: 100 max_position_embeddings: 64
      initializer_range: 0.08 matrix_gain: 0.7
    }
  }
  sft { data: "tiny" steps: 30 batch_size: 16
        optimizer { learning_rate: 1e-2 warmup_steps: 5 beta2: 0.98 } }
}
)";

constexpr char kDistill[] = R"(stage {
  name: "distill"
  init_from: "student"
  sft { data: "kept" steps: 40 batch_size: 16
        optimizer { learning_rate: 1e-2 beta2: 0.98 } }
}
)";

constexpr char kOnPolicy[] = R"(stage {
  name: "on_policy"
  init_from: "student"
  grpo {
    data: "tiny" advantage: REVERSE_KL teacher: "grpo" steps: 12
    prompts_per_step: 8 samples_per_prompt: 4
    optimizer { learning_rate: 3e-3 }
  }
}
)";

class RecipeTest : public TinyRunTest {
 protected:
  TinyConfig Recipe(const std::string& name, const std::string& stages) const {
    TinyConfig config = Config(name, stages);
    config.more = absl::StrCat(
        "data { name: \"kept\" path: \"$RUN/samples/kept.jsonl\" weight: 0.5 "
        "}\n"
        "reward { component { name: \"accuracy\" } }\n"
        "eval_data { name: \"tiny\" path: \"",
        folder_.File("tiny.jsonl"), "\" }\n");
    return config;
  }

  static std::string GrpoOnTiny(int steps) {
    return Grpo(steps, "data: \"tiny\"", /*evaluate=*/true);
  }
  static std::string ColdStartOnTiny() {
    std::string stage = ColdStart();
    return stage.replace(stage.find("sft {"), 5, "sft { data: \"tiny\"");
  }

  static std::map<std::string, Json> StagesOf(const std::string& run) {
    std::map<std::string, Json> stages;
    const Json summary = ReadJson(run + "/summary.json");
    for (const Json& stage : summary["stages"]) {
      stages[stage["name"].get<std::string>()] = stage;
    }
    return stages;
  }
};

TEST_F(RecipeTest, ChainsTeacherSamplesAndStudents) {
  const std::string run = Run(
      Recipe("chain", absl::StrCat(ColdStartOnTiny(), GrpoOnTiny(12), kSample,
                                   kStudent, kDistill, kOnPolicy)));
  // Kept: right samples of the teacher, at most two of a problem, none twice.
  std::map<std::string, std::set<std::string>> kept;
  size_t num_kept = 0;
  for (const absl::string_view line : absl::StrSplit(
           Bytes(run + "/samples/kept.jsonl"), '\n', absl::SkipEmpty())) {
    const Json row = Json::parse(line.begin(), line.end());
    EXPECT_THAT(row["prompt"].get<std::string>(), Not(HasSubstr("\n")));
    kept[row["prompt"]].insert(row["response"].get<std::string>());
    ++num_kept;
  }
  ASSERT_GT(num_kept, 10);
  size_t distinct = 0;
  for (const auto& [prompt, responses] : kept) {
    EXPECT_LE(responses.size(), 2) << prompt;
    distinct += responses.size();
  }
  EXPECT_EQ(distinct, num_kept);

  std::map<std::string, Json> stages = StagesOf(run);
  EXPECT_EQ(stages["grpo"]["from"], "cold_start");
  EXPECT_EQ(stages["student"]["from"], "");
  EXPECT_EQ(stages["on_policy"]["from"], "student");
  EXPECT_THAT(ReadJson(run + "/manifests/on_policy.json")["teacher"]["path"]
                  .get<std::string>(),
              HasSubstr("/MANIFEST"));
  // Each is compared with its start and with who started there before.
  std::set<std::string> against;
  for (const Json& pair : stages["on_policy"]["against"]) {
    against.insert(pair["stage"].get<std::string>());
    EXPECT_LE(pair["low"].get<double>(), pair["difference"].get<double>());
    EXPECT_GE(pair["high"].get<double>(), pair["difference"].get<double>());
  }
  EXPECT_EQ(against, (std::set<std::string>{"student", "distill"}));

  // The student comes closer to the teacher.
  const std::vector<double> kl =
      Series(ReadMetrics(run, "on_policy"), "actor/reverse_kl");
  ASSERT_EQ(kl.size(), 12);
  EXPECT_LT(kl.back(), 0.7 * kl.front());
  // Sampler and learner stay exact after the change of policies.
  EXPECT_THAT(
      Series(ReadMetrics(run, "on_policy"), "rollout_corr/max_abs_diff"),
      Contains(0.0));

  // What is exported is the run's policy, not a student.
  EXPECT_EQ(ReadJson(run + "/export/config.json")["hidden_size"], 32);
}

// All stages of the recipe, in the paper's order, on a task that takes seconds:
// the base says 1, 2 or 3, and 2 is right.
TEST_F(RecipeTest, EveryStageGainsAsItShould) {
  const auto twos = [&](const std::string& name, int first) {
    std::string rows;
    for (int i = first; i < first + 24; ++i) {
      absl::StrAppend(&rows, R"({"id": "t)", i, R"(", "prompt": "pick )", i,
                      R"(", "answer": "2", "response": "\\boxed{2}"})", "\n");
    }
    return folder_.Write(name + ".jsonl", rows);
  };
  const auto supervised = [](const std::string& kind, const std::string& name,
                             const std::string& from, const std::string& data,
                             int steps, const char* rate) {
    return absl::StrCat("stage {\n  name: \"", name, "\"\n  ", from, "\n  ",
                        kind, " { ", data, " steps: ", steps,
                        " batch_size: 16\n    optimizer { learning_rate: ",
                        rate, " warmup_steps: 2 beta2: 0.98 } }\n}\n");
  };
  const auto sft = [&](const std::string& name, const std::string& from,
                       const std::string& data, int steps, const char* rate) {
    return supervised("sft", name, from, data, steps, rate);
  };
  const auto rl = [](const std::string& name, const std::string& from,
                     const std::string& more) {
    return absl::StrCat("stage {\n  name: \"", name, "\"\n  init_from: \"",
                        from, "\"\n  grpo { data: \"twos\" ", more,
                        " prompts_per_step: 6 samples_per_prompt: 8\n"
                        "    optimizer { learning_rate: 3e-3 } }\n}\n");
  };
  const auto sample = [](const std::string& name, const std::string& from,
                         const std::string& kept) {
    return absl::StrCat(
        "stage {\n  name: \"", name, "\"\n  init_from: \"", from,
        "\"\n  sample { data: \"twos\" prompts: 24 samples_per_prompt: 4\n"
        "    path: \"$RUN/samples/",
        name, ".jsonl\" pass_rates_path: \"$RUN/samples/", name,
        "_rates.jsonl\"\n    keep { path: \"$RUN/samples/", kept,
        ".jsonl\" max_per_problem: 1 } }\n}\n");
  };
  std::string student = kStudent;
  student.replace(student.find("\"student\""), 9, "\"student_base\"");
  const std::string stages = absl::StrCat(
      supervised("pretrain", "base", "", "data: \"tiny\"", 60, "1e-2"),
      rl("r1_zero", "base",
         "steps: 12 reward: \"accuracy\" reward: \"format\""),
      sft("cold_start", "init_from: \"base\"", "data: \"cold\"", 2, "1e-3"),
      rl("rl_reasoning", "cold_start", "steps: 12"),
      sample("rejection_sampling", "rl_reasoning", "kept"),
      sft("rejection_sft", "init_from: \"base\"",
          "data: \"kept\" data: \"tiny\"", 20, "3e-3"),
      rl("rl_final", "rejection_sft", "steps: 12"),
      sample("teacher_samples", "rl_final", "kept_final"), student,
      sft("distill", "init_from: \"student_base\"", "data: \"kept_final\"", 40,
          "1e-2"),
      rl("student_rl_only", "student_base",
         "steps: 1000 core_seconds_of_stages: \"teacher_samples\" "
         "core_seconds_of_stages: \"distill\""));
  TinyConfig config = Config("whole", stages);
  config.more = absl::StrCat(
      "data { name: \"twos\" path: \"", twos("twos", 100), "\" }\n",
      "data { name: \"cold\" path: \"", twos("cold", 200), "\" limit: 8 }\n",
      "data { name: \"kept\" path: \"$RUN/samples/kept.jsonl\" weight: 0.5 }\n",
      "data { name: \"kept_final\" path: \"$RUN/samples/kept_final.jsonl\" }\n",
      "reward { component { name: \"accuracy\" }\n"
      "  component { name: \"format\" weight: 0.1 }\n"
      "  component { name: \"language\" weight: 0.1\n"
      "    language { target: \"en\" } } }\n",
      "eval_data { name: \"twos\" path: \"", twos("held_out", 300), "\" }\n");
  const std::string run = Run(config);
  std::map<std::string, Json> found = StagesOf(run);
  const auto accuracy = [&](const std::string& stage) {
    const double share = found[stage]["accuracy"]["twos"]["greedy"];
    std::printf("%s: %.2f\n", stage.c_str(), share);
    return share;
  };
  EXPECT_LT(accuracy("base"), 0.7);
  EXPECT_GT(accuracy("r1_zero"), accuracy("base") + 0.2);
  EXPECT_GE(accuracy("rl_reasoning"), accuracy("cold_start"));
  EXPECT_GT(accuracy("rejection_sft"), accuracy("base"));
  EXPECT_GE(accuracy("rl_final"), accuracy("rejection_sft"));
  EXPECT_GT(accuracy("rl_final"), 0.9);
  EXPECT_GT(accuracy("distill"), accuracy("student_base") + 0.2);
  EXPECT_GE(accuracy("student_rl_only"), accuracy("student_base"));
  // The same as the two that it is measured against, and no step more.
  const auto training = [&](const std::string& name) {
    return found[name]["core_seconds"].get<double>() -
           found[name]["phases"]["evaluation"]["core_seconds"].get<double>();
  };
  EXPECT_GE(found["student_rl_only"]["steps"], 1);
  EXPECT_LT(found["student_rl_only"]["steps"], 1000);
  EXPECT_GE(training("student_rl_only"),
            training("teacher_samples") + training("distill"));
  // Each stage says where it comes from.
  EXPECT_EQ(found["base"]["kind"], "pretrain");
  EXPECT_EQ(found["rejection_sft"]["from"], "base");
  EXPECT_EQ(found["student_rl_only"]["from"], "student_base");
  for (const auto& [name, stage] : found) {
    EXPECT_EQ(ReadJson(absl::StrCat(run, "/manifests/", name, ".json"))["from"],
              stage["from"]);
  }
}

TEST_F(RecipeTest, ManifestsNameWhatWentInAndCameOut) {
  const std::string run =
      Run(Recipe("manifests",
                 absl::StrCat(ColdStartOnTiny(), kSample, kStudent, kDistill)));
  const Json keep = ReadJson(run + "/manifests/keep.json");
  EXPECT_EQ(keep["kind"], "sample");
  EXPECT_EQ(keep["policy"]["path"], "checkpoints/step_60/MANIFEST");
  EXPECT_EQ(keep["inputs"].size(), 1);
  std::map<std::string, Json> outputs;
  for (const Json& file : keep["outputs"]) outputs[file["path"]] = file;
  ASSERT_TRUE(outputs.contains("samples/kept.jsonl"));
  EXPECT_EQ(outputs["samples/kept.jsonl"]["bytes"],
            Bytes(run + "/samples/kept.jsonl").size());
  EXPECT_EQ(keep["counts"]["samples"], 216);
  const Json& counts = keep["counts"]["kept"];
  EXPECT_EQ(counts["samples"], 216);
  EXPECT_GT(counts["kept"], 0);
  EXPECT_EQ(
      counts["kept"].get<int>() + counts["wrong"].get<int>() +
          counts["truncated"].get<int>() + counts["against_rule"].get<int>() +
          counts["repeated"].get<int>() + counts["beyond_most"].get<int>(),
      216);
  EXPECT_GT(keep["cost"]["core_seconds"], 0);
  EXPECT_EQ(keep["seed"], 7);

  const Json distill = ReadJson(run + "/manifests/distill.json");
  // What one stage wrote is what the other read.
  ASSERT_EQ(distill["inputs"].size(), 1);
  EXPECT_EQ(distill["inputs"][0]["crc32c"],
            outputs["samples/kept.jsonl"]["crc32c"]);
  EXPECT_EQ(distill["from"], "student");
  const Json student = ReadJson(run + "/manifests/student.json");
  EXPECT_EQ(student["policy"]["random"], "qwen2");
}

// In a stage of the student: its shape, and the teacher, are found again.
TEST_F(RecipeTest, AStoppedChainGoesOnToTheSameWeights) {
  const std::string stages = absl::StrCat(ColdStartOnTiny(), GrpoOnTiny(4),
                                          kSample, kStudent, kOnPolicy);
  const std::string whole = Run(Recipe("whole", stages));
  const TinyConfig config = Recipe("stopped", stages);
  {
    PonderProcess stopped(Arguments(config));
    ASSERT_TRUE(WaitUntil([&] {
      return StepsDone(RunFolder("stopped"), "on_policy") >= 3;
    })) << stopped.StandardError();
    stopped.Signal(SIGTERM);
    ASSERT_NE(stopped.Wait(), -1) << stopped.StandardError();
  }
  // As if it had been killed between a checkpoint and the manifest.
  const std::string manifest = RunFolder("stopped") + "/manifests/keep.json";
  const std::string written = Bytes(manifest);
  ASSERT_TRUE(std::filesystem::remove(manifest));
  const PonderResult resumed =
      RunPonder({"train", "--resume", RunFolder("stopped")});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(NewestWeights(whole) == NewestWeights(RunFolder("stopped")));
  EXPECT_EQ(Bytes(manifest), written);
}

// Reinforcement learning for no longer than another stage took.
TEST_F(RecipeTest, AStageEndsWithAnothersCoreSeconds) {
  const std::string run =
      Run(Recipe("budget", absl::StrCat(ColdStartOnTiny(), R"(stage {
  name: "rl"
  evaluate: false
  grpo { data: "tiny" steps: 100000 prompts_per_step: 6 samples_per_prompt: 4
         core_seconds_of_stages: "cold_start"
         optimizer { learning_rate: 1e-4 schedule: CONSTANT } }
}
)")));
  std::map<std::string, Json> stages = StagesOf(run);
  const double steps = stages["rl"]["steps"];
  EXPECT_GE(steps, 1);
  EXPECT_LT(steps, 100000);
  const auto training = [&](const std::string& name) {
    return stages[name]["core_seconds"].get<double>() -
           stages[name]["phases"]["evaluation"]["core_seconds"].get<double>();
  };
  EXPECT_GE(training("rl"), training("cold_start"));
}

// A stage of a recipe by itself: its policy and its teacher are folders.
TEST_F(RecipeTest, AStageIsACommandToo) {
  const std::string stages =
      absl::StrCat(ColdStartOnTiny(), GrpoOnTiny(2), kStudent);
  const std::string run = Run(Recipe("recipe", stages));
  std::map<std::string, Json> made = StagesOf(run);
  const auto checkpoint = [&](const std::string& stage) {
    const std::string path = ReadJson(
        absl::StrCat(run, "/manifests/", stage, ".json"))["outputs"][0]["path"];
    return absl::StrCat(run, "/", path.substr(0, path.rfind('/')));
  };
  std::vector<std::string> arguments =
      Arguments(Recipe("alone", absl::StrCat(stages, kOnPolicy)));
  arguments[0] = "distill";
  arguments.insert(
      arguments.end(),
      {"--set", "stage[on_policy].grpo.teacher_path=" + checkpoint("grpo")});
  const PonderResult afresh = RunPonder(arguments);
  EXPECT_EQ(afresh.exit_code, 1);
  EXPECT_THAT(afresh.err,
              HasSubstr("stage on_policy goes on from stage student, "
                        "which `ponder distill` does not run"));
  arguments.insert(arguments.end(),
                   {"--policy", checkpoint("student"), "--stage", "on_polisy"});
  const PonderResult unknown = RunPonder(arguments);
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("no distill stage named \"on_polisy\"; "
                                     "did you mean \"on_policy\"?"));
  EXPECT_FALSE(std::filesystem::exists(RunFolder("alone")));

  arguments.back() = "on_policy";
  const PonderResult result = RunPonder(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::map<std::string, Json> found = StagesOf(RunFolder("alone"));
  EXPECT_EQ(found.size(), 1);
  EXPECT_EQ(found["on_policy"]["steps"], 12);
  const Json manifest =
      ReadJson(RunFolder("alone") + "/manifests/on_policy.json");
  EXPECT_EQ(manifest["policy"]["path"], checkpoint("student"));
  EXPECT_EQ(manifest["teacher"]["path"], checkpoint("grpo"));
  const std::vector<double> kl =
      Series(ReadMetrics(RunFolder("alone"), "on_policy"), "actor/reverse_kl");
  EXPECT_LT(kl.back(), 0.9 * kl.front());
}

// What the stages of one kind start from, in a plan of what would run.
TEST_F(RecipeTest, StagesOfOneKindKeepWhatTheyStartFrom) {
  const auto planned = [&](const std::string& kind, const std::string& stages,
                           const std::string& policy) {
    std::vector<std::string> arguments = Arguments(Recipe("plan", stages));
    arguments[0] = kind;
    arguments.push_back("--dry-run");
    if (!policy.empty()) {
      arguments.insert(arguments.end(), {"--policy", policy});
    }
    return RunPonder(arguments);
  };
  const std::string run = Run(Recipe("made", ColdStartOnTiny()));
  const std::string policy = run + "/export";
  // A student has its own start, and what goes on from it is kept with it.
  const std::string students =
      absl::StrCat(ColdStartOnTiny(), kStudent,
                   "stage { name: \"more\" init_from: \"student\" sft { data: "
                   "\"tiny\" steps: 2 } }\n");
  const PonderResult sft = planned("sft", students, "");
  EXPECT_EQ(sft.exit_code, 0) << sft.err;
  EXPECT_THAT(sft.out, HasSubstr("init_from: \"student\""));
  // Two that go on from the same stage both get the policy that is given.
  std::string second = GrpoOnTiny(2);
  second.replace(second.find("\"grpo\""), 6,
                 "\"again\" init_from: \"cold_start\"");
  const std::string both =
      absl::StrCat(ColdStartOnTiny(), GrpoOnTiny(2), second);
  const PonderResult grpo = planned("grpo", both, policy);
  EXPECT_EQ(grpo.exit_code, 0) << grpo.err;
  EXPECT_THAT(grpo.out, Not(HasSubstr("init_from")));
  size_t paths = 0;
  for (size_t at = grpo.out.find(policy); at != std::string::npos;
       at = grpo.out.find(policy, at + 1)) {
    ++paths;
  }
  EXPECT_EQ(paths, 2) << grpo.out;  // The run's, and that of `again`.
  // Random weights take no trained ones' place, also where a stage is added.
  for (const char* kind : {"grpo", "eval", "sample"}) {
    const PonderResult refused = planned(kind, both, "");
    EXPECT_EQ(refused.exit_code, 1) << kind;
    EXPECT_THAT(refused.err, HasSubstr("give the policy that it starts from"));
  }
  EXPECT_EQ(planned("eval", both, policy).exit_code, 0);
  // A resumed run has its own.
  const PonderResult resumed =
      RunPonder({"sft", "--resume", run, "--policy", policy});
  EXPECT_EQ(resumed.exit_code, 1);
  EXPECT_THAT(resumed.err, HasSubstr("belong to a new run"));
}

TEST_F(RecipeTest, WhatCannotBeIsRefusedBeforeItStarts) {
  const std::string teacherless = absl::StrCat(
      ColdStartOnTiny(), Grpo(2, "data: \"tiny\" advantage: REVERSE_KL"));
  const auto refused = [&](const std::string& stages, const std::string& part) {
    const PonderResult result = RunPonder(Arguments(Recipe("refused", stages)));
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_FALSE(std::filesystem::exists(RunFolder("refused")));
  };
  refused(teacherless, "teacher");
  refused(absl::StrCat(ColdStartOnTiny(),
                       Grpo(2, "advantage: REVERSE_KL teacher: \"cold\"")),
          "wanted the name of an earlier stage that trains");
  refused(Grpo(2, "advantage: REVERSE_KL teacher_path: \"/none\""), "/none");
  refused(absl::StrCat(ColdStartOnTiny(),
                       Grpo(2, "core_seconds_of_stages: \"none\"")),
          "core_seconds_of_stages");
  std::string both = kStudent;
  both.replace(both.find("policy {"), 8, "init_from: \"cold_start\" policy {");
  refused(absl::StrCat(ColdStartOnTiny(), both), "init_from");
  std::string rule = kSample;
  rule.replace(rule.find("accuracy"), 8, "acuracy");
  refused(absl::StrCat(ColdStartOnTiny(), rule), "did you mean");
}

}  // namespace
}  // namespace ponder
