#include "tests/support/tiny_run.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"

namespace ponder {

namespace fs = std::filesystem;

std::string TinyProblems(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    const int answer = 1 + i % 3;
    absl::StrAppend(&text, R"({"id": "p)", i, R"(", "prompt": "pick )", i,
                    R"(", "answer": ")", answer, R"(", "response": "\\boxed{)",
                    answer, "}\"}\n");
  }
  return text;
}

std::string RandomPolicy() {
  return R"(init: RANDOM
  architecture {
    model_type: "qwen2"
    vocab_size: 320
    hidden_size: 32
    intermediate_size: 64
    num_hidden_layers: 2
    num_attention_heads: 4
    num_key_value_heads: 2
    rope_theta: 100
    max_position_embeddings: 64
    initializer_range: 0.08
    matrix_gain: 0.7
  })";
}

std::string ColdStart(int steps) {
  return absl::StrCat(R"(stage {
  name: "cold_start"
  evaluate: false
  sft {
    steps: )",
                      steps, R"(
    batch_size: 16
    optimizer { learning_rate: 1e-2 warmup_steps: 5 beta2: 0.98 }
  }
}
)");
}

std::string Grpo(int steps, const std::string& fields, bool evaluate) {
  return absl::StrCat(R"(stage {
  name: "grpo"
  evaluate: )",
                      evaluate ? "true" : "false", R"(
  grpo {
    steps: )",
                      steps, R"(
    prompts_per_step: 6
    samples_per_prompt: 4
    )",
                      absl::StrContains(fields, "optimizer")
                          ? ""
                          : "optimizer { learning_rate: 1e-3 }",
                      "\n    ", fields, R"(
  }
}
)");
}

std::string TinyConfig::Text(const std::string& runs_dir) const {
  return absl::StrCat("name: \"", name, "\"\nruns_dir: \"", runs_dir,
                      "\"\nseed: 7\npolicy {\n  ",
                      policy.empty() ? RandomPolicy() : policy, R"(
}
prompt {
  template: "{prompt}\n"
  max_prompt_tokens: 24
  max_response_tokens: 14
}
learner { threads: 1 micro_batch_tokens: 1024 }
rollout { threads_per_worker: 1 slots: 32 workers: )",
                      workers, " }\neval { samples: ", eval_samples, " }\n",
                      "data { name: \"tiny\" path: \"", data_path, "\" }\n",
                      more, "\n", stages);
}

std::vector<Json> ReadMetrics(const std::string& run_folder,
                              const std::string& stage) {
  std::vector<Json> lines;
  const std::string text =
      ReadFile(absl::StrCat(run_folder, "/metrics.jsonl")).value_or("");
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    Json json = Json::parse(line.begin(), line.end(), nullptr,
                            /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    if (stage.empty() || json.value("stage", "") == stage) {
      lines.push_back(std::move(json));
    }
  }
  return lines;
}

size_t StepsDone(const std::string& run_folder, const std::string& stage) {
  const std::vector<Json> lines = ReadMetrics(run_folder, stage);
  return static_cast<size_t>(std::count_if(
      lines.begin(), lines.end(),
      [](const Json& line) { return line.contains("training/global_step"); }));
}

std::vector<double> Series(const std::vector<Json>& metrics,
                           const std::string& name) {
  std::vector<double> values;
  for (const Json& line : metrics) {
    if (line.contains(name) && line[name].is_number()) {
      values.push_back(line[name].get<double>());
    }
  }
  EXPECT_FALSE(values.empty()) << "no line has " << name;
  return values;
}

Json ReadJson(const std::string& path) {
  return Json::parse(Bytes(path), nullptr, /*allow_exceptions=*/false);
}

std::string Bytes(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path);
  if (!bytes.ok()) {
    ADD_FAILURE() << std::string(bytes.status().message());
    return "";
  }
  return *bytes;
}

std::vector<int> CheckpointSteps(const std::string& run_folder) {
  std::vector<int> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(
           absl::StrCat(run_folder, "/checkpoints"), error)) {
    const std::string name = entry.path().filename().string();
    absl::string_view number = name;
    int step;
    if (absl::ConsumePrefix(&number, "step_") &&
        absl::SimpleAtoi(number, &step)) {
      steps.push_back(step);
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::string NewestWeights(const std::string& run_folder) {
  const std::vector<int> steps = CheckpointSteps(run_folder);
  if (steps.empty()) {
    ADD_FAILURE() << run_folder << " has no checkpoint";
    return "";
  }
  return Bytes(absl::StrCat(run_folder, "/checkpoints/step_", steps.back(),
                            "/model.safetensors"));
}

std::vector<std::string> HalfWritten(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (absl::StrContains(entry.path().filename().string(), ".tmp")) {
      names.push_back(entry.path().string());
    }
  }
  return names;
}

TinyRunTest::TinyRunTest() { folder_.Write("tiny.jsonl", TinyProblems(36)); }

TinyConfig TinyRunTest::Config(const std::string& name,
                               const std::string& stages) const {
  TinyConfig config;
  config.name = name;
  config.stages = stages;
  config.data_path = folder_.File("tiny.jsonl");
  return config;
}

std::vector<std::string> TinyRunTest::Arguments(
    const TinyConfig& config) const {
  return {"train", "--config",
          folder_.Write(config.name + ".textproto",
                        config.Text(folder_.File("runs")))};
}

std::string TinyRunTest::Run(const TinyConfig& config) const {
  const PonderResult result = RunPonder(Arguments(config));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return RunFolder(config.name);
}

}  // namespace ponder
