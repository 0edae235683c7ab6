// Does every gold answer of a data set score 1 with the verifier?

#ifndef PONDER_RL_GOLD_CHECK_H_
#define PONDER_RL_GOLD_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/reward.grpc.pb.h"
#include "rl/data/data_set.h"

namespace ponder {

struct GoldCheck {
  int64_t checked = 0;
  int64_t passed = 0;
  int64_t skipped = 0;  // Rows with nothing to check.
  // "line 7, row ID: REASON" of those that failed, in the file's order.
  std::vector<std::string> failures;
  // Not OK if a gold answer failed; names the first few.
  absl::Status status;

  // "gold answers of gsm8k: 7473 of 7473 score 1".
  std::string Line(const std::string& set) const;
};

// Scores the gold answer of each row as if it were a response: as it is where
// it marks its answer (#### or \boxed), else in a box; of countdown its
// response, or without one whether it can be scored. Rows without a gold
// answer are checked by their response if `run_solutions` (code is then run),
// else skipped. Rows of other verifiers than math, code and countdown are
// checked by their response if `run_solutions`; else the first of them is
// scored, which shows that the server has the verifier, and no score is
// expected.
absl::StatusOr<GoldCheck> CheckGoldAnswers(RewardService::Stub* rewards,
                                           const DataRows& rows,
                                           bool run_solutions = false);

}  // namespace ponder

#endif  // PONDER_RL_GOLD_CHECK_H_
