// summary.json and the table at the end of a run.

#ifndef PONDER_RL_SUMMARY_H_
#define PONDER_RL_SUMMARY_H_

#include <string>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "rl/evaluation.h"
#include "rl/run.h"

namespace ponder {

// One entry of summary.json's "stages". `from`: the stage that it started from;
// empty: none. Where both were evaluated it holds how much better the policy is
// than that stage's, and than those of earlier stages that started there too,
// paired by problem (Compare() of accuracy.h).
nlohmann::ordered_json StageSummary(const std::string& name,
                                    const std::string& kind,
                                    const std::string& from, const Run& run,
                                    const Evaluation& evaluation);

// Where the run's policy is, and the stage that made it; both may be empty.
struct ExportedPolicy {
  std::string folder;
  std::string stage;
};

// Writes RUN/summary.json atomically.
absl::Status WriteSummary(const Run& run, double total_seconds,
                          const std::string& checkpoint,
                          const ExportedPolicy& exported);

// What a person reads at the end: accuracy by stage and set, lengths, thinking,
// counts, seconds and cost by phase, where things are, what to try next.
std::string SummaryText(const Run& run, double total_seconds,
                        const std::string& export_folder);

}  // namespace ponder

#endif  // PONDER_RL_SUMMARY_H_
