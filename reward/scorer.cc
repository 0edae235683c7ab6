#include "reward/scorer.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "reward/builtin_verifiers.h"
#include "reward/text_words.h"

namespace ponder {
namespace {

constexpr char kAccuracy[] = "accuracy";
constexpr size_t kMaxExtractedBytes = 4096;
constexpr size_t kMaxReasonBytes = 4096;

// Text on the wire must be UTF-8; a response may be anything. A byte that
// belongs to no character becomes a question mark.
std::string ValidUtf8(absl::string_view text, size_t max_bytes) {
  text = text.substr(0, max_bytes);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const absl::string_view before = text;
    const char32_t c = TakeCharacter(&text);
    const size_t size = before.size() - text.size();
    if (c == 0xfffd && size == 1) {
      out.push_back('?');
    } else {
      out.append(before.data(), size);
    }
  }
  return out;
}

std::string Names(const VerifierMap& verifiers) {
  return absl::StrJoin(
      verifiers, ", ",
      [](std::string* out, const auto& entry) { *out += entry.first; });
}

// What the answer of a response that hit the token limit is worth: never more
// than what the verifier gives it.
VerifierScore Truncated(const VerifierScore& score) {
  VerifierScore truncated;
  if (score.verdict == UNSCORABLE) {  // Whatever the response is.
    truncated.reason = score.reason;
    return truncated;
  }
  truncated.verdict = WRONG;
  truncated.value = std::min(score.value, 0.0);
  truncated.reason = "the response ended at the token limit";
  return truncated;
}

// No verifier can slip in a score that is none.
VerifierScore Checked(const VerifierScore& score) {
  if (score.verdict == UNSCORABLE) return score;
  VerifierScore bad;
  if (score.verdict != CORRECT && score.verdict != WRONG) {
    bad.reason = "the verifier gave no verdict";
  } else if (!std::isfinite(score.value)) {
    bad.reason = "the verifier's score is not a number";
  } else {
    return score;
  }
  return bad;
}

}  // namespace

absl::StatusOr<ScoringPlan> Scorer::Plan(const Problem& problem) const {
  ScoringPlan plan;
  // The place of the verifier among the plan's.
  const auto use = [&](const std::string& name) -> std::optional<size_t> {
    const auto it = verifiers_.find(name);
    if (it == verifiers_.end()) return std::nullopt;
    const auto found = std::find(plan.verifiers.begin(), plan.verifiers.end(),
                                 it->second.get());
    if (found != plan.verifiers.end()) return found - plan.verifiers.begin();
    plan.verifiers.push_back(it->second.get());
    return plan.verifiers.size() - 1;
  };
  if (!use(problem.verifier()).has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "problem ", problem.id(), ": verifier: got \"", problem.verifier(),
        "\", wanted one of ", Names(verifiers_),
        "; plug-ins are named in the configuration's reward.verifier"));
  }
  for (const RewardComponent& component : problem.components()) {
    const bool is_accuracy = component.name() == kAccuracy;
    const std::optional<size_t> verifier =
        is_accuracy ? 0 : use(component.name());
    if (!verifier.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "problem ", problem.id(), ": component: got \"", component.name(),
          "\", wanted ", kAccuracy, " or one of ", Names(verifiers_)));
    }
    if (!std::isfinite(component.weight())) {
      return absl::InvalidArgumentError(
          absl::StrCat("problem ", problem.id(), ": component ",
                       component.name(), ": the weight is not a number"));
    }
    plan.components.push_back({component.name(), component.weight(), *verifier,
                               is_accuracy || JudgesAnswer(component.name())});
  }
  if (plan.components.empty()) {
    plan.components.push_back({kAccuracy, 1, 0, /*judges_answer=*/true});
  }
  return plan;
}

ScoredResponse Scorer::Combine(const ScoringPlan& plan,
                               const ResponseToScore& response,
                               absl::Span<const Outcome> outcomes) {
  const auto score_of = [&](size_t verifier, bool judges_answer) {
    const VerifierScore score = Checked(outcomes[verifier].score);
    return judges_answer && response.truncated() ? Truncated(score) : score;
  };
  const VerifierScore answer = score_of(0, /*judges_answer=*/true);
  ScoredResponse scored;
  scored.set_index(response.index());
  scored.set_verdict(answer.verdict);
  scored.set_extracted(ValidUtf8(answer.extracted, kMaxExtractedBytes));
  scored.set_reason(ValidUtf8(answer.reason, kMaxReasonBytes));
  scored.set_flexible_correct(answer.flexible_correct);
  scored.set_timed_out(answer.timed_out);
  scored.set_beyond_limits(answer.beyond_limits);

  double reward = 0;
  bool has_reward = true;
  for (const ScoringPlan::Component& component : plan.components) {
    const VerifierScore score =
        score_of(component.verifier, component.judges_answer);
    ComponentScore* out = scored.add_components();
    out->set_name(component.name);
    out->set_weight(component.weight);
    out->set_verdict(score.verdict);
    out->set_seconds(outcomes[component.verifier].seconds);
    out->set_beyond_limits(score.beyond_limits);
    out->set_timed_out(score.timed_out);
    if (component.verifier != 0) {
      out->set_reason(ValidUtf8(score.reason, kMaxReasonBytes));
    }
    if (score.verdict != UNSCORABLE) out->set_value(score.value);
    if (component.weight == 0) continue;
    has_reward &= out->has_value();
    reward += component.weight * out->value();
  }
  if (has_reward) scored.set_reward(reward);
  return scored;
}

absl::StatusOr<ScoredResponse> Scorer::Score(const Problem& problem,
                                             const ResponseToScore& response,
                                             const CancelToken* cancel) const {
  PONDER_ASSIGN_OR_RETURN(const ScoringPlan plan, Plan(problem));
  const absl::Time start = absl::Now();
  std::vector<Outcome> outcomes;
  for (Verifier* verifier : plan.verifiers) {
    const absl::Time call = absl::Now();
    PONDER_ASSIGN_OR_RETURN(std::vector<VerifierScore> scores,
                            verifier->Score({{&problem, &response}}, cancel));
    outcomes.push_back(
        {std::move(scores[0]), absl::ToDoubleSeconds(absl::Now() - call)});
  }
  ScoredResponse scored = Combine(plan, response, outcomes);
  scored.set_seconds(absl::ToDoubleSeconds(absl::Now() - start));
  return scored;
}

}  // namespace ponder
