// Accuracy figures with intervals, from what became of each problem.

#ifndef PONDER_RL_ACCURACY_H_
#define PONDER_RL_ACCURACY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace ponder {

// 1 - C(n - c, k) / C(n, k): probability that one of k samples, drawn from n of
// which c are correct, is correct (arXiv:2107.03374, eq. 1).
double PassAtK(int64_t n, int64_t c, int64_t k);

// What was found of one sample.
struct SampleVerdict {
  bool scored = false;    // False: unscorable.
  bool correct = false;   // In the form that was asked for.
  bool flexible = false;  // The form of the answer ignored.
  std::string answer;     // As it was extracted; may be empty.
};

// One problem of a set.
struct ProblemResult {
  std::string set;
  std::string id;
  std::string difficulty;               // Empty: not known.
  std::optional<SampleVerdict> greedy;  // None: unscorable.
  int64_t scored = 0;                   // Samples that could be scored ...
  int64_t correct = 0;                  // ... and are right,
  int64_t flexible = 0;                 // ... with the form ignored.
  // 1 if the answer that most samples give is right, else 0; between them
  // where several are given equally often. None: nothing was scored.
  std::optional<double> majority;

  static ProblemResult Of(const SampleVerdict& greedy,
                          const std::vector<SampleVerdict>& samples);
  nlohmann::ordered_json ToJson() const;
};

// maj@k of the samples: the share of right ones among the answers that are
// given most often. All right samples gave one answer, wrong ones are the same
// if their text is; a sample without an answer has no vote.
std::optional<double> MajorityCorrect(
    const std::vector<SampleVerdict>& samples);

// A mean over problems with its 95 % interval.
struct Figure {
  double value = 0;
  double low = 0;
  double high = 0;
  int64_t problems = 0;
};

// The interval is from the 2.5 % to the 97.5 % percentile of the means of 1000
// samples with replacement (bootstrap over problems), from fixed random
// numbers. All 0 without values.
Figure BootstrapMean(const std::vector<double>& values);

// Figures by their names, in the order in which they are shown: greedy,
// greedy_flexible, and for samples avg@k, avg@k_flexible, maj@k and pass@j for
// j = 2, 4, ... and k = `samples`.
using Figures = std::vector<std::pair<std::string, Figure>>;
Figures FiguresOf(const std::vector<ProblemResult>& problems, int samples);

// The value; 0 if there is no such figure.
double ValueOf(const Figures& figures, const std::string& name);

// What Compare() calls the problems of several sets together.
inline constexpr char kAllSets[] = "all sets";

// How much better B is than A on the problems that both were given.
struct PairedDifference {
  std::string set;
  std::string figure;  // greedy, or avg (the share of right samples).
  Figure a, b;
  Figure difference;  // b - a, with the interval of its bootstrap.
  // Two-sided, of the hypothesis that A and B are exchangeable in each problem
  // (10,000 random flips of signs, from fixed random numbers).
  double p_value = 1;
};

std::vector<PairedDifference> Compare(const std::vector<ProblemResult>& a,
                                      const std::vector<ProblemResult>& b);

// One JSON object a line.
absl::Status WriteResults(const std::string& path,
                          const std::vector<ProblemResult>& results);
absl::StatusOr<std::vector<ProblemResult>> ReadResults(const std::string& path);

}  // namespace ponder

#endif  // PONDER_RL_ACCURACY_H_
