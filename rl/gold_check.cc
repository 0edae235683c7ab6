#include "rl/gold_check.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"

namespace ponder {
namespace {

constexpr int kStreams = 4;
constexpr size_t kRowsAtATime = 16;  // Of one stream.
constexpr size_t kFailuresToShow = 5;
constexpr absl::Duration kRowDeadline = absl::Seconds(60);

// Which answer is right in which form, only these are known to say.
bool HasGoldForm(const DataRow& row) {
  return row.verifier == "math" || row.verifier == "code" ||
         row.verifier == "countdown";
}

// Whether a score is expected of the row.
bool IsChecked(const DataRow& row, bool run_solutions) {
  return HasGoldForm(row) || (run_solutions && !row.response.empty());
}

// A countdown row's gold answer is the target, not an expression.
bool IsCountdown(const DataRow& row) { return row.verifier == "countdown"; }

// What stands for the row's gold answer; empty: nothing to check.
std::string GoldResponse(const DataRow& row, bool run_solutions) {
  if (!HasGoldForm(row)) return row.response;
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

// A row and what stands for its gold answer.
struct Gold {
  const DataRow* row = nullptr;
  std::string response;
};

// Their scores, in their order. At most kRowsAtATime.
absl::StatusOr<std::vector<ScoredResponse>> ScoreGolds(
    RewardService::Stub* rewards, const std::vector<Gold>& golds) {
  const int num_golds = static_cast<int>(golds.size());
  grpc::ClientContext context;
  context.set_deadline(
      absl::ToChronoTime(absl::Now() + kRowDeadline * num_golds));
  const auto stream = rewards->Score(&context);
  // A message each: tests may be megabytes. Written while scores are read, as
  // the service asks for; if it takes no more, Finish() says why.
  std::thread writer([&] {
    for (int i = 0; i < num_golds; ++i) {
      const DataRow& row = *golds[i].row;
      ScoreRequest request;
      Problem* problem = request.add_problems();
      *problem = ProblemOfRow(row);
      problem->set_slot(i);
      ResponseToScore* response = request.add_responses();
      response->set_slot(i);
      response->set_index(i);
      response->set_text(golds[i].response);
      if (!stream->Write(request)) break;
    }
    stream->WritesDone();
  });
  std::vector<ScoredResponse> scores(golds.size());
  int num_scores = 0;
  ScoreReply reply;
  while (stream->Read(&reply)) {
    for (ScoredResponse& score : *reply.mutable_scores()) {
      if (score.index() < 0 || score.index() >= num_golds) continue;
      ++num_scores;
      scores[score.index()] = std::move(score);
    }
  }
  writer.join();
  PONDER_RETURN_IF_ERROR(FromGrpcStatus(stream->Finish()));
  if (num_scores != num_golds) {
    return absl::UnavailableError(absl::StrCat("the reward server sent ",
                                               num_scores, " scores for ",
                                               num_golds, " gold answers"));
  }
  return scores;
}

}  // namespace

std::string GoldCheck::Line(const std::string& set) const {
  std::string line = absl::StrCat("gold answers of ", set, ": ", passed, " of ",
                                  checked, " score 1");
  if (skipped > 0) {
    absl::StrAppend(&line, ", ", skipped, " rows have no gold answer to check");
  }
  return line;
}

absl::StatusOr<GoldCheck> CheckGoldAnswers(RewardService::Stub* rewards,
                                           const DataRows& rows,
                                           bool run_solutions) {
  GoldCheck check;
  absl::Mutex mu;
  absl::Status broken;
  std::map<ptrdiff_t, std::string> failures;  // By row.
  std::atomic<size_t> next = 0;
  std::map<std::string, size_t> first_of_verifier;
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    first_of_verifier.emplace(rows.rows[i].verifier, i);
  }
  const auto count =
      [&](const Gold& gold, const ScoredResponse& score)
          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
            const DataRow& row = *gold.row;
            if (!IsChecked(row, run_solutions)) {
              ++check.skipped;
              return;
            }
            ++check.checked;
            // Without a solution all that can be seen is whether it can be
            // scored.
            const bool only_scorable = IsCountdown(row) && row.response.empty();
            if (score.verdict() == CORRECT ||
                (only_scorable && score.verdict() != UNSCORABLE)) {
              ++check.passed;
            } else {
              failures.emplace(gold.row - rows.rows.data(),
                               absl::StrCat("line ", row.line, ", row ", row.id,
                                            ": ", score.reason()));
            }
          };
  const auto work = [&] {
    for (size_t begin;
         !StopRequested() &&
         (begin = next.fetch_add(kRowsAtATime)) < rows.rows.size();) {
      const size_t end = std::min(begin + kRowsAtATime, rows.rows.size());
      std::vector<Gold> golds;
      for (size_t i = begin; i < end; ++i) {
        const DataRow& row = rows.rows[i];
        const bool is_checked = IsChecked(row, run_solutions);
        if (!is_checked && first_of_verifier.at(row.verifier) != i) continue;
        std::string response = GoldResponse(row, run_solutions);
        if (!response.empty() || !is_checked) {
          golds.push_back({&row, std::move(response)});
        }
      }
      absl::StatusOr<std::vector<ScoredResponse>> scores =
          std::vector<ScoredResponse>();
      if (!golds.empty()) scores = ScoreGolds(rewards, golds);
      absl::MutexLock lock(&mu);
      if (!broken.ok()) return;
      if (!scores.ok()) {
        broken = scores.status();
        return;
      }
      check.skipped += static_cast<int64_t>(end - begin - golds.size());
      for (size_t i = 0; i < golds.size(); ++i) count(golds[i], (*scores)[i]);
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kStreams; ++t) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  PONDER_RETURN_IF_ERROR(broken);
  if (StopRequested()) return absl::CancelledError("stopped");
  for (auto& [row, failure] : failures) {
    check.failures.push_back(std::move(failure));
  }
  if (check.passed < check.checked) {
    check.status = absl::InvalidArgumentError(absl::StrCat(
        "data set ", rows.name, ": ", check.checked - check.passed, " of ",
        check.checked,
        " gold answers do not score 1 with their verifier; correct or remove "
        "these rows:\n  ",
        absl::StrJoin(
            absl::MakeConstSpan(check.failures).subspan(0, kFailuresToShow),
            "\n  "),
        check.failures.size() > kFailuresToShow ? "\n  ..." : ""));
  }
  return check;
}

}  // namespace ponder
