#include "rl/gold_check.h"

#include <atomic>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"

namespace ponder {
namespace {

constexpr int kStreams = 4;
constexpr size_t kFailuresToShow = 5;
constexpr absl::Duration kRowDeadline = absl::Seconds(60);

// A countdown row's gold answer is the target, not an expression.
bool IsCountdown(const DataRow& row) { return row.verifier == "countdown"; }

// What stands for the row's gold answer; empty: nothing to check.
std::string GoldResponse(const DataRow& row, bool run_solutions) {
  if (IsCountdown(row)) {
    return row.response.empty() ? "\\boxed{}" : row.response;
  }
  if (!row.answer.empty()) {
    if (absl::StrContains(row.answer, "####") ||
        absl::StrContains(row.answer, "\\boxed")) {
      return row.answer;
    }
    return absl::StrCat("\\boxed{", row.answer, "}");
  }
  return run_solutions ? row.response : "";
}

absl::StatusOr<ScoredResponse> ScoreGold(RewardService::Stub* rewards,
                                         const DataRow& row,
                                         const std::string& response) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kRowDeadline));
  const auto stream = rewards->Score(&context);
  ScoreRequest request;
  Problem* problem = request.mutable_problem();
  problem->set_id(row.id);
  problem->set_verifier(row.verifier);
  problem->set_prompt(row.prompt);
  problem->set_answer(row.answer);
  *problem->mutable_tests() = row.tests;
  *problem->mutable_row() = row.row;
  RewardComponent* component = problem->add_components();
  component->set_name("accuracy");
  component->set_weight(1);
  stream->Write(request);
  request.mutable_response()->set_text(response);
  stream->Write(request);
  stream->WritesDone();
  ScoredResponse answer;
  const bool got = stream->Read(&answer);
  ScoredResponse rest;
  while (stream->Read(&rest)) {
  }
  PONDER_RETURN_IF_ERROR(FromGrpcStatus(stream->Finish()));
  if (!got) return absl::UnavailableError("the reward server sent no score");
  return answer;
}

}  // namespace

std::string GoldCheck::Line(const std::string& set) const {
  std::string line = absl::StrCat("gold answers of ", set, ": ", passed, " of ",
                                  checked, " score 1");
  if (skipped > 0) {
    absl::StrAppend(&line, ", ", skipped, " rows have tests instead");
  }
  return line;
}

absl::StatusOr<GoldCheck> CheckGoldAnswers(RewardService::Stub* rewards,
                                           const DataRows& rows,
                                           bool run_solutions) {
  GoldCheck check;
  absl::Mutex mu;
  absl::Status broken;
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i; !StopRequested() && (i = next++) < rows.rows.size();) {
      const DataRow& row = rows.rows[i];
      const std::string response = GoldResponse(row, run_solutions);
      absl::StatusOr<ScoredResponse> score;
      if (!response.empty()) score = ScoreGold(rewards, row, response);
      absl::MutexLock lock(&mu);
      if (!broken.ok()) return;
      if (response.empty()) {
        ++check.skipped;
      } else if (!score.ok()) {
        broken = score.status();
        return;
      } else {
        ++check.checked;
        // Without a solution all that can be seen is whether it can be scored.
        const bool only_scorable = IsCountdown(row) && row.response.empty();
        if (score->verdict() == CORRECT ||
            (only_scorable && score->verdict() != UNSCORABLE)) {
          ++check.passed;
        } else if (check.failures.size() < kFailuresToShow) {
          check.failures.push_back(
              absl::StrCat("row ", row.id, ": ", score->reason()));
        }
      }
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kStreams; ++t) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  PONDER_RETURN_IF_ERROR(broken);
  if (StopRequested()) return absl::CancelledError("stopped");
  if (check.passed < check.checked) {
    check.status = absl::InvalidArgumentError(absl::StrCat(
        "data set ", rows.name, ": ", check.checked - check.passed, " of ",
        check.checked,
        " gold answers do not score 1 with their verifier; correct or remove "
        "these rows:\n  ",
        absl::StrJoin(check.failures, "\n  ")));
  }
  return check;
}

}  // namespace ponder
