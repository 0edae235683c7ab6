#include "monitor/health.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace ponder {
namespace {

constexpr int64_t kStepsBeforeRules = 5;
constexpr int kStepsInARow = 3;

struct RuleState {
  std::string name;
  bool broken;
  bool may_stop;
  std::string found;   // What is wrong, if it is broken.
  std::string advice;  // What to do about it.
};

std::string Percent(double fraction) {
  return absl::StrFormat("%.0f %%", 100 * fraction);
}

std::vector<RuleState> Judge(const HealthConfig& config,
                             const StepHealth& health) {
  // `!(a <= b)` rather than `a > b`: NaN breaks a rule.
  return {
      {"unscorable",
       !(health.unscorable_fraction <= config.max_unscorable_fraction()),
       /*may_stop=*/true,
       absl::StrCat(Percent(health.unscorable_fraction),
                    " of the samples are unscorable, at most ",
                    Percent(config.max_unscorable_fraction()), " may be"),
       "look at the reasons in samples/ and check the gold answers with "
       "`ponder verify data`"},
      {"truncation", !(health.clip_ratio <= config.max_clip_ratio()),
       /*may_stop=*/true,
       absl::StrCat(Percent(health.clip_ratio),
                    " of the responses hit the token limit, at most ",
                    Percent(config.max_clip_ratio()), " may"),
       "raise prompt.max_response_tokens"},
      {"entropy_floor", !(health.entropy >= config.min_entropy()),
       /*may_stop=*/false,
       absl::StrFormat("entropy is %.2g nats, below %.2g", health.entropy,
                       config.min_entropy()),
       "the policy hardly explores any more; lower the learning rate or raise "
       "clip_high"},
      {"mismatch", !(health.logprob_diff_mean <= config.max_logprob_diff()),
       /*may_stop=*/true,
       absl::StrFormat("log-probabilities of sampler and learner differ by "
                       "%.2g, at most %.2g may be",
                       health.logprob_diff_mean, config.max_logprob_diff()),
       "the workers do not sample from the policy that is trained; this is a "
       "fault of the program or of a worker's build"},
      {"zero_signal", !(health.zero_signal_fraction < 1),
       /*may_stop=*/false, "no group has two different rewards",
       "nothing is learned; the problems are all too easy or all too hard for "
       "this policy"},
      {"grad_norm", !std::isfinite(health.grad_norm),
       /*may_stop=*/true, "the gradient is not finite",
       "lower the learning rate and resume from the last checkpoint"},
  };
}

}  // namespace

HealthReport HealthRules::Check(int64_t step, const StepHealth& health) {
  HealthReport report;
  std::vector<std::string> broken;
  std::vector<std::string> acting;
  for (const RuleState& rule : Judge(config_, health)) {
    const std::string name = absl::StrCat("health/", rule.name);
    report.metrics.emplace_back(name, rule.broken ? 1 : 0);
    int& in_a_row = broken_in_a_row_[rule.name];
    in_a_row = rule.broken && step > kStepsBeforeRules ? in_a_row + 1 : 0;
    if (!rule.broken) continue;
    broken.push_back(rule.found);
    if (in_a_row < kStepsInARow) continue;
    const bool stop = config_.stop() && rule.may_stop;
    if (stop || report.verdict == HealthReport::kOk) {
      report.verdict = stop ? HealthReport::kStop : HealthReport::kWarn;
    }
    acting.push_back(absl::StrCat(name, ": ", rule.found, ", for ", in_a_row,
                                  " steps; ", rule.advice));
  }
  report.advice = absl::StrJoin(acting, "; ");
  report.line = absl::StrFormat(
      "%s; %s of groups have signal, %s truncated, %s unscorable, entropy "
      "%.3g, sampler and learner differ by %.1e, gradient norm %.3g",
      broken.empty() ? "healthy" : absl::StrJoin(broken, ", "),
      Percent(1 - health.zero_signal_fraction), Percent(health.clip_ratio),
      Percent(health.unscorable_fraction), health.entropy,
      health.logprob_diff_mean, health.grad_norm);
  return report;
}

}  // namespace ponder
