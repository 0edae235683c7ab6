// Accuracy of a policy on held-out problems.

#ifndef PONDER_RL_EVALUATION_H_
#define PONDER_RL_EVALUATION_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "rl/run.h"

namespace ponder {

// Shares are of samples that could be scored.
struct SetAccuracy {
  int64_t problems = 0;
  int k = 0;                   // Samples a problem at temperature 1.
  double greedy = 0;           // Share of problems solved greedily.
  double greedy_flexible = 0;  // The same if the form is ignored.
  double avg_at_k = 0;         // Mean over the samples.
  double pass_at_k = 0;        // Unbiased: 1 - C(n-c, k) / C(n, k).
  int64_t unscorable = 0;      // Samples.
  // Over the samples at temperature 1.
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
  double seconds = 0;
  int64_t sampled_tokens = 0;
};

// Whether the response has a thought: text that is not blank between <think>
// (or the start, if the prompt opened it) and </think>.
bool HasThought(const std::string& response, bool thought_opened);

// 1 - C(n - c, k) / C(n, k): probability that one of k samples, drawn from n of
// which c are correct, is correct (arXiv:2107.03374, eq. 1).
double PassAtK(int64_t n, int64_t c, int64_t k);

// Samples every problem of eval_data greedily and eval.samples times, from the
// policy that the workers hold. `label` makes group ids unique in the run.
absl::StatusOr<Evaluation> Evaluate(Run& run, const std::string& stage,
                                    const std::string& label);

// val-core/SET/... for the metrics.
Metrics EvaluationMetrics(const Evaluation& evaluation);

}  // namespace ponder

#endif  // PONDER_RL_EVALUATION_H_
