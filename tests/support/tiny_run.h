// A run that is small enough to be repeated many times: a policy of two layers
// that answers with one of three digits.

#ifndef PONDER_TESTS_SUPPORT_TINY_RUN_H_
#define PONDER_TESTS_SUPPORT_TINY_RUN_H_

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/ponder_process.h"

namespace ponder {

using Json = nlohmann::ordered_json;

// Rows `{id, prompt, answer, response}` whose answers are 1, 2 or 3.
std::string TinyProblems(int count);

// Parts of a configuration as text; put together they are a whole one.
struct TinyConfig {
  std::string data_path;
  std::string name = "run";
  int workers = 1;
  std::string policy;  // Further fields of policy {}; empty: random weights.
  std::string stages;
  int eval_samples = 2;
  std::string more;  // Further top-level fields.

  std::string Text(const std::string& runs_dir) const;
};

// policy {} with random weights.
std::string RandomPolicy();
// A cold start that ends with about a third of the answers right.
std::string ColdStart(int steps = 60);
// GRPO that goes on from there; `fields` are further ones of the stage's.
std::string Grpo(int steps, const std::string& fields = "",
                 bool evaluate = false);

// Lines of a run's metrics.jsonl that are whole, of the stage `stage` only
// (empty: all).
std::vector<Json> ReadMetrics(const std::string& run_folder,
                              const std::string& stage = "");
// Steps of the stage that were logged; evaluations are lines of their own.
size_t StepsDone(const std::string& run_folder, const std::string& stage);
// The metric `name` of the lines that have it; a failure if none has.
std::vector<double> Series(const std::vector<Json>& metrics,
                           const std::string& name);
Json ReadJson(const std::string& path);
// Bytes of the file; a failure if it is not there.
std::string Bytes(const std::string& path);
// Bytes of the newest checkpoint's weights.
std::string NewestWeights(const std::string& run_folder);
// N of checkpoints/step_N, ascending.
std::vector<int> CheckpointSteps(const std::string& run_folder);
// Names of files that were left half-written anywhere in the folder.
std::vector<std::string> HalfWritten(const std::string& folder);

// A folder with the tiny problems in it, where runs of changed configurations
// are started.
class TinyRunTest : public testing::Test {
 protected:
  TinyRunTest();

  // Writes the configuration and returns the arguments that run it.
  std::vector<std::string> Arguments(const TinyConfig& config) const;
  // Runs it to its end and expects that it succeeds. Returns the run's folder.
  std::string Run(const TinyConfig& config) const;
  // The configuration with its data, and `stages`.
  TinyConfig Config(const std::string& name, const std::string& stages) const;
  std::string RunFolder(const std::string& name) const {
    return folder_.File("runs/" + name);
  }

  TestFolder folder_;
};

}  // namespace ponder

#endif  // PONDER_TESTS_SUPPORT_TINY_RUN_H_
