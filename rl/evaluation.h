// Accuracy of a policy on held-out problems.

#ifndef PONDER_RL_EVALUATION_H_
#define PONDER_RL_EVALUATION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "rl/accuracy.h"
#include "rl/run.h"

namespace ponder {

// Shares are of samples that could be scored.
struct SetAccuracy {
  int64_t problems = 0;
  int k = 0;        // Samples a problem, beside the greedy one.
  Figures figures;  // Of all problems ...
  std::map<std::string, Figures> by_difficulty;  // ... and of those that have
                                                 // this difficulty.
  int64_t unscorable = 0;                        // Samples.
  // Over the samples.
  double response_length = 0;        // Mean, tokens.
  double truncated = 0;              // Share cut at the token limit.
  double thinking_share = 0;         // Share with a thought that is not empty.
  double accuracy_thinking = 0;      // Of those that think ...
  double accuracy_not_thinking = 0;  // ... and of those that do not.
  // Greedy responses.
  double greedy_response_length = 0;
  double greedy_thinking_share = 0;

  nlohmann::ordered_json ToJson() const;
};

struct Evaluation {
  std::map<std::string, SetAccuracy> sets;  // By name.
  std::vector<ProblemResult> problems;      // Of all sets.
  double seconds = 0;
  int64_t sampled_tokens = 0;
};

// Whether the response has a thought: text that is not blank between <think>
// (or the start, if the prompt opened it) and </think>.
bool HasThought(const std::string& response, bool thought_opened);

// Where what became of each problem of the evaluation `label` is written.
std::string ResultsPath(const Run& run, const std::string& label);

// Samples every problem of eval_data greedily and eval.samples times, from the
// policy that the workers hold. `label` makes group ids unique in the run;
// what became of each problem is written to ResultsPath().
absl::StatusOr<Evaluation> Evaluate(Run& run, const std::string& stage,
                                    const std::string& label);

// val-core/SET/... for the metrics, and val-aux/SET/... for the rest.
Metrics EvaluationMetrics(const Evaluation& evaluation);

// The mean over the sets of the greedy accuracy, out of these metrics; none
// without any.
std::optional<double> MeanAccuracy(const Metrics& metrics);

// A table for people: every figure with its interval, by set and difficulty.
std::string EvaluationText(const Evaluation& evaluation);

}  // namespace ponder

#endif  // PONDER_RL_EVALUATION_H_
